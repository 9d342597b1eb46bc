"""The made-up benchmark of docs/extending.md, added as the page says and used in every command."""

import json
import re
import sys
from pathlib import Path

import pytest
from command_line import harken
from made_media import tone, write_wav

from harken.benchmarks import BENCHMARKS
from harken.benchmarks.base import OfficialPrompt
from harken.errors import ConfigError

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
RECORDS = [
    {"name": "b1", "sound": "1.wav", "question": "Who barks?", "options": ["a dog", "a seal"], "label": "a seal"},
    {
        "name": "b2",
        "sound": "2.wav",
        "question": "Who?",
        "options": ["a dog", "a fox"],
        "label": "a dog",
        "place": "zoo",
    },
]


@pytest.fixture
def barks(tmp_path, monkeypatch):
    """The page's file on the path, and the benchmark's own file with its clips in the present folder."""
    [text] = re.findall(r"^```python\n(# barks\.py\n.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    (tmp_path / "barks.py").write_text(text, encoding="utf-8")
    (tmp_path / "barks.json").write_text(json.dumps(RECORDS), encoding="utf-8")
    for record in RECORDS:
        write_wav(tmp_path / record["sound"], tone(440, 16_000, 0.1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("barks", None)


@pytest.mark.parametrize("registered", [False, True])
def test_a_model_is_evaluated_on_it_and_predictions_are_scored(barks, monkeypatch, registered):
    if registered:
        monkeypatch.setitem(BENCHMARKS, "barks", "barks:BARKS")
    name = "barks" if registered else "barks:BARKS"
    options = ("--benchmark", name, "--data", "barks.json")
    done = harken("evaluate", "--model", "most-frequent-choice", *options, "--style", name, "--out", "out", "--json")
    assert (done.code, done.err) == (0, "")
    summary = json.loads((barks / "out" / "summary.json").read_text())
    assert summary["benchmark"] == {"name": "barks", "version": "", "part": ""}
    assert summary["official"]["official_accuracy"]["value"] == summary["accuracy"]["all"]["mean"] == 0.5
    guesses = [{"name": "b1", "guess": "a seal, I think"}, {"name": "b2", "guess": ""}]
    (barks / "guesses.json").write_text(json.dumps(guesses))
    scored = harken("score", *options, "guesses.json", "--json")
    assert (scored.code, scored.err) == (0, "")
    result = json.loads(scored.out)
    assert (result["benchmark"], result["prediction_keys"], result["n"], result["n_official"]) == (
        "barks",
        ["guess"],
        2,
        1,
    )
    assert result["official_accuracy"]["value"] == 1.0
    assert {place: group["n"] for place, group in result["by"]["task"].items()} == {"": 1, "zoo": 1}
    assert {size: group["n"] for size, group in result["by"]["size"].items()} == {"two": 2}


OPTIONS = ("--benchmark", "barks:BARKS", "--data", "barks.json")


def test_predictions_are_found_by_the_benchmarks_id_by_id_and_in_harkens_own_file(barks):
    assert harken("evaluate", "--model", "most-frequent-choice", *OPTIONS, "--out", "out").code == 0
    for name in ("name", "id"):
        (barks / f"{name}.json").write_text(
            json.dumps([{name: "b1", "guess": "a seal"}, {name: "b2", "guess": "a dog"}])
        )
    values = {}
    for file in ("name.json", "id.json", "out/predictions.jsonl"):
        scored = harken("score", *OPTIONS, file, "--json")
        assert (scored.code, scored.err) == (0, "")
        values[file] = json.loads(scored.out)["official_accuracy"]["value"]
    assert values == {"name.json": 1.0, "id.json": 1.0, "out/predictions.jsonl": 0.5}


def test_the_tables_say_where_the_groups_are_that_they_do_not_show(barks):
    evaluated = harken("evaluate", "--model", "most-frequent-choice", *OPTIONS, "--out", "out")
    text = " ".join((evaluated.out + evaluated.err).split())
    assert "official accuracy 50.0 % of 2, by task, size: in summary.json" in text
    scored = harken("score", *OPTIONS, "out/predictions.jsonl")
    assert "accuracies by size: with --json" in " ".join(scored.out.split())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "return prediction.startswith(right_text(question))",
            "return prediction[:1] == 'AB'[question.answer]",
            "barks: official_rule does not count 2 of 2 right answers when it gets the text of the right choice alone, "
            "first 'a seal' of question 'b1'. Correct the rule, or set reads_letters=True",
        ),
        (
            '    name="barks",',
            '    name="barks",\n    reads_letters=True,',
            "when it gets the letter of the right choice alone, first 'B' of question 'b1'",
        ),
        (
            "prediction.startswith(",
            "prediction.starts(",
            "barks.json:1: official_rule of barks raised AttributeError: ",
        ),
        ("prediction.startswith(", "str(", "barks: official_rule returned 'a seal' for question 'b1'; it must return"),
        (
            '"label"), options)',
            '"label"), options[5])',
            "record 1: the function that parses records raised IndexError: tuple index out of range (barks.py, line ",
        ),
        (
            '    options = choices_field(record, "options")',
            "    return record",
            "parses records returned {'name': 'b1', ",
        ),
        ("OfficialPrompt(", "OfficialPrompt(letters=True, template=", "barks cannot be imported: TypeError: "),
        (
            "{question} Say",
            "{questoin} Say",
            "barks:BARKS: OfficialPrompt: template: has no {question}: '{questoin} Say",
        ),
    ],
)
def test_a_mistake_in_the_benchmarks_file_is_an_error_before_a_model_is_asked(barks, old, new, message):
    text = (barks / "barks.py").read_text()
    assert old in text
    (barks / "barks.py").write_text(text.replace(old, new))
    refused = harken("evaluate", "--model", "random-guess", *OPTIONS, "--out", "out")
    assert refused.code == 2
    assert message in " ".join(refused.err.split())
    assert not (barks / "out" / "summary.json").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"two" if', "2 if", "barks.json:1: groups['size'] of barks returned 2, expected text"),
        (
            "len(question.choices) == 2",
            "question.size == 2",
            "barks.json:1: groups['size'] of barks raised AttributeError",
        ),
        (
            'record.get("name")',
            'record["name"]',
            "guesses.json:1: record 1: prediction_id of barks raised KeyError: 'name'",
        ),
    ],
)
def test_a_mistake_in_a_function_that_scores_is_an_error_with_its_place(barks, old, new, message):
    text = (barks / "barks.py").read_text()
    assert old in text
    (barks / "barks.py").write_text(text.replace(old, new))
    (barks / "guesses.json").write_text(json.dumps([{"id": "b1", "guess": "a seal"}, {"id": "b2", "guess": "a dog"}]))
    refused = harken("score", *OPTIONS, "guesses.json")
    assert refused.code == 2
    assert message in " ".join(refused.err.split())


