"""MMAR's, AIR-Bench's and MMSU's records become questions; MMAU-Pro's and MMAR-Rubrics' their own values; every
record is kept or rejected with a reason that names the value."""

import json
from typing import get_args

import pytest

from harken.benchmarks.airbench_records import read_airbench
from harken.benchmarks.mmar_records import read_mmar
from harken.benchmarks.mmar_rubrics import Criterion, Rubric, read_rubrics
from harken.benchmarks.mmau_pro import Instruction, read_instructions
from harken.benchmarks.mmsu_records import read_mmsu
from harken.benchmarks.readers import READERS
from harken.config import SourceConfig
from harken.types import Question

MMAR = {
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
AIRBENCH = {
    "path": "a.wav",
    "question": "Which animal is heard?",
    "choice_a": "dog",
    "choice_b": "cat",
    "choice_c": "cow",
    "choice_d": "hen",
    "answer_gt": "cow",
    "task_name": "Sound_AQA",
    "dataset_name": "avqa",
    "uniq_id": 17,
}
MMSU = {
    "id": "accent_1",
    "audio_path": "audio/accent_1.wav",
    "question": "Which accent is it?",
    **{"choice_a": "one", "choice_b": "two", "choice_c": "three", "choice_d": "four", "answer_gt": "two"},
    **{"task_name": "accent", "category": "Perception", "sub-category": "Paralinguistics"},
    **{"sub-sub-category": "speaker", "linguistics_sub_discipline": "phonetics"},
}
INSTRUCTION = {
    **{"id": "i1", "audio_path": ["a.wav", "b.wav"], "question": "Describe it in capital letters.", "answer": None},
    **{"category": "instruction following", "task_identifier": "Number Words (range)"},
    "kwargs": {"N": None, "N1": 3, "N2": 9, "keyword": None},
}
RUBRIC = {
    "thinking": "It barks.",
    "cue": ["bark"],
    "rubric": [{"name": "Cue", "scoring_point": "Award 1 point for the bark.", "note": "n", "choices": [0, 1]}],
}


@pytest.fixture
def read(tmp_path):
    def read_list(reader, *records, lines=False):
        path = tmp_path / "q.json"
        texts = [json.dumps(record) for record in records]
        path.write_text("\n".join(texts) if lines else "[" + ",\n".join(texts) + "]", encoding="utf-8")
        kept, rejected = reader(path)
        assert len(kept) + len(rejected) == len(records)
        return kept, rejected

    return read_list


def changed(record, **changes):
    return {key: value for key, value in {**record, **changes}.items() if value is not ...}


@pytest.mark.parametrize("lines", [False, True], ids=["the file of 2025", "the file of 2026"])
def test_an_mmar_record_becomes_a_question_with_the_clip_of_audio_path(read, tmp_path, lines):
    record = changed(MMAR, **RUBRIC) if lines else MMAR
    assert read(read_mmar, record, lines=lines) == (
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
            )
        ],
        [],
    )


def test_an_mmar_answer_that_is_no_choice_is_kept_as_text(read):
    [question], _ = read(read_mmar, changed(MMAR, answer="dog\ncat"))
    assert (question.answer, question.answer_text) == (None, "dog\ncat")
    [hidden], _ = read(read_mmar, changed(MMAR, answer=None))
    assert (hidden.answer, hidden.answer_text) == (None, "")


def test_an_empty_choice_of_mmar_is_left_out(read):
    [question], _ = read(read_mmar, changed(MMAR, choices=["dog", "cat", ""]))
    assert (question.choices, question.answer) == (("dog", "cat"), 1)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (changed(MMAR, audio_path=...), "key 'audio_path' is missing"),
        (changed(MMAR, modality=...), "key 'modality' is missing"),
        (
            changed(MMAR, category="Reasoning"),
            "category: expected one of Signal Layer, Perception Layer, Semantic Layer",
        ),
        (changed(MMAR, modality="sound-music"), "modality: expected one of sound, music, speech, mix-sound-music, mix"),
        (changed(MMAR, choices=["dog", ""]), "choices: fewer than two different choices: ['dog']"),
        (changed(MMAR, choices="dog"), "choices: expected a list of texts, found 'dog'"),
        (changed(MMAR, choices=["dog", " ", 3]), "choices: expected texts that are not empty, found ' '"),
        (changed(MMAR, answer=3), "answer: expected text, found 3"),
        (changed(MMAR, audio_path="../../etc/passwd"), "clip name '../../etc/passwd' is outside audio_root"),
    ],
)
def test_a_bad_mmar_record_is_rejected(read, record, reason):
    [kept], [rejected] = read(read_mmar, changed(MMAR, id="other"), record)
    assert (kept.id, rejected.line) == ("other", 2)
    assert rejected.reason.startswith(reason)


