"""MMAU-Pro: three kinds of records, checks of instructions by hand, and what has a closed form."""

import json
import sys
import types

import pytest
from benchmark_files import changed, read_records_of

from harken.benchmarks.instruction_checks import CHECKS, follows
from harken.benchmarks.mmau_pro import MMAU_PRO, RUBRIC, mmau_pro_rule
from harken.results.score import score

CLOSED = {
    **{"id": "c1", "audio_path": ["data/a.wav", "data/b.wav"], "question": "Which is louder?", "category": "multi"},
    **{"choices": ["the first", "the second "], "answer": "the second ", "length_type": "long", "sub-cat": "Spatial"},
    **{"task_identifier": None, "kwargs": None, "transcription": "", "perceptual_skills": ["x"]},
}
OPEN = {**CLOSED, "id": "o1", "category": "open", "choices": None, "answer": "A car starts.", "audio_path": ["a.wav"]}
INSTRUCTION = {
    **{**CLOSED, "id": "i1", "category": "instruction following", "choices": [], "answer": None},
    **{"task_identifier": "Number Words (at most)", "kwargs": {"N": 3.0, "N1": None, "keyword": None}},
}


@pytest.fixture
def read(tmp_path):
    return lambda *records: read_records_of(MMAU_PRO, tmp_path / "q.json", *records)


def test_each_kind_of_record_becomes_a_question(read, tmp_path):
    (closed, opened, instruction), rejected = read(CLOSED, OPEN, INSTRUCTION)
    assert rejected == []
    assert [span.path for span in closed.audio_spans] == [tmp_path / "data" / "a.wav", tmp_path / "data" / "b.wav"]
    assert (closed.choices, closed.answer, closed.task) == (("the first", "the second"), 1, "multi")
    assert (closed.category, closed.subcategory, closed.rubric, closed.check) == ("long", "Spatial", (), "")
    assert (opened.choices, opened.answer, opened.answer_text, opened.rubric) == ((), None, "A car starts.", RUBRIC)
    assert json.loads(instruction.check) == {"kind": "Number Words (at most)", "arguments": {"N": 3.0}}
    assert not any(question.answer_hidden for question in (closed, opened, instruction))
    [as_text], _ = read(changed(INSTRUCTION, kwargs='{"N": 3}'))
    assert json.loads(as_text.check)["arguments"] == {"N": 3}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (changed(CLOSED, category=...), "key 'category' is missing"),
        (changed(CLOSED, choices="a, b"), "choices: expected a list of texts"),
        (changed(CLOSED, audio_path=["a.wav", None]), "clip name: expected text, found None"),
        (changed(INSTRUCTION, kwargs=[3]), "kwargs: expected an object, found [3]"),
        (changed(INSTRUCTION, kwargs="{"), "kwargs: not JSON: '{'"),
    ],
)
def test_a_record_that_cannot_be_used_is_rejected(read, record, reason):
    questions, [rejected] = read(record)
    assert questions == []
    assert reason in rejected.reason


def test_a_choice_alone_is_decided_and_any_other_text_is_left_to_the_embedding(read):
    [closed], _ = read(CLOSED)
    predictions = ("the second", "the first", "second", "The second", "", "the second.")
    assert [mmau_pro_rule(closed, text) for text in predictions] == [True, False, None, None, None, None]
    [without], _ = read(changed(CLOSED, choices=["alone"]))
    assert (without.choices, mmau_pro_rule(without, "alone")) == ((), None)