@pytest.mark.parametrize(
    ("template", "choices", "message"),
    [
        ("{question} {choices}", "xx", "choices: expected one of list, letters, lines, lettered_lines, found 'xx'"),
        ("{questoin} {choices}", "list", r"template: has no \{question\}"),
        ("{question} {choice}", "list", r"template: has no \{choices\}"),
    ],
)
def test_an_official_prompt_that_could_not_be_put_is_refused_when_it_is_made(template, choices, message):
    with pytest.raises(ConfigError, match=message):
        OfficialPrompt(template, choices=choices)


def test_records_of_a_list_in_one_line_are_told_apart(barks):
    records = [RECORDS[0], {**RECORDS[1], "label": "a cat"}, {**RECORDS[0], "question": "Which?"}]
    (barks / "barks.json").write_text(json.dumps(records))
    refused = " ".join(harken("score", *OPTIONS, "barks.json").err.split())
    assert "line 1: record 2: answer 'a cat' is not one of the 2 choices" in refused
    assert "line 1: record 3: id 'b1' is taken by the record in line 1 (record 1)" in refused
    (barks / "barks.json").write_text(json.dumps(records, indent=1))
    assert "record 2" not in harken("score", *OPTIONS, "barks.json").err


def test_without_an_official_rule_it_is_evaluated_and_not_scored(barks):
    text = (barks / "barks.py").read_text().replace("    official_rule=barks_rule,\n", "")
    (barks / "barks.py").write_text(text)
    options = ("--benchmark", "barks:BARKS", "--data", "barks.json")
    assert harken("evaluate", "--model", "random-guess", *options, "--out", "out").code == 0
    assert "official" not in json.loads((barks / "out" / "summary.json").read_text())
    (barks / "guesses.json").write_text("[]")
    refused = harken("score", *options, "guesses.json")
    assert refused.code == 2
    assert "barks: harken knows no official rule of Barks" in refused.err


def test_a_script_that_counts_no_bare_answer_in_either_form_is_used_and_its_refusals_are_counted(barks):
    text = (barks / "barks.py").read_text()
    rule = "return prediction.startswith(right_text(question))"
    (barks / "barks.py").write_text(text.replace(rule, 'return prediction == f"I say: {right_text(question)}"'))
    done = harken("evaluate", "--model", "most-frequent-choice", *OPTIONS, "--out", "out")
    assert (done.code, done.err) == (0, "")
    official = json.loads((barks / "out" / "summary.json").read_text())["official"]
    assert (official["n_right_refused"], official["official_accuracy"]["value"]) == (2, 0.0)
