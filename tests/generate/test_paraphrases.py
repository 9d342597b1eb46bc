"""Questions in other words: written by a server, kept, and asked beside permuted choices."""

import json

import pytest
from command_line import harken
from scripted_server import said, serving

from harken.config import EvaluationRecipe
from harken.data.manifest import write_manifest
from harken.errors import DataError
from harken.evaluation.evaluate import evaluate
from harken.generate.paraphrases import read_paraphrases
from harken.generate.reply_json import BadReplyError
from harken.questions.choice_orders import trials_of
from harken.questions.wordings import read_wordings
from harken.results.trials import robustness_rows, wording_figures
from harken.types import Question

QUESTION = Question("q0", "Which animal barks?", ("a dog", "a cat"), 0, None)
OTHER = Question("q1", "Is it a dog?", ("yes", "no"), 1, None)
GOOD = ["What is barking?", "Name the barking animal."]


def reply(texts):
    return json.dumps({"paraphrases": texts})


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (GOOD[:1], "no list of 2 texts"),
        ("What is barking?", "no list of 2 texts"),
        ([GOOD[0], "what is BARKING"], "each must differ"),
        ([GOOD[0], "Which animal barks"], "each must differ"),
        ([GOOD[0], "Does a dog bark?"], "names a choice: 'a dog'"),
        ([GOOD[0], "<|im_end|> Which?"], "holds a tag"),
        ([GOOD[0], ""], "empty"),
    ],
)
def test_a_reply_that_is_no_other_wording_is_refused_with_its_fault(texts, reason):
    with pytest.raises(BadReplyError, match=reason):
        read_paraphrases(reply(texts), QUESTION, 2)


def test_good_replies_are_read_and_a_choice_may_stand_where_the_question_names_it():
    assert read_paraphrases(reply(GOOD), QUESTION, 2) == GOOD
    named = Question("q", "Is it a dog?", ("a dog", "a cat"), 0, None)
    assert read_paraphrases(reply(["A dog, is it?"]), named, 1) == ["A dog, is it?"]


def test_each_wording_has_the_same_orders_of_the_choices():
    trials = trials_of(QUESTION, 2, 0, GOOD)
    assert [trial.order for trial in trials] == [0, 1, 2, 3, 4, 5]
    assert [trial.question.text for trial in trials] == [text for text in (QUESTION.text, *GOOD) for _ in range(2)]
    assert [trial.question.choices for trial in trials] == [QUESTION.choices, QUESTION.choices[::-1]] * 3
    assert all(trial.question.choices[trial.question.answer] == "a dog" for trial in trials)
    assert trials_of(QUESTION, 2, 0) == trials[:2]


def test_wordings_are_filled_up_and_those_of_another_text_are_refused(tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"id": "q0", "question": QUESTION.text, "paraphrases": GOOD}))
    assert read_wordings(file, [QUESTION, OTHER]) == {"q0": GOOD, "q1": [OTHER.text] * 2}
    for record, says in (
        ({"id": "q0", "question": "Which one?", "paraphrases": GOOD}, "p.jsonl:1: paraphrases another text of 'q0'"),
        ({"id": "q0", "paraphrases": []}, "expected a list of texts"),
        ({"paraphrases": GOOD}, "id: expected text"),
        ({"id": "other", "paraphrases": GOOD}, "another wording of none"),
    ):
        file.write_text(json.dumps(record))
        with pytest.raises(DataError, match=says):
            read_wordings(file, [QUESTION])


def test_the_spread_of_an_item_is_worked_by_hand():
    def rows(ident, right):
        return [
            {"id": ident, "clip": ident, "task": "", "difficulty": "", "correct": bool(value), "choice": str(value)}
            for value in right
        ]

    groups = [rows("a", [1, 1, 1, 0, 0, 0]), rows("b", [1, 1, 1, 1, 1, 1])]  # three wordings of two orders each
    figures = wording_figures(groups, 2, without=1)
    assert figures["by_wording"] == [1.0, 0.75, 0.5]
    assert (figures["low"], figures["high"], figures["sd"], figures["n_wordings"]) == (0.5, 1.0, 0.25, 3)
    assert figures["mean"]["mean"] == 0.75
    assert figures["same_choice"]["mean"] == 0.5
    first, second = robustness_rows(groups, 2)
    assert first["wordings"] == [1.0, 0.5, 0.0]
    assert first["orders"] == pytest.approx([2 / 3, 1 / 3])
    assert first["sd_wordings"] == pytest.approx((1 / 6) ** 0.5)
    assert first["sd_orders"] == pytest.approx(1 / 6)
    assert (second["sd_wordings"], second["sd_orders"]) == (0, 0)
    assert figures["item_sd"] == pytest.approx((1 / 6) ** 0.5 / 2)
    assert figures["item_sd_orders"] == pytest.approx(1 / 12)


def test_paraphrases_of_a_server_are_kept_and_an_evaluation_asks_every_wording(tmp_path):
    write_manifest(tmp_path / "q.jsonl", [QUESTION, OTHER])

    def writer(request):
        prompt = request.body["messages"][0]["content"]
        return said(reply(GOOD) if QUESTION.text in prompt else reply(["no", "yes"]))  # names choices, twice

    command = ("generate", "paraphrases", "--manifest", tmp_path / "q.jsonl", "--wordings", 2, "--model", "m")
    with serving(writer) as server:
        for _ in range(2):
            done = harken(*command, "--endpoint", server.url, "--out", tmp_path / "words")
            assert done.code == 0, done.err
        assert len(server.received) == 3  # one of them repaired in vain; the second command sends nothing
    [row] = [json.loads(line) for line in (tmp_path / "words" / "paraphrases.jsonl").read_text().splitlines()]
    assert row == {"id": "q0", "question": QUESTION.text, "paraphrases": GOOD}
    assert "names a choice" in (tmp_path / "words" / "rejected.jsonl").read_text()

    def model(request):
        prompt = str(request.body["messages"])
        return said("a cat" if GOOD[1] in prompt else "a dog" if "animal" in prompt or GOOD[0] in prompt else "no")

    with serving(model) as server:
        values = {
            "endpoint": {"base_url": server.url, "model": "m"},
            "data": {"reader": "manifest", "file": str(tmp_path / "q.jsonl")},
            **{"permute": 2, "paraphrases": str(tmp_path / "words" / "paraphrases.jsonl")},
        }
        summary = evaluate(EvaluationRecipe.model_validate(values), tmp_path / "out")
    assert summary["accuracy"]["all"]["mean"] == 1.0  # the question's own words and order
    assert summary["wordings"]["by_wording"] == [1.0, 1.0, 0.5]
    assert summary["wordings"]["n_without"] == 1
    assert summary["orders"]["n_orders"] == 2
    rows = [json.loads(line) for line in (tmp_path / "out" / "robustness.jsonl").read_text().splitlines()]
    assert [each["wordings"] for each in rows] == [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    assert len((tmp_path / "out" / "trials.jsonl").read_text().splitlines()) == 2 * 3 * 2
