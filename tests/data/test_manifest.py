"""Questions read from a manifest equal those that were written, wherever the manifest is moved."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.data.manifest import read_manifest, write_manifest
from harken.errors import DataError
from harken.types import Question

QUESTION = Question(id="a", text="Which?", choices=("x", "y"), answer=0, audio=None)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=8)


@st.composite
def question_sets(draw):
    questions = []
    for ident in draw(st.lists(texts.filter(str.strip), unique=True, max_size=5)):
        choices = draw(st.lists(texts.filter(str.strip), min_size=2, max_size=5, unique_by=str.strip))
        parts = draw(st.none() | st.lists(names.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3))
        start_s = draw(st.sampled_from([0.0, 1.25]))
        end_s = draw(st.sampled_from([None, 1.5, 30.0]))
        questions.append(
            Question(
                id=ident,
                text=draw(texts.filter(str.strip)),
                choices=tuple(choices),
                answer=draw(st.none() | st.integers(0, len(choices) - 1)),
                audio=None if parts is None else Path("/data/clips", *parts),
                start_s=start_s if parts else 0.0,
                end_s=end_s if parts else None,
                **{
                    key: draw(texts)
                    for key in ("task", "difficulty", "category", "subcategory", "dataset", "reasoning")
                },
            )
        )
    return questions


@given(questions=question_sets())
def test_what_is_written_is_read_back(tmp_path_factory, questions):
    path = tmp_path_factory.mktemp("manifest") / "m.jsonl"
    write_manifest(path, questions, Path("/data/clips"))
    read, rejected = read_manifest(path, Path("/data/clips"))
    assert rejected == []
    assert [replace(question, source="") for question in read] == questions
    assert [question.source for question in read] == [f"{path}:{line + 1}" for line in range(len(questions))]


def test_clips_are_relative_to_the_manifest_so_that_both_can_be_moved(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    write_manifest(old / "m.jsonl", [replace(QUESTION, audio=old / "clips" / "a.wav")])
    assert json.loads((old / "m.jsonl").read_text())["audio"] == "clips/a.wav"
    old.rename(new)
    [question], _ = read_manifest(new / "m.jsonl")
    assert question.audio == new / "clips" / "a.wav"


def test_a_clip_outside_the_root_is_refused_and_the_old_manifest_stays(tmp_path):
    write_manifest(tmp_path / "m.jsonl", [QUESTION])
    before = (tmp_path / "m.jsonl").read_bytes()
    with pytest.raises(DataError, match=r"question 'b': clip /elsewhere/a\.wav is outside"):
        write_manifest(tmp_path / "m.jsonl", [QUESTION, replace(QUESTION, id="b", audio=Path("/elsewhere/a.wav"))])
    assert (tmp_path / "m.jsonl").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.jsonl"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dificulty": "easy"}, "unknown key 'dificulty'; known: id, text, choices, answer, audio, task,"),
        ({"answer": 2}, "answer: expected an index from 0 to 1 or null, found 2"),
        ({"answer": -1}, "answer: expected an index from 0 to 1 or null, found -1"),
        ({"answer": True}, "answer: expected an index from 0 to 1 or null, found True"),
        ({"answer": "x"}, "answer: expected an index from 0 to 1 or null, found 'x'"),
        ({"audio": "../a.wav"}, "clip name '../a.wav' is outside audio_root"),
        ({"audio": "a.wav", "start_s": -1}, "start_s: expected seconds, 0 or more, found -1"),
        ({"audio": "a.wav", "start_s": True}, "start_s: expected seconds, 0 or more, found True"),
        ({"audio": "a.wav", "end_s": "3"}, "end_s: expected seconds, 0 or more, found '3'"),
        ({"audio": "a.wav", "start_s": 3, "end_s": 3.0}, "end_s: 3 is not after start_s, 3"),
        ({"start_s": 3}, "start_s: a part of a file, and the record names no audio"),
        ({"id": ""}, "id: empty text ''"),
        ({"text": None}, "text: expected text, found None"),
    ],
)
def test_a_bad_record_is_rejected_with_a_reason_that_names_the_value(tmp_path, change, reason):
    record = {"id": "a", "text": "Which?", "choices": ["x", "y"], "answer": 0, **change}
    (tmp_path / "m.jsonl").write_text(json.dumps(record))
    questions, [rejected] = read_manifest(tmp_path / "m.jsonl")
    assert questions == []
    assert rejected.reason.startswith(reason)


def test_a_whole_file_has_no_part_keys_and_a_part_has_both(tmp_path):
    whole = replace(QUESTION, audio=tmp_path / "a.wav")
    write_manifest(tmp_path / "m.jsonl", [whole, replace(whole, id="b", start_s=2.5)])
    first, second = (json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines())
    assert not {"start_s", "end_s"} & first.keys()
    assert (second["start_s"], second["end_s"]) == (2.5, None)
