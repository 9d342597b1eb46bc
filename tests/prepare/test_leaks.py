"""Clips and questions that a training set shares with benchmarks are found by name, content and words."""

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_media import tone, write_wav
from typer.testing import CliRunner

from harken.cli.app import app
from harken.data.manifest import write_manifest
from harken.errors import DataError
from harken.prepare import draft, leaks
from harken.prepare.clip_index import ClipIndex
from harken.prepare.clip_source import PATTERNS, clip_source
from harken.prepare.leak_check import check_leaks, has_leak
from harken.prepare.leak_check_sets import ComparedSet, compared_records, record_of_clip_name, word_set
from harken.prepare.similar_questions import WordIndex
from harken.prepare.sound_print import PrintIndex, sound_print
from harken.types import Question


def clip_pairs(training, benchmark):
    a = [record_of_clip_name(name, name) for name in training]
    index = index_of(record_of_clip_name(name, name) for name in benchmark)
    return [(record.id, same) for record in a if (same := index.find(record)) is not None]


def index_of(records):
    index = ClipIndex()
    for record in records:
        index.add(record)
    return index


def similar_questions(training, benchmark):
    """Pairs of numbers of similar questions."""
    index = WordIndex()
    for words in benchmark:
        index.add(words)
    return [(n, same) for n, words in enumerate(training) if (same := index.find(words)) is not None]


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


def jaccard(a, b):
    return len(a & b) / len(a | b) if a | b else 0.0


words = st.lists(st.frozensets(st.sampled_from("abcdefghijkl"), max_size=10), max_size=12)


@given(training=words, benchmark=words)
def test_similar_questions_are_those_that_comparing_all_pairs_finds(training, benchmark):
    expected = [
        (n, next((m for m, other in enumerate(benchmark) if jaccard(words, other) >= 0.8), None))
        for n, words in enumerate(training)
    ]
    assert similar_questions(training, benchmark) == [pair for pair in expected if pair[1] is not None]


def test_an_id_that_looks_like_a_word_is_found_where_the_other_set_says_that_it_is_one(tmp_path):
    (tmp_path / "list.csv").write_text("abc4efghijk_000030.mp4,rain\n")
    index = index_of(compared_records(tmp_path / "list.csv"))
    assert index.find(record_of_clip_name("t", "abc4efghijk_31_41_out")) is not None
    assert index.find(record_of_clip_name("t", "abc4efghijk_50")) is None


def test_words_are_compared_without_case_order_and_punctuation():
    assert word_set("What's HEARD?", "a Dog") == {"what", "s", "heard", "a", "dog"}


def test_many_questions_are_compared_without_comparing_all_pairs():
    rng = random.Random(0)
    vocabulary = [f"w{n}" for n in range(3000)]
    make = lambda n: [frozenset(["what", "is", "the", *rng.choices(vocabulary, k=12)]) for _ in range(n)]  # noqa: E731
    training, benchmark = make(4000), make(500)
    benchmark[7] = training[123]
    assert similar_questions(training, benchmark) == [(123, 7)]


def write_sets(folder):
    """Write a training manifest, and a benchmark in each format."""
    same = tone(440, 16_000, 0.2)
    write_wav(folder / "train" / "audio" / "-HG3Omg_89c_000030.wav", tone(500, 16_000, 0.2))
    write_wav(folder / "train" / "audio" / "copied.wav", same)
    write_wav(folder / "train" / "audio" / "clean.wav", np.float32(0.5) * same)
    audio = folder / "train" / "audio"
    questions = [
        Question("t1", "What rings?", ("bell", "phone"), 0, audio / "-HG3Omg_89c_000030.wav"),
        Question("t2", "Who speaks?", ("man", "woman"), 0, audio / "copied.wav"),
        Question("t3", "How many dogs bark in the audio?", ("one", "two"), 0, audio / "clean.wav"),
        Question("t4", "No sound at all?", ("yes", "no"), 0, None),
    ]
    write_manifest(folder / "train" / "manifest.jsonl", questions)
    write_wav(folder / "mmau" / "x.wav", same)
    mmau = [
        {"id": "m1", "audio_id": "./x.wav", "question": "Else?", "choices": ["p", "q"], "answer": "p"},
        {
            "id": "m2",
            "audio_id": "./gone.wav",
            "question": "how many dogs bark in the audio",
            "choices": ["One", "two"],
        },
    ]
    (folder / "mmau" / "mmau.json").write_text(json.dumps(mmau))
    mmar = [{"id": "r1", "audio_path": "./a/b.wav", "url": "https://www.youtube.com/watch?v=-HG3Omg_89c&t=1s"}]
    (folder / "mmar.json").write_text(json.dumps(mmar))
    air = [{"path": "-HG3Omg_89c_000035.wav", "question": "Z?", "choice_a": "p", "choice_b": "q", "uniq_id": 9}]
    (folder / "air.json").write_text(json.dumps(air))
    (folder / "vgg.csv").write_text("-HG3Omg_89c_000030.mp4,rain\n")
    return folder


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


