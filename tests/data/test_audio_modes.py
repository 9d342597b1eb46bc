"""What a model hears in place of the clip: silence, noise, or another question's clip."""

from pathlib import Path

import numpy as np
import pytest

from harken.config import SourceConfig
from harken.config.data import AUDIO_MODES
from harken.data.audio_modes import questions_in_mode, waveform_in_mode
from harken.errors import DataError
from harken.types import Question


def question(ident: str, clip: str | None) -> Question:
    return Question(ident, "Which?", ("a", "b"), 0, None if clip is None else Path(clip), clip=clip or "")


QUESTIONS = [question(f"q{i}", f"clips/{i % 7}.wav") for i in range(20)] + [question("text", None)]


def test_none_leaves_the_clip_out_and_the_other_modes_but_shuffled_leave_the_question_alone():
    assert all(question.audio is None for question in questions_in_mode("none", QUESTIONS, 0))
    for mode in ("real", "silence", "noise"):
        assert questions_in_mode(mode, QUESTIONS, 0) == QUESTIONS
    assert set(AUDIO_MODES) == {"real", "none", "silence", "noise", "shuffled"}


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_gives_every_clip_another_one_and_hears_each_once(seed):
    shuffled = questions_in_mode("shuffled", QUESTIONS, seed)
    next_of = {before.audio: after.audio for before, after in zip(QUESTIONS[:-1], shuffled[:-1], strict=True)}
    assert len(next_of) == len(set(next_of.values())) == 7
    assert all(before != after for before, after in next_of.items())
    for before, after in zip(QUESTIONS[:-1], shuffled[:-1], strict=True):
        assert next_of[before.audio] == after.audio  # questions about one clip hear the same other one
    assert [question.clip for question in shuffled] == [question.clip for question in QUESTIONS]
    assert shuffled[-1] == QUESTIONS[-1]
    assert shuffled == questions_in_mode("shuffled", QUESTIONS[::-1], seed)[::-1]


def test_seeds_shuffle_differently_and_one_clip_cannot_be_shuffled():
    assert (
        len({tuple(question.audio for question in questions_in_mode("shuffled", QUESTIONS, seed)) for seed in range(5)})
        > 1
    )
    with pytest.raises(DataError, match=r"two clips or more, the questions are all about clips/1\.wav"):
        questions_in_mode("shuffled", [question("a", "clips/1.wav"), question("b", "clips/1.wav")], 0)
    assert questions_in_mode("shuffled", QUESTIONS[-1:], 0) == QUESTIONS[-1:]


def test_silence_is_zeros_of_the_clips_length():
    silence = waveform_in_mode("silence", np.full(1_000, 0.3, np.float32), "c", 0)
    assert silence.shape == (1_000,)
    assert silence.dtype == np.float32
    assert not silence.any()


def test_noise_has_the_clips_length_and_level_and_is_white():
    clip = (np.sin(np.arange(16_000) / 20) * 0.2).astype(np.float32)
    noise = waveform_in_mode("noise", clip, "c", 0)
    assert noise.shape == clip.shape
    assert noise.dtype == np.float32
    assert np.sqrt(np.mean(noise.astype(np.float64) ** 2)) == pytest.approx(0.2 / np.sqrt(2), rel=1e-3)
    power = np.abs(np.fft.rfft(noise)[1:]) ** 2
    bands = power[:8_000].reshape(8, 1_000).mean(axis=1)
    assert bands.max() / bands.min() < 1.3
    assert abs(float(np.corrcoef(noise, clip)[0, 1])) < 0.05


def test_noise_depends_on_seed_and_clip_alone_and_of_silence_it_is_silence():
    clip = np.full(500, 0.1, np.float32)
    assert np.array_equal(waveform_in_mode("noise", clip, "c", 0), waveform_in_mode("noise", clip, "c", 0))
    assert not np.array_equal(waveform_in_mode("noise", clip, "c", 0), waveform_in_mode("noise", clip, "c", 1))
    assert not np.array_equal(waveform_in_mode("noise", clip, "c", 0), waveform_in_mode("noise", clip, "d", 0))
    assert not waveform_in_mode("noise", np.zeros(500, np.float32), "c", 0).any()
    assert waveform_in_mode("real", clip, "c", 0) is clip


def test_a_fragment_is_a_part_of_the_clip_at_a_place_that_seed_and_clip_decide():
    clip = np.arange(1_000, dtype=np.float32)
    parts = {}
    for seed in range(20):
        part = waveform_in_mode("fragment:0.25", clip, "c", seed)
        assert len(part) == 250
        assert np.array_equal(part, clip[int(part[0]) : int(part[0]) + 250])
        assert np.array_equal(part, waveform_in_mode("fragment:0.25", clip, "c", seed))
        parts[seed] = part[0]
    assert len(set(parts.values())) > 10
    assert len(waveform_in_mode("fragment:0.001", clip[:10], "c", 0)) == 1


@pytest.mark.parametrize("mode", ["clip", "fragment", "fragment:", "fragment:0", "fragment:1", "fragment:x", "0.25"])
def test_other_modes_are_refused_with_the_known_ones(mode):
    with pytest.raises(ValueError, match=r"'shuffled', or fragment: and a share of the clip"):
        SourceConfig(file=Path("a.json"), audio=mode)
