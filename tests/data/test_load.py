"""Sources become questions that can be used; every rejected record is listed, and too many of them stop the run."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from harken.benchmarks.registry import find_reader
from harken.config import SourceConfig
from harken.data import load
from harken.data.audio import ClipFacts
from harken.data.dev_split import split_dev
from harken.data.load import Loaded, load_sources, refuse_if_too_many, write_rejected
from harken.errors import DataError
from harken.types import AudioSpan, Question, Rejected


def record(ident, clip="good.wav", **changes):
    return {"id": ident, "audio_id": clip, "question": "Which?", "choices": ["x", "y"], "answer": "x", **changes}


def without_clip(ident):
    return {key: value for key, value in record(ident).items() if key != "audio_id"}


def write_set(folder, *records, name="q.json"):
    soundfile.write(folder / "good.wav", np.zeros(1600), 16_000)
    (folder / "bad.wav").write_bytes(b"no samples")
    path = folder / name
    path.write_text("[" + ",\n".join(json.dumps(record) for record in records) + "]", encoding="utf-8")
    return path


def test_a_question_whose_clip_cannot_be_decoded_is_rejected_with_its_line(tmp_path):
    path = write_set(tmp_path, record("a"), record("b", "bad.wav"), record("c", "gone.wav"), record("d", "bad.wav"))
    loaded = load_sources([SourceConfig(file=path)], find_reader, need_answer=True)
    assert [question.id for question in loaded.questions] == ["a"]
    assert [(record.id, record.line) for record in loaded.rejected] == [("b", 2), ("c", 3), ("d", 4)]
    assert loaded.durations_s == {AudioSpan(tmp_path / "good.wav"): 0.1}
    assert loaded.rejected[0].reason.startswith(f"{tmp_path / 'bad.wav'}: cannot be decoded")
    assert loaded.rejected[1].reason.startswith(f"{tmp_path / 'gone.wav'}: no such file")


def test_a_clip_whose_name_is_too_long_for_a_file_is_rejected_like_one_that_is_missing(tmp_path):
    path = write_set(tmp_path, record("a"), record("b", "9" * 300 + ".wav"))
    loaded = load_sources([SourceConfig(file=path)], find_reader, need_answer=True)
    assert [question.id for question in loaded.questions] == ["a"]
    assert "cannot be opened (File name too long)" in loaded.rejected[0].reason
    assert loaded.missing == [tmp_path / ("9" * 300 + ".wav")]


def test_each_clip_is_decoded_once(tmp_path, monkeypatch):
    checked = []
    monkeypatch.setattr(
        load, "check_audio", lambda path, *part, truncated: checked.append(path.name) or ClipFacts(24_000)
    )
    path = write_set(tmp_path, record("a"), record("b", "./good.wav"), record("c", "bad.wav"), without_clip("d"))
    loaded = load_sources([SourceConfig(file=path)], find_reader, need_answer=True)
    assert len(loaded.questions) == 4
    assert loaded.durations_s == {AudioSpan(tmp_path / "good.wav"): 1.5, AudioSpan(tmp_path / "bad.wav"): 1.5}
    assert sorted(checked) == ["bad.wav", "good.wav"]


def test_without_audio_no_clip_is_opened_and_no_question_has_one(tmp_path):
    path = write_set(tmp_path, record("a"), record("b", "bad.wav"), record("c", "gone.wav"))
    loaded = load_sources([SourceConfig(file=path, audio="none")], find_reader, need_answer=True)
    assert [(question.id, question.audio) for question in loaded.questions] == [("a", None), ("b", None), ("c", None)]
    assert loaded.rejected == []


def test_a_hidden_answer_is_rejected_only_where_one_is_needed(tmp_path):
    source = SourceConfig(file=write_set(tmp_path, record("a"), record("b", answer=None)))
    assert len(load_sources([source], find_reader, need_answer=False).questions) == 2
    loaded = load_sources([source], find_reader, need_answer=True)
    assert [(record.id, record.line, record.reason) for record in loaded.rejected] == [
        ("b", 2, "no answer, and training needs one")
    ]


def test_an_id_of_an_earlier_source_is_rejected_and_the_place_named(tmp_path):
    first = write_set(tmp_path, record("a"), record("b"), name="1.json")
    second = write_set(tmp_path, record("c"), record("b"), name="2.json")
    loaded = load_sources([SourceConfig(file=first), SourceConfig(file=second)], find_reader, need_answer=True)
    assert [question.id for question in loaded.questions] == ["a", "b", "c"]
    assert loaded.rejected == [Rejected(str(second), 2, "b", f"id 'b' is taken by {first}:2")]


@pytest.mark.parametrize("audio", ["real", "none"])
def test_a_clip_has_the_same_name_wherever_the_data_lies_and_whether_it_is_heard_or_not(tmp_path, audio):
    for place in (tmp_path / "here", tmp_path / "far" / "away"):
        (place / "audio").mkdir(parents=True)
        write_set(place / "audio")
        path = write_set(place, record("a", "./audio/good.wav"), without_clip("b"))
        first, second = load_sources([SourceConfig(file=path, audio=audio)], find_reader, need_answer=True).questions
        assert (first.clip, second.clip) == ("audio/good.wav", "")


def test_a_manifest_is_read_by_its_own_reader(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"id": "a", "text": "Which?", "choices": ["x", "y"], "answer": 1}\n')
    [question] = load_sources([SourceConfig(reader="manifest", file=path)], find_reader, need_answer=True).questions
    assert question.answer == 1


def test_kept_and_rejected_together_are_the_records(tmp_path):
    bad = [
        record("b", "bad.wav"),
        record("a"),
        record("e", answer="z"),
        record("f", "../x.wav"),
        record("g", answer=None),
    ]
    loaded = load_sources([SourceConfig(file=write_set(tmp_path, record("a"), *bad))], find_reader, need_answer=True)
    assert (len(loaded.questions), [record.line for record in loaded.rejected]) == (1, [2, 3, 4, 5, 6])


def test_the_rejected_are_written_one_a_line(tmp_path):
    write_rejected(
        tmp_path / "run" / "rejected.jsonl", [Rejected("f.json", 3, "ä", "r1"), Rejected("f.json", 9, "", "r2")]
    )
    lines = (tmp_path / "run" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file": "f.json", "line": 3, "id": "ä", "reason": "r1"},
        {"file": "f.json", "line": 9, "id": "", "reason": "r2"},
    ]


def question(ident, clip=""):
    audio = Path("/data") / clip if clip else None
    return Question(id=ident, text="?", choices=("x", "y"), answer=0, audio=audio, clip=clip)


def loaded_with(n_kept, n_rejected):
    kept = [question(str(i)) for i in range(n_kept)]
    return Loaded(kept, [Rejected("f.json", i + 1, "", f"reason {i + 1}") for i in range(n_rejected)])


def test_a_share_up_to_the_limit_is_accepted():
    refuse_if_too_many(loaded_with(95, 5), 0.05, Path("r.jsonl"))
    refuse_if_too_many(loaded_with(1, 0), 0.0, Path("r.jsonl"))


def test_too_many_rejected_stop_the_run_and_say_how_to_go_on():
    with pytest.raises(DataError) as raised:
        refuse_if_too_many(loaded_with(94, 6), 0.05, Path("runs/a/rejected.jsonl"))
    assert str(raised.value) == (
        "6 of 100 records cannot be used, 6.0%; data.max_rejected_share is 5.0%. The commonest:\n"
        "  1 x f.json:1: reason 1\n"
        "  1 x f.json:2: reason 2\n"
        "  1 x f.json:3: reason 3\n"
        "All are listed in runs/a/rejected.jsonl. "
        "Correct the records, or raise data.max_rejected_share to go on without them."
    )


def test_eight_hundred_clips_that_are_not_there_are_one_reason():
    rejected = [Rejected("f.json", i, "", f"/clips of mine/{i}.wav: no such file") for i in range(800)]
    rejected += [Rejected("f.json", 900 + i, "", f"id 'q{i}' is taken by the record in line {i}") for i in range(5)]
    with pytest.raises(DataError) as raised:
        refuse_if_too_many(Loaded([], rejected), 0.05, Path("r.jsonl"))
    assert str(raised.value).split("\n")[1:3] == [
        "  800 x f.json:0: /clips of mine/0.wav: no such file",
        "  5 x f.json:900: id 'q0' is taken by the record in line 0",
    ]


def test_no_question_left_stops_the_run_whatever_the_limit():
    with pytest.raises(DataError, match=r"2 of 2 records cannot be used(.|\n)*none is left"):
        refuse_if_too_many(loaded_with(0, 2), 1.0, Path("r.jsonl"))
    with pytest.raises(DataError, match="holds no records"):
        refuse_if_too_many(loaded_with(0, 0), 1.0, Path("r.jsonl"))


QUESTIONS = [question(f"q{i}", f"audio/clip{i // 3}.wav") for i in range(3000)]


def test_a_clip_is_never_on_both_sides_of_the_split():
    train, dev = split_dev(QUESTIONS, 0.2, seed=0)
    assert sorted(question.id for question in train + dev) == sorted(question.id for question in QUESTIONS)
    assert {question.clip for question in train}.isdisjoint({question.clip for question in dev})
    assert len(dev) / 3000 == pytest.approx(0.2, abs=0.05)  # 4 standard deviations over 1000 clips


def test_the_split_depends_on_the_seed_but_not_on_order_company_or_what_is_heard():
    train, dev = split_dev(QUESTIONS, 0.2, seed=0)
    shuffled = random.Random(1).sample(QUESTIONS, 3000)
    unheard = [replace(question, audio=None) for question in QUESTIONS]
    ids = {question.id for question in dev}
    assert {question.id for question in split_dev(shuffled, 0.2, seed=0)[1]} == ids
    assert {question.id for question in split_dev(unheard, 0.2, seed=0)[1]} == ids
    assert {question.id for question in split_dev(QUESTIONS[:1500], 0.2, seed=0)[1]} == ids & {
        f"q{i}" for i in range(1500)
    }
    assert {question.id for question in split_dev(QUESTIONS, 0.2, seed=1)[1]} != ids
    assert [question.id for question in train] == [question.id for question in QUESTIONS if question.id not in ids]


def test_text_only_questions_are_split_by_their_id():
    train, dev = split_dev([question(f"q{i}") for i in range(1000)], 0.5, seed=0)
    assert len(dev) == pytest.approx(500, abs=64)
    assert len(train) == 1000 - len(dev)


def test_a_share_of_zero_keeps_everything_and_an_empty_side_is_an_error():
    assert split_dev(QUESTIONS, 0.0, seed=0) == (QUESTIONS, [])
    with pytest.raises(
        DataError, match=r"data.dev_share 0.1 of 3 questions leaves 3 for training and 0 for development"
    ):
        split_dev(QUESTIONS[:3], 0.1, seed=1)
    with pytest.raises(DataError, match="leaves 0 for training"):
        split_dev(QUESTIONS, 1.0, seed=0)


def test_the_real_test_set_loads_whole(shared):
    loaded = load_sources([SourceConfig(file=shared / "realaqa" / "test.json")], find_reader, need_answer=True)
    assert (len(loaded.questions), loaded.rejected) == (824, [])


def test_parts_of_one_file_are_clips_of_their_own_for_statistics_and_stay_together_in_the_split(tmp_path):
    write_set(tmp_path)
    rows = [
        {"id": f"q{n}", "text": "Which?", "choices": ["x", "y"], "answer": 0, "audio": "good.wav"} for n in range(4)
    ]
    rows[1] |= {"start_s": 0.02}
    rows[2] |= {"start_s": 0.02, "end_s": 0.05}
    rows[3] |= {"end_s": 0.5}
    path = tmp_path / "m.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    loaded = load_sources([SourceConfig(reader="manifest", file=path)], find_reader, need_answer=True)
    good = tmp_path / "good.wav"
    assert loaded.durations_s == {AudioSpan(good): 0.1, AudioSpan(good, 0.02): 0.08, AudioSpan(good, 0.02, 0.05): 0.03}
    name = f"{tmp_path.name}/good.wav"
    assert [question.clip for question in loaded.questions] == [name, f"{name}#t=0.02", f"{name}#t=0.02,0.05"]
    assert [(record.id, record.line) for record in loaded.rejected] == [("q3", 4)]
    assert "the part from 0 s to 0.5 s is not in the file, which lasts 0.100 s" in loaded.rejected[0].reason
    for seed in range(20):
        with pytest.raises(DataError, match="choose another share"):
            split_dev(loaded.questions, 0.5, seed)