def harken(*words):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def test_the_check_command_prints_a_table_and_ends_with_1_where_a_clip_is_in_both(tmp_path):
    write_sets(tmp_path)
    manifest = tmp_path / "train" / "manifest.jsonl"
    leaking = harken("prepare", "check", manifest, f"{tmp_path}/mmau/mmau.json:{tmp_path}/mmau", "--workers", 1)
    assert leaking.exit_code == 1
    assert "same content (first: t2 = m1)" in " ".join(leaking.output.split())
    (tmp_path / "clean.json").write_text('[{"id": "c", "audio_id": "far.wav", "question": "Unlike anything?"}]')
    write_wav(tmp_path / "far.wav", tone(700, 16_000, 0.2))
    clean = harken("prepare", "check", manifest, tmp_path / "clean.json", "--workers", 1)
    assert clean.exit_code == 0, clean.output


def test_a_check_that_could_compare_nothing_is_an_error_and_not_clean(tmp_path):
    write_sets(tmp_path)
    (tmp_path / "numbers.json").write_text('[{"id": "c", "audio_id": "3049.flac", "question": "Unlike anything?"}]')
    with pytest.raises(
        DataError, match=r"numbers\.json: nothing could be compared: for none of the 3 training records"
    ):
        harken("prepare", "check", tmp_path / "train" / "manifest.jsonl", tmp_path / "numbers.json", "--workers", 1)


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
        with pytest.raises(DataError, match=rf"samples and sound were not checked, because no clip of .*{unheard} was"):
            harken("prepare", "check", *words, "--workers", 1)
    assert harken("prepare", "check", manifest, heard, "--workers", 1).exit_code == 0
    [checked] = check_leaks(ComparedSet(manifest), [ComparedSet(tmp_path / "other.json")], 1)
    assert checked.coverage.rows()["compared by the hash of their samples"] == "not checked"


def test_clips_that_are_not_there_are_not_exported_and_the_folder_of_the_clips_is_kept(tmp_path):
    write_sets(tmp_path)
    manifest = tmp_path / "apart" / "manifest.jsonl"
    manifest.parent.mkdir()
    manifest.write_text((tmp_path / "train" / "manifest.jsonl").read_text())
    words = ["prepare", "export", manifest, "--format", "ms_swift", "--out", tmp_path / "t.jsonl"]
    harken(*words)
    rejected = [json.loads(line) for line in (tmp_path / "t.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rejected] == ["t1", "t2", "t3"]
    assert "audio/copied.wav: no such file; give the folder of the clips as --audio-root" in rejected[1]["reason"]
    assert harken(*words, "--audio-root", tmp_path / "train").exit_code == 0
    records = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert records[1]["audios"] == [str(tmp_path / "train" / "audio" / "copied.wav")]


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


def test_the_commands_of_each_source_run_from_arguments(tmp_path):
    write_sets(tmp_path)
    (tmp_path / "q.json").write_text(
        json.dumps(
            [
                {"id": n, "video_name": f"-HG3Omg_89c_{n:06d}", "question_text": "What?", "multi_choice": ["a", "b"]}
                | {"answer": 0, "question_relation": relation, "question_type": "Which"}
                for n, relation in ((30, "Sound"), (31, "View"))
            ]
        )
    )
    media = tmp_path / "train" / "audio"
    avqa = ("prepare", "avqa", "--annotations", tmp_path / "q.json", "--media", media)
    counted = harken(*avqa, "--out", tmp_path / "o", "--index-only")
    assert counted.exit_code == 0
    assert (tmp_path / "o" / "missing.txt").read_text() == "-HG3Omg_89c_000031\n"
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["missing.txt", "rejected.jsonl"]
    done = harken(*avqa, "--out", tmp_path / "o", "--relation", "Sound", "--min-duration", 0.1, "--workers", 1)
    assert done.exit_code == 0, done.output
    assert "question relation filtered" in done.output
    assert len((tmp_path / "o" / "manifest.jsonl").read_text().splitlines()) == 1
    exported = harken(
        "prepare", "export", tmp_path / "o" / "manifest.jsonl", "--format", "trl", "--out", tmp_path / "t"
    )
    assert exported.exit_code == 0, exported.output
    with pytest.raises(DataError, match="no record was kept"):  # its only one leaks
        harken(
            *("prepare", "jsonl", "--format", "trl", "--data", tmp_path / "t", "--audio-root", tmp_path / "o"),
            *("--out", tmp_path / "back", "--workers", 1, "--against", f"{tmp_path / 'vgg.csv'}"),
        )
    assert "same clip as in vgg.csv" in (tmp_path / "back" / "rejected.jsonl").read_text()
    (tmp_path / "arc.jsonl").write_text(
        '{"id": "a", "question": "Q", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"}\n'
    )
    assert harken("prepare", "arc", "--data", tmp_path / "arc.jsonl", "--out", tmp_path / "arc").exit_code == 0
    result = harken(
        *("prepare", "vggsound", "--list", tmp_path / "vgg.csv", "--media", media, "--out", tmp_path / "v"),
        *("--workers", 1),
    )
    assert result.exit_code == 0, result.output
    (tmp_path / "c.csv").write_text("id,caption\n-HG3Omg_89c_000030,A bell\n")
    joined = harken(
        *("prepare", "audiosetcaps", "--captions", tmp_path / "c.csv", "--audio-root", tmp_path / "v"),
        *("--out", tmp_path / "w"),
    )
    assert joined.exit_code == 0, joined.output
    assert json.loads((tmp_path / "w" / "manifest.jsonl").read_text())["audio"] == "audio/-HG3Omg_89c_000030.wav"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["prepare", "arc", "--out", "o"], "give a file or a data set on the Hub"),
        (["prepare", "export", "m", "--format", "xml", "--out", "o"], "one of r1_aqa, audiomcq, ms_swift, trl"),
    ],
)
def test_a_wrong_argument_is_named(words, says):
    failed = harken(*words)
    assert failed.exit_code == 2
    assert says in " ".join(failed.output.replace("│", " ").split())


