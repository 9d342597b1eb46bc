"""Baselines without a model are reproducible and graded like a model's answers."""

import json

import pytest

from harken.config import EvaluationRecipe
from harken.data.manifest import write_manifest
from harken.errors import DataError
from harken.evaluation.baselines import most_frequent_choice, random_guess
from harken.evaluation.evaluate import evaluate
from harken.types import Question


def questions(*answers: int | None, choices=("a", "b", "c")) -> list[Question]:
    return [Question(f"q{i}", "Which?", choices, answer, None) for i, answer in enumerate(answers)]


def test_a_random_guess_depends_on_the_id_alone_and_takes_every_choice_equally_often():
    many = questions(*[0] * 3000)
    guessed = random_guess(many)
    assert random_guess(many[::-1]) == guessed[::-1]
    assert all(950 < guessed.count(choice) < 1050 for choice in range(3))


def test_the_most_frequent_choice_is_the_position_that_is_most_often_right_of_equals_the_first():
    assert most_frequent_choice(questions(2, 1, 2, None)) == [2, 2, 2, 2]
    assert most_frequent_choice(questions(2, 1)) == [1, 1]
    assert most_frequent_choice([*questions(2, 2), *questions(0, choices=("a", "b"))]) == [2, 2, 1]
    with pytest.raises(DataError, match="hides its answers"):
        most_frequent_choice(questions(None))


def test_a_baseline_goes_through_the_same_evaluation_as_a_model(tmp_path):
    write_manifest(tmp_path / "q.jsonl", questions(2, 0, 2, 2))
    recipe = {"model": "most-frequent-choice", "data": {"reader": "manifest", "file": str(tmp_path / "q.jsonl")}}
    summary = evaluate(EvaluationRecipe.model_validate(recipe), tmp_path / "eval")
    assert summary["accuracy"]["all"]["mean"] == 0.75
    rows = [json.loads(line) for line in (tmp_path / "eval" / "predictions.jsonl").read_text().splitlines()]
    assert [(row["completion"], row["correct"]) for row in rows] == [
        ("c", True),
        ("c", False),
        ("c", True),
        ("c", True),
    ]


@pytest.mark.parametrize("reader", ["manifest", "mmau"])
def test_a_record_that_stands_twice_changes_neither_accuracy_nor_denominator(tmp_path, reader):
    """Three questions, all answered right by always taking the last choice, and one of them again."""
    path = tmp_path / "q.jsonl"
    write_manifest(path, questions(2, 2, 2))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    if reader == "mmau":
        lines = [{"id": one["id"], "question": one["text"], "choices": ["a", "b", "c"], "answer": "c"} for one in lines]
    other = {**lines[2], "choices": ["c", "b", "a"]} if reader == "manifest" else {**lines[2], "choices": ["c", "b"]}
    for again, n, mean, repeated in ((lines[1], 3, 1.0, 1), (other, 4, 0.75, 0)):
        path.write_text("".join(json.dumps(one) + "\n" for one in [*lines, again]))
        recipe = {"model": "most-frequent-choice", "data": {"reader": reader, "file": str(path)}}
        out = tmp_path / f"eval{n}"
        summary = evaluate(EvaluationRecipe.model_validate(recipe), out)
        assert (summary["n"], summary["accuracy"]["all"]["mean"]) == (n, mean)
        assert (summary["n_rejected"], summary["n_repeated"]) == (1 - repeated, repeated)
        [rejected] = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
        assert rejected.get("repeated", False) is bool(repeated)
