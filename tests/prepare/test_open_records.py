"""`harken prepare jsonl --format open`: the answer of each record becomes a reference, and nothing else does."""

import json

import pytest
from made_media import tone, write_wav

from harken.data.manifest import read_manifest, write_manifest
from harken.data.records import RecordError
from harken.prepare.clip_finder import ClipFinder
from harken.prepare.open_records import read_open
from harken.prepare.trainer_jsonl import prepare_jsonl
from harken.questions.prompt import TRANSCRIBE
from harken.types import Question

TURNS = [{"role": "user", "content": "<audio>Who speaks?"}, {"role": "assistant", "content": "a woman"}]
LETTERED = [{"role": "user", "content": "<audio>Who?\nA. a man\nB. a woman"}, {"role": "assistant", "content": "B"}]
THOUGHT = "<think>It is high.</think><answer>a woman</answer>"
CLIP = {"audio": "a.wav"}


@pytest.fixture
def clips(tmp_path):
    write_wav(tmp_path / "a.wav", tone(440, 16_000, 0.2))
    return ClipFinder(tmp_path, tmp_path / "embedded")


@pytest.mark.parametrize(
    ("record", "text", "reference"),
    [
        ({"question": "Who speaks?", "answer": "a woman"}, "Who speaks?", "a woman"),
        ({"question_text": "Who speaks?", "answer": " a woman "}, "Who speaks?", "a woman"),
        ({"messages": TURNS}, "Who speaks?", "a woman"),
        ({"prompt": TURNS[:1], "solution": THOUGHT}, "Who speaks?", "a woman"),
        ({"instruction": "Who speaks?", "output": "a woman"}, "Who speaks?", "a woman"),
        ({"question": "Who speaks?", "choices": ["a man", "a woman"], "answer": "a woman"}, "Who speaks?", "a woman"),
        ({"messages": LETTERED}, "Who?", "a woman"),
        ({"text": "Who speaks?", "choices": ["a man", "a woman"], "answer": 1}, "Who speaks?", "a woman"),
        ({"text": "Who speaks?", "answer_text": "a woman"}, "Who speaks?", "a woman"),
        ({"text": "MEET ME AT NOON"}, TRANSCRIBE, "MEET ME AT NOON"),
        ({"sentence": "Meet me.", "text": "other"}, TRANSCRIBE, "Meet me."),
    ],
)
def test_a_question_keeps_its_text_and_its_right_answer_becomes_the_reference(record, text, reference, clips, tmp_path):
    question = read_open({"id": "a", **CLIP, **record}, clips, "f:1")
    had_choices = "choices" in record or record.get("messages") == LETTERED
    ident = "a-open" if had_choices else "a"
    assert (question.id, question.text, question.answer_text) == (ident, text, reference)
    assert (question.choices, question.answer, question.audio) == ((), None, tmp_path / "a.wav")
    assert question.reasoning == ("It is high." if "solution" in record else "")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"question": "Who speaks?"}, "no answer, so there is no reference"),
        ({"question": "Who speaks?", "answer": 3}, "answer: expected text, found 3"),
        ({"question": "Who speaks?", "answer": "<answer> </answer>"}, "answer: empty text"),
        ({"question": "Who speaks?", "answer": "<think>for ever"}, "answer: empty text"),
        ({"question": " ", "answer": "a woman"}, "text: empty text"),
        ({"speaker": 3}, "transcript: no answer"),
        ({"text": ["a"]}, "text: expected text"),
        ({"text": "Who?", "choices": ["a", "b"], "answer": None}, "answer: hidden"),
        ({"choices": ["a", "b"], "answer": 0}, "question: expected text, found None"),
    ],
)
def test_a_record_without_a_reference_or_a_question_is_refused_with_the_reason(record, says, clips):
    with pytest.raises(RecordError, match=says):
        read_open({**CLIP, **record}, clips, "f:1")


def test_a_manifest_goes_through_the_command_and_its_open_questions_stay_what_they_are(tmp_path):
    write_wav(tmp_path / "a.wav", tone(440, 16_000, 0.2))
    made = [
        Question("c", "Which?", ("a dog", "a cat"), 1, tmp_path / "a.wav"),
        Question("o", "Why?", (), None, tmp_path / "a.wav", answer_text="for joy"),
        Question("h", "Hidden?", ("a dog", "a cat"), None, tmp_path / "a.wav"),
        Question("n", "None?", ("a dog", "a cat"), None, tmp_path / "a.wav", answer_text="a cow"),
    ]
    write_manifest(tmp_path / "manifest.jsonl", made)
    prepare_jsonl(tmp_path / "manifest.jsonl", "open", tmp_path, tmp_path / "out", reword=False, workers=1)
    back, broken = read_manifest(tmp_path / "out" / "manifest.jsonl", tmp_path)
    assert [(q.id, q.text, q.choices, q.answer_text) for q in back] == [
        ("c-open", "Which?", (), "a cat"),
        ("o", "Why?", (), "for joy"),
        ("n-open", "None?", (), "a cow"),
    ]
    [left_out] = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert (broken, left_out["id"]) == ([], "h")
