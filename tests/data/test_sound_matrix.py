"""Every container and codec, whole and damaged: what decodes, equal to an independent decoder's, or a refusal."""

import numpy as np
import pytest
import soxr
from sound_matrix import (
    CELLS,
    SIZED,
    SOUNDS,
    damaged,
    decode_by_command,
    decode_plainly,
    has_ffmpeg,
    write_sound,
)

from harken.data.audio import check_audio, load_waveform
from harken.errors import AudioError

ROUNDING = {"adpcm": 0.01, "gsm": 1e-4, "mp3": 1e-5, "aac": 1e-5, "opus": 1e-5, "vorbis": 1e-5}
"""By how much two decoders of a codec may differ; 0 for the others."""
READ_JOINED = ("mp3", "ogg", "adts", "mkv", "webm")
"""Formats in which files may follow each other."""
UNDETECTABLE = {("mp3-bare", "cut 50 %"), *(("pipe-wav", d) for d in ("cut 10 %", "cut 50 %", "cut 90 %", "hole"))}
"""The file states no length and every frame that is left is whole. 50 % of this MP3 is a whole number of frames."""


def rounding(name):
    return next((value for codec, value in ROUNDING.items() if codec in name), 0)


def at_16_khz(name, samples):
    return soxr.resample(samples, 48_000, 16_000, quality="HQ") if "opus" in name else samples


def outcome(read, path, truncated):
    """(result, None) or (None, error)."""
    try:
        return read(path, truncated=truncated), None
    except AudioError as error:
        return None, error


def load(path, truncated="refuse"):
    """The waveform, the same in two loads and as long as the check says; or the error, which the check raises too."""
    waveform, error = outcome(load_waveform, path, truncated)
    if error is not None:
        assert str(error).startswith(f"{path}: ")
        assert str(outcome(check_audio, path, truncated)[1]) == str(error)
        return error
    assert np.array_equal(waveform, load_waveform(path, truncated=truncated))
    assert check_audio(path, truncated=truncated).n_samples == len(waveform)
    return waveform


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """name -> (content of the file, what an independent decoder makes of it)."""
    folder = tmp_path_factory.mktemp("sounds")
    paths = {name: write_sound(folder / name, name) for name in SOUNDS}
    return {name: (path.read_bytes(), at_16_khz(name, decode_plainly(path))) for name, path in paths.items()}


def test_the_matrix_is_large():
    assert len(CELLS) == len(set(CELLS)) >= 300


@pytest.mark.parametrize("name", SOUNDS)
def test_a_whole_file_is_what_an_independent_decoder_makes_of_it(whole, tmp_path, name):
    content, expected = whole[name]
    (tmp_path / "a").write_bytes(content)
    waveform = load(tmp_path / "a")
    assert len(waveform) == len(expected)
    assert np.abs(waveform - np.clip(expected, -1, 1)).max() <= rounding(name)


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("damage", ["cut 10 %", "cut 50 %", "cut 90 %", "hole"])
def test_a_file_with_missing_bytes_is_refused_and_used_up_to_there_where_that_is_accepted(
    whole, tmp_path, name, damage
):
    content, expected = whole[name]
    (tmp_path / "a").write_bytes(damaged(content, damage, name))
    refused = load(tmp_path / "a")
    if (name, damage) in UNDETECTABLE:
        assert isinstance(refused, np.ndarray)
    else:
        assert isinstance(refused, AudioError)
        assert any(
            words in str(refused) for words in ("is cut short or damaged: ", "is damaged: ", "cannot be decoded")
        )
    accepted = load(tmp_path / "a", "accept")
    if isinstance(accepted, AudioError):
        return
    assert len(accepted) < len(expected)
    assert_equal_beside_the_damage(name, accepted, expected, 0.35 if damage == "hole" else 1.0)


def assert_equal_beside_the_damage(name, samples, expected, share):
    """The share in front of the damage is equal; behind it for Ogg, which loses a page of a second."""
    n = max(0, int(share * len(samples)) - 1600)  # codecs overlap, so that 0.1 s beside the damage may differ
    if name.startswith("ogg") and share < 1:
        samples, expected = samples[::-1], expected[::-1]
    assert np.abs(samples[:n] - expected[:n]).max(initial=0) <= rounding(name)


