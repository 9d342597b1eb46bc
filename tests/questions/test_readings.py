"""Outputs are read as a careful person reads them: a written set, random combinations of templates, public cases."""

import json
from collections import Counter
from pathlib import Path

import pytest
import yaml
from answer_templates import outputs

import grader_table
from harken.questions.grader import grade

WRITTEN = yaml.safe_load(Path(__file__).with_name("readings.yaml").read_text(encoding="utf-8"))
MISREAD = {
    "a hot dog": "a compound of two words cannot be told from a dog that is hot",
    "wind instrument": "the same",
    "The woman is happy, the man is not.": "two choices are true",
    "Ⓒ": "a letter in a circle is taken for the letter",
}
"""Outputs of the written set that are read as a choice where a person reads none, with the reason."""


def read_choice(text: str, choices, letters_shown: bool) -> str | None:
    found = grade(text, choices, None, letters_shown=letters_shown).choice
    return None if found is None else choices[found]


def test_the_written_set_has_four_hundred_outputs_over_forty_kinds_of_question():
    assert len(WRITTEN) >= 40
    assert sum(len(kind["outputs"]) for kind in WRITTEN) >= 400


@pytest.mark.parametrize("kind", WRITTEN, ids=[kind["about"][:40] for kind in WRITTEN])
def test_an_output_of_the_written_set_is_read_as_a_person_reads_it_or_not_at_all(kind):
    for text, reading in kind["outputs"]:
        assert reading is None or reading in kind["choices"]
        found = read_choice(text, kind["choices"], kind["letters"])
        assert found in (reading, None) or text in MISREAD, (text, reading, found)


def test_the_written_set_is_read_as_docs_evaluation_says():
    counts: Counter[str] = Counter()
    for kind in WRITTEN:
        for text, reading in kind["outputs"]:
            found = read_choice(text, kind["choices"], kind["letters"])
            counts["as a person" if found == reading else "unreadable" if found is None else "misread"] += 1
    assert counts == {"as a person": 403, "unreadable": 8, "misread": 4}
    page = " ".join(grader_table.PAGE.read_text(encoding="utf-8").split())
    assert "415 outputs over 46 kinds of question" in page
    assert "403 are read as a person reads them, 8 are unreadable, and 4 are read as a choice" in page


def check_random_outputs(n: int, seed: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for output in outputs(n, seed):
        choice = grade(output.text, output.choices, None, letters_shown=output.letters_shown).choice
        assert choice in (output.reading, None), output
        counts["right" if choice == output.reading else "unreadable"] += 1
    return counts


def test_no_random_output_is_read_as_a_wrong_choice_and_no_denial_or_question_as_any():
    counts = check_random_outputs(3_000, seed=0)
    assert counts["right"] > 0.95 * counts.total()


@pytest.mark.slow
def test_no_random_output_of_a_hundred_thousand_is_read_as_a_wrong_choice():
    assert check_random_outputs(100_000, seed=1)["right"] > 95_000


def test_the_table_of_rules_on_the_page_is_what_the_grader_reads():
    text = grader_table.PAGE.read_text(encoding="utf-8")
    assert grader_table.page(text) == text


def test_public_cases_are_read_as_their_table_says(shared):
    with (shared / "cases" / "grader" / "cases.jsonl").open(encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    assert len(cases) > 60
    for case in cases:
        found = read_choice(case["text"], case["choices"], case["letters_shown"])
        assert found in ((case["human"],) if case["must"] else (case["human"], None)), case


def test_a_choice_before_a_sea_of_spaces_is_not_the_whole_answer():
    assert grade("dog" + " " * 30_000 + "cat", ("dog", "cat"), 0, letters_shown=False).choice is None
    assert grade("dog" + " " * 30_000, ("dog", "cat"), 0, letters_shown=False).correct


@pytest.mark.parametrize("letters_shown", [False, True])
def test_a_choice_repeated_for_ever_hides_no_other(letters_shown):
    text = "a cat. " * 300 + "a dog"
    assert grade(text, ("a cat", "a dog"), 0, letters_shown=letters_shown).choice is None