def test_an_airbench_record_becomes_a_question_in_the_folder_of_its_task_and_dataset(read, tmp_path):
    assert read(read_airbench, AIRBENCH) == (
        [
            Question(
                id="Sound_AQA_avqa/17",
                text="Which animal is heard?",
                choices=("dog", "cat", "cow", "hen"),
                answer=2,
                audio=tmp_path / "Sound_AQA_avqa" / "a.wav",
                task="Sound_AQA",
                dataset="avqa",
                source=f"{tmp_path}/q.json:1",
            )
        ],
        [],
    )


@pytest.mark.parametrize(("name", "file"), [("a.b.wav", "a.b.flac"), ("a.flac", "a.flac"), ("a", "a.flac")])
def test_audio_grounding_clips_are_flac(read, tmp_path, name, file):
    [question], _ = read(read_airbench, changed(AIRBENCH, path=name, task_name="Audio_Grounding", dataset_name="AG"))
    assert question.audio == tmp_path / "Audio_Grounding_AG" / file


def test_the_same_uniq_id_in_two_folders_is_two_questions(read):
    kept, _ = read(read_airbench, AIRBENCH, changed(AIRBENCH, dataset_name="clothoaqa"))
    assert [one.id for one in kept] == ["Sound_AQA_avqa/17", "Sound_AQA_clothoaqa/17"]
    _, [rejected] = read(read_airbench, AIRBENCH, AIRBENCH)
    assert rejected.reason == "id 'Sound_AQA_avqa/17' is taken by the record in line 1"


@pytest.mark.parametrize("reader", [read_airbench, read_mmsu])
@pytest.mark.parametrize(
    ("changes", "choices", "answer"),
    [
        ({"choice_c": None, "choice_d": None}, ("x", "y"), 1),
        ({"choice_c": ..., "choice_d": ...}, ("x", "y"), 1),
        ({"choice_d": ""}, ("x", "y", "z"), 1),
        ({"choice_c": "y"}, ("x", "y", "y", "w"), 1),
        ({"choice_a": 61, "choice_b": 7, "answer_gt": 7}, ("61", "7", "z", "w"), 1),
        ({"answer_gt": " y "}, ("x", "y", "z", "w"), 1),
        ({"answer_gt": None}, ("x", "y", "z", "w"), None),
        ({"answer_gt": ...}, ("x", "y", "z", "w"), None),
    ],
)
def test_lettered_choices_keep_their_letters(read, reader, changes, choices, answer):
    base = {**MMSU, **AIRBENCH, "choice_a": "x", "choice_b": "y", "choice_c": "z", "choice_d": "w", "answer_gt": "y"}
    [question], _ = read(reader, changed(base, **changes))
    assert (question.choices, question.answer) == (choices, answer)