def planted(folder, benchmark, training):
    for name, samples in benchmark.items():
        write_wav(folder / "b" / name, samples)
    for name, samples in training.items():
        write_wav(folder / "t" / name, samples)
    for side, names in (("b", benchmark), ("t", training)):
        questions = [Question(name, "What?", ("x", "y"), 0, folder / side / name) for name in names]
        write_manifest(folder / side / "manifest.jsonl", questions)
    sets = [ComparedSet(folder / side / "manifest.jsonl") for side in ("t", "b")]
    return check_leaks(sets[0], [sets[1]], 1)[0]


def melody(seed):
    """Three seconds in which no two are alike."""
    rng = np.random.default_rng(seed)
    notes = [tone(rng.uniform(300, 2000), 16_000, 0.2) * rng.uniform(0.2, 0.4) for _ in range(15)]
    return np.concatenate(notes) + rng.normal(0, 0.01, 48_000).astype(np.float32)


def test_a_changed_copy_under_a_number_is_found_by_its_sound(tmp_path):
    """Trimmed by 0.7 s, 6 dB quieter and with noise at 20 dB, so neither name nor samples are those of the original."""
    originals = {f"{n}.wav": melody(n) for n in range(6)}
    copy = 0.5 * originals["4.wav"][11_200:]
    copy = copy + np.random.default_rng(9).normal(0, np.std(copy) / 10, copy.size).astype(np.float32)
    checked = planted(tmp_path, originals, {"copy.wav": copy, "other.wav": melody(77)})
    assert [(leak.rule, leak.id, leak.benchmark_id) for leak in checked.pairs["sound"]] == [
        ("sound", "copy.wav", "4.wav")
    ]
    assert checked.coverage.n_by_sound == [2, 6]
    assert checked.coverage.n_not_compared == 0


def test_silence_and_clips_under_a_second_have_no_print_and_match_nothing():
    assert sound_print(np.zeros(48_000, np.int16)) is None
    assert sound_print(np.full(4_000, 9, np.int16)) is None
    assert PrintIndex({}).find(print_of(melody(1))) is None


def test_prints_of_different_melodies_differ_in_half_of_their_bits():
    share = [bits_apart(print_of(melody(n)), print_of(melody(n + 50))) for n in range(8)]
    assert np.mean(share) == pytest.approx(0.5, abs=0.03)
    assert bits_apart(print_of(melody(0)), print_of(0.3 * melody(0))) < 0.02


def print_of(samples):
    found = sound_print(np.rint(samples * 32767).astype(np.int16))
    assert found is not None
    return found


def bits_apart(a, b):
    return float(np.bitwise_count(a.words ^ b.words).mean() / 32)


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


def test_a_training_clip_is_decoded_once_for_its_card_and_for_the_leak_check(tmp_path, monkeypatch):
    decoded = []
    for module in (leaks, draft):
        measure = module.measure_clips
        monkeypatch.setattr(
            module,
            "measure_clips",
            lambda spans, *rest, measure=measure, **more: decoded.extend(spans) or measure(spans, *rest, **more),
        )
    for folder, seed in (("a", 1), ("b", 2)):
        write_wav(tmp_path / folder / f"{seed}.wav", melody(seed))
        rows = [Question(f"{folder}{n}", f"What {n}?", ("x", "y"), 0, tmp_path / folder / f"{seed}.wav") for n in "12"]
        write_manifest(tmp_path / folder / "manifest.jsonl", rows)
    harken(
        "prepare", "export", tmp_path / "a" / "manifest.jsonl", "--format", "trl", "--out", tmp_path / "a" / "t.jsonl"
    )
    harken(
        *("prepare", "jsonl", "--format", "trl", "--data", tmp_path / "a" / "t.jsonl", "--audio-root", tmp_path / "a"),
        *("--out", tmp_path / "out", "--workers", 1, "--against", tmp_path / "b" / "manifest.jsonl"),
    )
    assert sorted(str(span.path.relative_to(tmp_path)) for span in decoded) == ["a/1.wav", "b/2.wav"]
    assert "| manifest.jsonl: compared by sound | 2, 2 |" in (tmp_path / "out" / "card.md").read_text()