@pytest.mark.parametrize("name", SOUNDS)
def test_a_second_file_behind_the_first_is_read_or_refused_and_never_lost(whole, tmp_path, name):
    content, expected = whole[name]
    (tmp_path / "a").write_bytes(damaged(content, "joined", name))
    waveform = load(tmp_path / "a")
    if not name.startswith(READ_JOINED):
        assert "holds another file behind the first" in str(waveform)
        return
    n = len(expected)
    assert len(waveform) == pytest.approx(2 * n, abs=320)
    assert np.abs(waveform[: n - 800] - expected[: n - 800]).max() <= rounding(name)
    if name not in ("adts-aac", "webm-opus"):  # one decoder goes on with the state that the first file left
        assert np.abs(waveform[800 - n :] - expected[800 - n :]).max() <= rounding(name)


@pytest.mark.parametrize("name", SOUNDS)
def test_zeros_in_the_middle_change_nothing_beside_them(whole, tmp_path, name):
    content, expected = whole[name]
    (tmp_path / "a").write_bytes(damaged(content, "zeros", name))
    for truncated in ("refuse", "accept"):
        waveform = load(tmp_path / "a", truncated)
        if isinstance(waveform, np.ndarray):
            assert_equal_beside_the_damage(name, waveform, expected, 0.35)
            assert truncated == "accept" or len(waveform) == len(expected)


@pytest.mark.parametrize("name", SIZED)
@pytest.mark.parametrize("size", ["size 0", "size unknown"])
def test_a_file_that_does_not_know_its_size_is_read_to_its_end(whole, tmp_path, name, size):
    content, expected = whole[name]
    (tmp_path / "a").write_bytes(damaged(content, size, name))
    waveform = load(tmp_path / "a")
    if name.startswith("au") and size == "size 0":  # AU says "unknown" with ones; FFmpeg opens no AU of size 0
        assert "cannot be decoded" in str(waveform)
        return
    assert len(waveform) == len(expected)
    assert np.abs(waveform - expected).max() <= rounding(name)


@pytest.mark.parametrize("name", SIZED)
def test_a_file_that_states_more_than_it_holds_is_refused_with_both_lengths(whole, tmp_path, name):
    content, expected = whole[name]
    (tmp_path / "a").write_bytes(damaged(content, "size too large", name))
    error = load(tmp_path / "a")
    held = len(expected) / 16_000
    assert f"is cut short or damaged: {held:.3f} s of the stated {2 * held:.2f}"[:-1] in str(error)
    assert len(load(tmp_path / "a", "accept")) == len(expected)


@pytest.mark.slow
@pytest.mark.skipif(not has_ffmpeg(), reason="ffmpeg's command line is not installed")
@pytest.mark.parametrize(("name", "damage"), CELLS)
def test_what_is_not_refused_is_what_ffmpegs_command_line_decodes_in_five_loads(whole, tmp_path, name, damage):
    (tmp_path / "a").write_bytes(damaged(whole[name][0], damage, name))
    waveform = load(tmp_path / "a")
    if isinstance(waveform, AudioError):
        return
    assert all(np.array_equal(waveform, load_waveform(tmp_path / "a")) for _ in range(4))
    expected = at_16_khz(name, decode_by_command(tmp_path / "a"))
    if damage.startswith("size") and not len(expected):  # ffmpeg opens no RF64, W64 or AIFF that states no size
        expected = whole[name][1]
    if damage == "joined" and name.startswith(
        ("mp3", "ogg")
    ):  # ffmpeg also decodes what the encoder put around the second
        assert 0 <= len(expected) - len(waveform) < 3000
        waveform, expected = waveform[: len(waveform) // 2 - 800], expected[: len(waveform) // 2 - 800]
    assert len(waveform) == len(expected)
    within = 0.2 if "gsm" in name and damage == "zeros" else rounding(name)  # zeros are no GSM frame
    assert np.abs(waveform - np.clip(expected, -1, 1)).max() <= within