@pytest.mark.parametrize("reader", [read_airbench, read_mmsu])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"choice_c": None}, "choice_c is missing; choices: ['dog', 'cat', None, 'hen']"),
        ({"choice_b": None, "choice_c": None, "choice_d": None}, "choice_b is missing"),
        ({"choice_a": ["dog"]}, "choice_a: expected text, found ['dog']"),
        ({"choice_a": True}, "choice_a: expected text, found True"),
        ({"answer_gt": "C"}, "answer 'C' is not one of the 4 choices ['dog', 'cat', 'cow', 'hen']"),
        ({"question": ""}, "question: empty text ''"),
    ],
)
def test_a_bad_lettered_record_is_rejected(read, reader, changes, reason):
    _, [rejected] = read(reader, changed({**MMSU, **AIRBENCH}, **changes))
    assert rejected.reason.startswith(reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task_name": None}, "task_name: expected text, found None"),
        ({"uniq_id": ...}, "key 'uniq_id' is missing"),
        ({"path": "../../a.wav"}, "clip name '../../a.wav' is outside audio_root"),
        ({"path": "/etc/passwd"}, "clip name '/etc/passwd' is outside audio_root"),
        ({"dataset_name": "\0"}, "task_name and dataset_name 'Sound_AQA_\\x00' name no folder"),
        ({"task_name": "../x"}, "task_name and dataset_name '../x_avqa' name no folder"),
    ],
)
def test_a_bad_airbench_record_is_rejected(read, changes, reason):
    _, [rejected] = read(read_airbench, changed(AIRBENCH, **changes))
    assert rejected.reason.startswith(reason)


def test_an_mmsu_record_becomes_a_question(read, tmp_path):
    assert read(read_mmsu, MMSU) == (
        [
            Question(
                id="accent_1",
                text="Which accent is it?",
                choices=("one", "two", "three", "four"),
                answer=1,
                audio=tmp_path / "audio" / "accent_1.wav",
                task="accent",
                category="Perception",
                subcategory="Paralinguistics",
                source=f"{tmp_path}/q.json:1",
            )
        ],
        [],
    )


def test_an_instruction_has_its_clips_its_constraint_and_the_arguments_that_are_set(read, tmp_path):
    clips = (tmp_path / "a.wav", tmp_path / "b.wav")
    text, constraint = "Describe it in capital letters.", "Number Words (range)"
    expected = Instruction("i1", text, clips, constraint, {"N1": 3, "N2": 9}, f"{tmp_path}/q.json:1")
    assert read(read_instructions, INSTRUCTION) == ([expected], [])
    [bare], _ = read(read_instructions, changed(INSTRUCTION, audio_path="a.wav", kwargs=None))
    assert (bare.audio, bare.arguments) == ((tmp_path / "a.wav",), {})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"category": "sound"}, "category: 'sound' is not 'instruction following'"),
        ({"task_identifier": None}, "task_identifier: expected text, found None"),
        ({"kwargs": "N=3"}, "kwargs: expected an object, found 'N=3'"),
        ({"kwargs": {"N": [3]}}, "kwargs.N: expected text or a whole number, found [3]"),
        ({"audio_path": None}, "clip name: expected text, found None"),
    ],
)
def test_a_bad_instruction_is_rejected(read, changes, reason):
    kept, [rejected] = read(read_instructions, changed(INSTRUCTION, id="other"), changed(INSTRUCTION, **changes))
    assert [one.id for one in kept] == ["other"]
    assert rejected.reason == reason


def test_a_rubric_has_its_criteria(read):
    criterion = Criterion("Cue", "Award 1 point for the bark.", (0, 1))
    assert read(read_rubrics, changed(MMAR, **RUBRIC)) == (
        [Rubric(MMAR["id"], "It barks.", ("bark",), (criterion,))],
        [],
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cue": ...}, "cue: expected a list of texts, found None"),
        ({"rubric": []}, "rubric: expected a list of criteria, found []"),
        ({"rubric": ["x"]}, "rubric: expected an object, found 'x'"),
        (
            {"rubric": [{"name": "x", "scoring_point": "y", "choices": [0, 0.5]}]},
            "rubric.choices: expected a list",
        ),
        ({"rubric": [{"scoring_point": "y", "choices": [0, 1]}]}, "key 'name' is missing"),
        ({"thinking": ...}, "key 'thinking' is missing"),
    ],
)
def test_a_bad_rubric_is_rejected(read, changes, reason):
    _, [rejected] = read(read_rubrics, changed({**MMAR, **RUBRIC}, **changes))
    assert rejected.reason.startswith(reason)


def test_the_readers_of_a_recipe_are_those_that_there_are():
    assert set(get_args(SourceConfig.model_fields["reader"].annotation)) == set(READERS)