BY_HAND = [
    ("Include Keywords", {"keywords": "dog, Bell"}, "The bell woke a DOGMA.", True),
    ("Include Keywords", {"keywords": "dog, cat"}, "a dog", False),
    ("Keyword Frequency", {"keyword": "Dog", "N": 2.0}, "dog, dogs and DOG", True),
    ("Keyword Frequency", {"keyword": "dog", "N": 3}, "dog, dogs and dog", False),
    ("Forbidden Words", {"forbidden_words": "cat, car"}, "scarf", False),
    ("Forbidden Words", {"forbidden_words": "cat"}, "a dog", True),
    ("Number Paragraphs", {"N": 2}, "one *** two *** ", True),
    ("Number Words (at least)", {"N": 3}, "one two-three four", True),
    ("Number Words (at most)", {}, "one", False),
    ("Number Words (range)", {"N1": 2, "N2": 3}, "a b c d", False),
    ("Postscript", {"postscript_marker": "P.S."}, "Bye. P. S. more", True),
    ("Postscript", {}, "anything", True),
    ("Number Placeholder", {"N": 2}, "[a] and [] and [b c]", True),
    ("Number Bullets", {"N": 2}, "* a\n * b\n*c", True),
    ("Title", {}, "<<A title>> text", True),
    ("Minimum Number Highlighted Section", {"N": 2}, "*a* and *b*", True),
    ("Multiple Sections", {"N": 2, "section_splitter": "Part."}, "Part. one Part. two", True),
    ("Repeat Prompt", {}, " which is LOUDER? The second.", True),
    ("Two Responses", {}, "a ****** b", True),
    ("Two Responses", {}, "a ****** A ", False),
    ("All Uppercase", {}, "YES 1", True),
    ("All Lowercase", {}, "Yes", False),
    ("All-capital Words (at least)", {"N": 1}, "I see", True),
    ("All-capital Words (at most)", {"N": 0}, "I see", False),
    ("All-capital Words (range)", {"N1": 1, "N2": 2}, "A B C d", False),
    ("Start Checker", {"start_phrase": "Well, then"}, "Well then: yes", True),
    ("End Checker", {"end_phrase": "the end."}, "This is the end!", True),
    ("Quotation", {}, ' "yes" ', True),
    ("No Commas", {}, "one; two", True),
    ("A check of another year", {}, "text", False),
]


@pytest.mark.parametrize(("kind", "arguments", "answer", "right"), BY_HAND)
def test_an_instruction_is_followed(kind, arguments, answer, right):
    assert follows(kind, arguments, "Which is louder?", answer) is right


def test_every_check_but_those_of_sentences_was_tried_by_hand():
    assert {kind for kind in CHECKS if "Sentences" not in kind} <= {kind for kind, *_ in BY_HAND}


def test_sentences_are_counted_by_nltk_and_undecided_without_it(read, monkeypatch):
    [question], _ = read(changed(INSTRUCTION, task_identifier="Number Sentences (at most)", kwargs={"N": 2}))
    monkeypatch.setitem(sys.modules, "nltk", None)
    assert mmau_pro_rule(question, "One. Two.") is None
    fake = types.ModuleType("nltk.tokenize")
    fake.sent_tokenize = lambda text: text.split(". ")
    monkeypatch.setitem(sys.modules, "nltk", types.ModuleType("nltk"))
    monkeypatch.setitem(sys.modules, "nltk.tokenize", fake)
    assert [mmau_pro_rule(question, text) for text in ("One. Two", "One. Two. Three")] == [True, False]


def test_open_questions_are_in_no_figure_and_instructions_count_in_all_of_them(read):
    questions, _ = read(CLOSED, OPEN, INSTRUCTION, changed(INSTRUCTION, id="i2"))
    said = {"c1": "I think the second one", "o1": "A car.", "i1": "two words", "i2": "one two three four"}
    result = score(MMAU_PRO, questions, said)
    assert [result[key] for key in ("n", "n_judged", "n_official", "n_unreadable")] == [3, 1, 2, 0]
    figures = [result[key]["value"] for key in ("official_accuracy", "official_accuracy_all", "choice_accuracy")]
    assert figures == [1 / 2, 1 / 3, 2 / 3]
    assert set(result["by"]["task"]) == {"multi", "instruction following"}
    bare = score(
        MMAU_PRO, questions, {**said, "i1": "<think>one two three</think><answer>two words</answer>"}, bare=True
    )
    assert [bare["official_accuracy"]["value"], bare["n_official"]] == [2 / 3, 3]
