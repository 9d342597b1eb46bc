"""Clips and questions that a training set shares with benchmarks are found, and what could not be compared is told."""

import json
import re

import pytest
from command_line import harken, refused_by
from leak_sets import melody, write_sets
from made_media import tone, write_wav

from harken.data.manifest import write_manifest
from harken.errors import DataError
from harken.prepare.leak_check import check_leaks, has_leak
from harken.prepare.leak_check_sets import ComparedSet, compared_records
from harken.types import Question


def test_each_rule_finds_its_leak_in_each_format(tmp_path):
    write_sets(tmp_path)
    benchmarks = [tmp_path / name for name in ("mmau/mmau.json", "mmar.json", "air.json", "vgg.csv")]
    training = ComparedSet(tmp_path / "train" / "manifest.jsonl")
    checked = check_leaks(training, [ComparedSet(file) for file in benchmarks], 1, tmp_path / "leaks.jsonl")
    pairs = [(report.name, [(leak.rule, leak.id, leak.benchmark_id) for leak in report.leaks]) for report in checked]
    assert pairs == [
        ("mmau.json", [("content", "t2", "m1"), ("question", "t3", "m2")]),
        ("mmar.json", [("clip", "t1", "r1")]),
        ("air.json", [("clip", "t1", "9")]),
        ("vgg.csv", [("clip", "t1", "-HG3Omg_89c_000030")]),
    ]
    assert checked[0].coverage.n_by_hash == [3, 1]
    assert checked[1].coverage.n_by_id == [1, 1]
    assert checked[1].coverage.n_not_compared == 2
    lines = [json.loads(line) for line in (tmp_path / "leaks.jsonl").read_text().splitlines()]
    assert lines[0] == {"rule": "content", "id": "t2", "benchmark": "mmau.json", "benchmark_id": "m1"}
    assert len(lines) == 5


def test_a_set_that_names_neither_clips_nor_questions_is_an_error(tmp_path):
    (tmp_path / "x.json").write_text('[{"id": 1}, {"audio": "/../../x", "start_s": "no"}]')
    assert len(list(compared_records(tmp_path / "x.json"))) == 2
    (tmp_path / "y.json").write_text('[{"id": 1}]')
    with pytest.raises(DataError, match=r"y\.json: no record names a clip or asks a question"):
        list(compared_records(tmp_path / "y.json"))


def test_the_check_command_prints_a_table_and_ends_with_1_where_a_clip_is_in_both(tmp_path):
    write_sets(tmp_path)
    manifest = tmp_path / "train" / "manifest.jsonl"
    leaking = harken("prepare", "check", manifest, f"{tmp_path}/mmau/mmau.json:{tmp_path}/mmau", "--workers", 1)
    assert leaking.code == 1
    assert "same content (first: t2 = m1)" in " ".join(leaking.out.split())
    (tmp_path / "clean.json").write_text('[{"id": "c", "audio_id": "far.wav", "question": "Unlike anything?"}]')
    write_wav(tmp_path / "far.wav", tone(700, 16_000, 0.2))
    clean = harken("prepare", "check", manifest, tmp_path / "clean.json", "--workers", 1)
    assert clean.code == 0, clean.err


def test_a_check_that_could_compare_nothing_is_an_error_and_not_clean(tmp_path):
    write_sets(tmp_path)
    (tmp_path / "numbers.json").write_text('[{"id": "c", "audio_id": "3049.flac", "question": "Unlike anything?"}]')
    manifest = tmp_path / "train" / "manifest.jsonl"
    message = refused_by("prepare", "check", manifest, tmp_path / "numbers.json", "--workers", 1)
    assert "numbers.json: nothing could be compared: for none of the 3 training records" in message


def test_a_check_that_decoded_no_clip_of_a_set_says_not_checked_and_is_an_error(tmp_path):
    """Both sets say from which recordings their clips are cut, so that names can be compared and samples cannot."""
    write_sets(tmp_path)
    (tmp_path / "other.json").write_text('[{"id": "c", "audio_id": "-HG3Omg_89d_000030.wav", "question": "Unlike?"}]')
    write_wav(tmp_path / "heard" / "-HG3Omg_89d_000030.wav", tone(700, 16_000, 0.2))
    manifest = tmp_path / "train" / "manifest.jsonl"
    heard = f"{tmp_path}/other.json:{tmp_path}/heard"
    for words, unheard in (
        ([manifest, tmp_path / "other.json"], "the benchmark"),
        ([f"{manifest}:gone", heard], "set"),
    ):
        message = refused_by("prepare", "check", *words, "--workers", 1)
        assert re.search(rf"samples and sound were not checked, because no clip of .*{unheard} was", message)
    assert harken("prepare", "check", manifest, heard, "--workers", 1).code == 0
    [checked] = check_leaks(ComparedSet(manifest), [ComparedSet(tmp_path / "other.json")], 1)
    assert checked.coverage.rows()["compared by the hash of their samples"] == "not checked"


def test_the_check_counts_what_it_could_not_compare(tmp_path):
    write_sets(tmp_path)
    (tmp_path / "vgg.csv").write_text("-HG3Omg_89d_000030.mp4,rain\n")
    [checked] = check_leaks(ComparedSet(tmp_path / "train" / "manifest.jsonl"), [ComparedSet(tmp_path / "vgg.csv")], 1)
    assert not has_leak(checked)
    assert checked.coverage.rows() == {
        "records: training, benchmark": "4, 1",
        "compared by the id of their recording": "1, 1",
        "compared by the hash of their samples": "0, 0",
        "compared by sound": "0, 0",
        "training clips that could not be compared": "2",
    }


def test_two_benchmarks_of_one_file_name_are_told_apart(tmp_path):
    sound, other = melody(1), melody(2)
    for folder, samples in (("a", sound), ("b", other)):
        write_wav(tmp_path / folder / "1.wav", samples)
        question = Question(folder, "What?", ("x", "y"), 0, tmp_path / folder / "1.wav")
        write_manifest(tmp_path / folder / "manifest.jsonl", [question])
    write_wav(tmp_path / "t" / "2.wav", other)
    write_manifest(tmp_path / "t" / "manifest.jsonl", [Question("t", "Who?", ("v", "w"), 0, tmp_path / "t" / "2.wav")])
    files = [tmp_path / name / "manifest.jsonl" for name in "tab"]
    clean, leaking = check_leaks(ComparedSet(files[0]), [ComparedSet(file) for file in files[1:]], 1)
    assert (clean.name, list(clean.leaks)) == (str(files[1]), [])
    assert [(leak.rule, leak.benchmark) for leak in leaking.leaks] == [("content", str(files[2]))]
