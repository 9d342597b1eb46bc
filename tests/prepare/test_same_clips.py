"""Clips are the same, as far as their names and the lists that hold them tell."""

import json

import pytest
from leak_sets import index_of

from harken.prepare.clip_source import PATTERNS, clip_source
from harken.prepare.leak_check import check_leaks
from harken.prepare.leak_check_sets import ComparedSet, compared_records, record_of_clip_name


def clip_pairs(training, benchmark):
    a = [record_of_clip_name(name, name) for name in training]
    index = index_of(record_of_clip_name(name, name) for name in benchmark)
    return [(record.id, same) for record in a if (same := index.find(record)) is not None]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.shown)
def test_the_example_of_each_spelling_is_read_by_it(pattern):
    source = clip_source(pattern.example)
    assert source is not None
    assert source.ident in pattern.example
    assert next(p for p in PATTERNS if p.regex.fullmatch(pattern.example)) is pattern


@pytest.mark.parametrize(
    "name", ["speech_data_1", "speech_data_recording_of", "train_00048", "12345678901", "3049", ""]
)
def test_words_and_numbers_of_eleven_characters_are_no_id(name):
    assert clip_source(name) is None


@pytest.mark.parametrize(
    ("record", "other", "same"),
    [
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_30", True),
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_000039", True),
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_000040", False),
        ("-HG3Omg_89c_000030", "Y-HG3Omg_89c", True),  # AudioSet's name says no start
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_00-00-10_00-00-31", True),  # MMAR's
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_00-00-00_00-00-30", False),
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_trimmed", True),
        ("-HG3Omg_89c_000030", "v-HG3Omg_89c_39_49_out", True),
        ("-HG3Omg_89c_000030", "[-HG3Omg_89c]-[40-50]", False),
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_30.000_40.000", True),
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_30000_40000", True),  # AudioSet's milliseconds
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_30000", True),
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_50000_60000", False),
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_30_10", True),  # YouTube-8M's length of 10 s
        ("-HG3Omg_89c_000030", "-HG3Omg_89c_40_10", False),
        ("-HG3Omg_89c_000030", "dog-HG3Omg_89c (copy)", True),  # an unknown spelling that holds the id
        ("fsdd_5_theo_10", "fsdd_5_theo_1", False),  # no capital: a word, as far as anybody can tell
        ("17196__dog-lover__bark", "17196__dog-lover__bark.aiff", True),  # Freesound
        ("17196__dog-lover__bark", "17197__dog-lover__bark", False),
        ("-HG3Omg_89c_000030", "-HG3Omg_89d_000030", False),
        ("speech_data_000012", "speech_data_000013", False),  # eleven letters are no id
        ("speech_data_000012", "speech_data_000012", True),
        ("a", "a", True),
        ("", "", False),
    ],
)
def test_clips_are_the_same_by_name_or_by_video_and_time(record, other, same):
    assert clip_pairs([record], [other]) == ([(record, other)] if same else [])
    assert clip_pairs([other], [record]) == ([(other, record)] if same else [])


def test_an_id_that_looks_like_a_word_is_found_where_the_other_set_says_that_it_is_one(tmp_path):
    (tmp_path / "list.csv").write_text("abc4efghijk_000030.mp4,rain\n")
    index = index_of(compared_records(tmp_path / "list.csv"))
    assert index.find(record_of_clip_name("t", "abc4efghijk_31_41_out")) is not None
    assert index.find(record_of_clip_name("t", "abc4efghijk_50")) is None


def test_the_six_spellings_of_the_cases_are_found_in_vggsounds_list(shared):
    checked = check_leaks(
        ComparedSet(shared / "cases" / "data" / "train_trimmed.jsonl"),
        [ComparedSet(shared / "benchmarks" / "vggsound_test.csv")],
        1,
    )
    assert [leak.id for leak in checked[0].pairs["clip"]] == ["1", "2", "3", "4", "5", "6"]


def test_names_of_videos_with_an_ending_and_a_word_are_ids_whatever_they_look_like(tmp_path):
    names = ["-HG3Omg_89c_trimmed.mp4", "speech_data_trimmed.mp4", "x/-HG3Omg_89c_000030.mkv", "-HG3Omg_89c", "other"]
    records = [{"id": i, "video_name": name, "question_text": "What?"} for i, name in enumerate(names)]
    (tmp_path / "qa.json").write_text(json.dumps(records))
    (tmp_path / "list.csv").write_text("-HG3Omg_89c_000030.mp4,rain\nspeech_data_000012.mp4,rain\n")
    checked = check_leaks(ComparedSet(tmp_path / "qa.json"), [ComparedSet(tmp_path / "list.csv")], 1)
    assert [leak.id for leak in checked[0].pairs["clip"]] == ["0", "1", "2", "3"]
    assert checked[0].coverage.rows()["compared by the id of their recording"] == "4, 2"


@pytest.mark.parametrize(
    ("text", "n_overlapping"),
    [
        ("audiocap_id,youtube_id,start_time,caption\n1,-HG3Omg_89c,35,A bell\n", 1),  # AudioCaps
        ("audiocap_id,youtube_id,start_time,caption\n1,-HG3Omg_89c,45,A bell\n", 0),
        ('# YTID, start_seconds, end_seconds, positive_labels\n-HG3Omg_89c, 30.000, 40.000, "/m/1,/m/2"\n', 1),
        ("file_name,caption_1\nY-HG3Omg_89c.wav,A bell\n", 1),  # Clotho's and WavCaps' form
        ("-HG3Omg_89c,30,rain,test\n", 1),  # VGGSound with four columns
        ("-HG3Omg_89c_000030.mp4,rain\n", 1),
    ],
)
def test_lists_of_clips_are_read_by_the_names_of_their_columns(text, n_overlapping, tmp_path):
    (tmp_path / "list.csv").write_text(text)
    index = index_of(compared_records(tmp_path / "list.csv"))
    assert (index.find(record_of_clip_name("t", "-HG3Omg_89c_000030")) is not None) == bool(n_overlapping)
