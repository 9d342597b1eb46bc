"""MMAR's records become questions; a bad one is rejected with a reason that names the value."""

import pytest
from benchmark_files import changed, read_records_of

from harken.benchmarks.mmar import MMAR
from harken.types import Criterion, Question

RECORD = {
    "id": "abc_00-00-01_00-00-05",
    "audio_path": "./audio/another-name.wav",
    "question": "Which animal is heard?",
    "choices": ["dog", "cat ", "cow"],
    "answer": "cat",
    "modality": "mix-sound-music-speech",
    "category": "Perception Layer",
    "sub-category": "Correlation Analysis",
    "language": None,
    "source": "somewhere",
    "url": "https://example.org",
    "timestamp": "00:00:01,00:00:05",
}
RUBRIC = {
    "thinking": "It barks.",
    "cue": ["bark"],
    "rubric": [{"name": "Cue", "scoring_point": "Award 1 point for the bark.", "note": "n", "choices": [0, 1]}],
}


@pytest.fixture
def read(tmp_path):
    """Reads records that lie in q.json of the test's folder."""
    return lambda *records, **options: read_records_of(MMAR, tmp_path / "q.json", *records, **options)


@pytest.mark.parametrize("lines", [False, True], ids=["the file of 2025", "the file of 2026"])
def test_an_mmar_record_becomes_a_question_with_the_clip_of_audio_path(read, tmp_path, lines):
    record = changed(RECORD, **RUBRIC) if lines else RECORD
    assert read(record, lines=lines) == (
        [
            Question(
                id="abc_00-00-01_00-00-05",
                text="Which animal is heard?",
                choices=("dog", "cat", "cow"),
                answer=1,
                audio=tmp_path / "audio" / "another-name.wav",
                task="mix-sound-music-speech",
                category="Perception Layer",
                subcategory="Correlation Analysis",
                source=f"{tmp_path}/q.json:1",
                reasoning="It barks." if lines else "",
                rubric=(Criterion("Cue", "Award 1 point for the bark.", (0, 1)),) if lines else (),
            )
        ],
        [],
    )


@pytest.mark.parametrize(
    "rubric", ["x", ["x"], [{"name": "Cue"}], [{"name": "Cue", "scoring_point": "x", "choices": [0, "1"]}]]
)
def test_a_rubric_that_cannot_be_read_is_a_reason(read, rubric):
    questions, [rejected] = read(changed(RECORD, rubric=rubric))
    assert questions == []
    assert rejected.reason.startswith("rubric: ")


def test_an_mmar_answer_that_is_no_choice_is_kept_as_text(read):
    [question], _ = read(changed(RECORD, answer="dog\ncat"))
    assert (question.answer, question.answer_text) == (None, "dog\ncat")
    [hidden], _ = read(changed(RECORD, answer=None))
    assert (hidden.answer, hidden.answer_text) == (None, "")


def test_an_empty_choice_of_mmar_is_left_out(read):
    [question], _ = read(changed(RECORD, choices=["dog", "cat", ""]))
    assert (question.choices, question.answer) == (("dog", "cat"), 1)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (changed(RECORD, audio_path=...), "key 'audio_path' is missing"),
        (changed(RECORD, modality=...), "key 'modality' is missing"),
        (
            changed(RECORD, category="Reasoning"),
            "category: expected one of Signal Layer, Perception Layer, Semantic Layer",
        ),
        (
            changed(RECORD, modality="sound-music"),
            "modality: expected one of sound, music, speech, mix-sound-music, mix",
        ),
        (changed(RECORD, choices=["dog", ""]), "choices: fewer than two different choices: ['dog']"),
        (changed(RECORD, choices="dog"), "choices: expected a list of texts, found 'dog'"),
        (changed(RECORD, choices=["dog", " ", 3]), "choices: expected texts that are not empty, found ' '"),
        (changed(RECORD, answer=3), "answer: expected text, found 3"),
        (changed(RECORD, audio_path="../../etc/passwd"), "clip name '../../etc/passwd' is outside audio_root"),
    ],
)
def test_a_bad_mmar_record_is_rejected(read, record, reason):
    [kept], [rejected] = read(changed(RECORD, id="other"), record)
    assert (kept.id, rejected.line) == ("other", 2)
    assert rejected.reason.startswith(reason)
