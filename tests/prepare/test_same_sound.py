"""Copies of a benchmark's clips are found by their sound, and each clip is decoded once."""

import numpy as np
import pytest
from command_line import harken
from leak_sets import melody
from made_media import write_wav

from harken.data.manifest import write_manifest
from harken.prepare import draft, leaks
from harken.prepare.leak_check import check_leaks
from harken.prepare.leak_check_sets import ComparedSet
from harken.prepare.sound_print import PrintIndex, sound_print
from harken.types import Question


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
    sound = sound_print(np.rint(samples * 32767).astype(np.int16))
    assert sound is not None
    return sound


def bits_apart(a, b):
    return float(np.bitwise_count(a.words ^ b.words).mean() / 32)


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
    exported = harken(
        "prepare", "export", tmp_path / "a" / "manifest.jsonl", "--format", "trl", "--out", tmp_path / "a" / "t.jsonl"
    )
    prepared = harken(
        *("prepare", "jsonl", "--format", "trl", "--data", tmp_path / "a" / "t.jsonl", "--audio-root", tmp_path / "a"),
        *("--out", tmp_path / "out", "--workers", 1, "--against", tmp_path / "b" / "manifest.jsonl"),
    )
    assert (exported.code, prepared.code) == (0, 0), exported.err + prepared.err
    assert sorted(str(span.path.relative_to(tmp_path)) for span in decoded) == ["a/1.wav", "b/2.wav"]
    assert "| manifest.jsonl: compared by sound | 2, 2 |" in (tmp_path / "out" / "card.md").read_text()
