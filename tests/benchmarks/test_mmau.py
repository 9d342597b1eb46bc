"""MMAU's records become questions; a bad one is rejected with a reason that names the value."""

import json
from pathlib import Path

import pytest
from benchmark_files import changed, read_records_of

from harken.benchmarks.mmau import MMAU
from harken.types import Question

RECORD = {
    "id": "q1",
    "audio_id": "./audio/a.wav",
    "question": "Which animal is heard?",
    "choices": ["dog", "cat", "cow"],
    "answer": "cat",
    "dataset": "AudioSet",
    "task": "sound",
    "split": "test-mini",
    "category": "Reasoning",
    "sub-category": "Acoustic Source Inference",
    "difficulty": "easy",
}


@pytest.fixture
def read(tmp_path):
    """Reads records that lie in q.json of the test's folder."""
    return lambda *records, **options: read_records_of(MMAU, tmp_path / "q.json", *records, **options)


def test_a_record_becomes_a_question(read, tmp_path):
    assert read(RECORD) == (
        [
            Question(
                id="q1",
                text="Which animal is heard?",
                choices=("dog", "cat", "cow"),
                answer=1,
                audio=tmp_path / "audio" / "a.wav",
                task="sound",
                difficulty="easy",
                category="Reasoning",
                subcategory="Acoustic Source Inference",
                dataset="AudioSet",
                source=f"{tmp_path}/q.json:1",
            )
        ],
        [],
    )


def test_clip_names_are_relative_to_audio_root(read):
    [question], _ = read(RECORD, audio_root=Path("/clips"))
    assert question.audio == Path("/clips/audio/a.wav")


def test_an_mmar_record_has_its_clip_in_audio_path_and_its_task_in_modality(read, tmp_path):
    record = changed(
        RECORD, audio_id=..., task=..., audio_path="./audio/b.wav", modality="mix-sound-music", language="en"
    )
    [question], _ = read(record)
    assert (question.audio, question.task) == (tmp_path / "audio" / "b.wav", "mix-sound-music")


def test_a_record_without_a_key_about_sound_is_a_text_only_question(read):
    [question], _ = read(changed(RECORD, audio_id=...))
    assert question.audio is None


@pytest.mark.parametrize("record", [{"audio_id": None}, {"audio_id": []}, {"audio_id": ..., "wavPath": "a.wav"}])
def test_a_record_that_speaks_of_sound_and_names_no_clip_is_rejected(read, record):
    questions, [rejected] = read(changed(RECORD, **record))
    assert questions == []
    assert "names no clip, though it has the key" in rejected.reason


@pytest.mark.parametrize("answer", [None, ...])
def test_a_record_without_an_answer_is_kept_with_none(read, answer):
    [question], _ = read(changed(RECORD, answer=answer))
    assert question.answer is None


def test_labels_may_be_missing_or_a_list(read):
    [question], _ = read(changed(RECORD, category=["Reasoning", "Perception"], difficulty=..., dataset=None))
    assert (question.category, question.difficulty, question.dataset) == ("Reasoning, Perception", "", "")


@pytest.mark.parametrize(
    ("choices", "answer", "index"),
    [
        (["dog ", " cat"], "cat", 1),
        (["dog", "cat"], " cat ", 1),
        (["five", "six", "five"], "five", 0),
        (["cat ", "dog", "cat"], "cat", 2),
    ],
    ids=["stray spaces in a choice", "in the answer", "a duplicate choice: the first", "exact text before stripped"],
)
def test_the_answer_is_the_first_choice_with_its_text(read, choices, answer, index):
    [question], _ = read(changed(RECORD, choices=choices, answer=answer))
    assert question.answer == index
    assert question.choices == tuple(choice.strip() for choice in choices)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (changed(RECORD, id=...), "key 'id' is missing"),
        (changed(RECORD, id=7), "id: expected text, found 7"),
        (changed(RECORD, question=...), "key 'question' is missing"),
        (changed(RECORD, question=" \n"), r"question: empty text ' \n'"),
        (changed(RECORD, choices=...), "key 'choices' is missing"),
        (changed(RECORD, choices="dog"), "choices: expected a list of texts, found 'dog'"),
        (changed(RECORD, choices=["dog", 3]), "choices: expected texts that are not empty, found 3"),
        (changed(RECORD, choices=["dog", " "]), "choices: expected texts that are not empty, found ' '"),
        (changed(RECORD, choices=[]), "choices: fewer than two different choices: []"),
        (changed(RECORD, choices=["cat", "cat "]), "choices: fewer than two different choices: ['cat', 'cat ']"),
        (changed(RECORD, answer="D"), "answer 'D' is not one of the 3 choices ['dog', 'cat', 'cow']"),
        (changed(RECORD, answer=1), "answer: expected text, found 1"),
        (changed(RECORD, audio_id=3), "clip name: expected text, found 3"),
        (changed(RECORD, audio_id="/a.wav"), "clip name '/a.wav' is outside audio_root /clips"),
        (changed(RECORD, audio_id="../a.wav"), "clip name '../a.wav' is outside audio_root /clips"),
        (changed(RECORD, task=3), "task: expected text, found 3"),
    ],
)
def test_a_bad_record_is_rejected_with_its_line_and_a_reason_that_names_the_value(read, tmp_path, record, reason):
    questions, [rejected] = read(changed(RECORD, id="other"), record, audio_root=Path("/clips"))
    assert [question.id for question in questions] == ["other"]
    assert (rejected.file, rejected.line, rejected.reason) == (f"{tmp_path}/q.json", 2, reason)
    assert rejected.id == str(record.get("id", ""))


def test_the_second_record_with_an_id_is_rejected(read):
    questions, [rejected] = read(RECORD, changed(RECORD, question="Another?"))
    assert questions[0].text == "Which animal is heard?"
    assert (rejected.id, rejected.line) == ("q1", 2)
    assert rejected.reason == "id 'q1' is taken by the record in line 1"


def test_a_record_may_name_several_clips(read):
    [question], _ = read(changed(RECORD, audio_id=["a.wav", "b/c.wav"]), audio_root=Path("/clips"))
    assert [span.path for span in question.audio_spans] == [Path("/clips/a.wav"), Path("/clips/b/c.wav")]


@pytest.mark.parametrize("name", ["mmau-test-mini.original.json", "mmau-test-mini.v05.15.25.json"])
def test_every_item_of_the_real_mmau_is_read(shared, name):
    path = shared / "benchmarks" / name
    questions, rejected = MMAU.read(path)
    raw = json.loads(path.read_text(encoding="utf-8"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert (len(questions), rejected) == (1000, [])
    for question, record in zip(questions, raw, strict=True):
        assert question.answer is not None
        assert question.choices[question.answer] == record["answer"].strip()
        line = int(question.source.rpartition(":")[2])
        assert lines[line - 1].strip() == "{"
        assert question.id in lines[line]
