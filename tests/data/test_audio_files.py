"""A file becomes float32 mono 16 kHz, or an error that says what is wrong with it."""

import os

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from harken.data.audio import SAMPLE_RATE_HZ, check_audio, load_waveform
from harken.errors import AudioError


def tone(frequency_hz, rate_hz, duration_s=0.5):
    return 0.4 * np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * rate_hz)) / rate_hz)


def strength(waveform, frequency_hz):
    """Amplitude of one frequency, from the middle of a clip."""
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4]
    t = np.arange(len(middle)) / SAMPLE_RATE_HZ
    return 2 * abs(np.mean(middle * np.hanning(len(middle)) * 2 * np.exp(-2j * np.pi * frequency_hz * t)))


def test_16_khz_mono_pcm_comes_back_as_written(tmp_path):
    samples = np.array([0, 16384, -32768, 1], dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    waveform = load_waveform(tmp_path / "a.wav")
    assert waveform.dtype == np.float32
    assert waveform.tolist() == [0.0, 0.5, -1.0, 1 / 32768]


@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_samples_beyond_full_scale_are_clipped_and_the_clip_is_marked(tmp_path, rate_hz):
    for level in (0.99, 1.5):
        soundfile.write(tmp_path / "a.wav", tone(440, rate_hz) * level / 0.4, rate_hz, subtype="FLOAT")
        assert np.abs(load_waveform(tmp_path / "a.wav")).max() == pytest.approx(min(level, 1), abs=1e-3)
        assert np.abs(load_waveform(tmp_path / "a.wav")).max() <= 1
        assert check_audio(tmp_path / "a.wav").beyond_full_scale == (level > 1)


def test_any_number_of_channels_is_averaged(tmp_path):
    samples = np.random.default_rng(0).normal(0, 0.1, (1000, 8)).astype(np.float32)
    for n_channels in (1, 2, 3, 5, 8):
        soundfile.write(tmp_path / "a.wav", samples[:, :n_channels], 16_000, subtype="FLOAT")
        assert load_waveform(tmp_path / "a.wav") == pytest.approx(samples[:, :n_channels].mean(axis=1), abs=1e-7)
        assert check_audio(tmp_path / "a.wav").channels == n_channels


def test_channels_that_cancel_each_other_out_are_marked(tmp_path):
    left = tone(440, 16_000)
    for right, cancelled in (
        (-left, True),
        (-0.98 * left, True),
        (-0.9 * left, False),
        (left, False),
        (0 * left, False),
    ):
        soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
        assert check_audio(tmp_path / "a.wav").cancelled == cancelled
    soundfile.write(tmp_path / "a.wav", np.zeros((1600, 2)), 16_000)
    assert not check_audio(tmp_path / "a.wav").cancelled


def test_both_channels_of_stereo_are_heard_at_half_their_level(tmp_path):
    left, right = tone(440, 16_000), tone(3000, 16_000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000, subtype="FLOAT")
    waveform = load_waveform(tmp_path / "a.wav")
    assert waveform == pytest.approx((left + right) / 2, abs=1e-7)
    assert strength(waveform, 440) == pytest.approx(0.2, rel=0.01)
    assert strength(waveform, 3000) == pytest.approx(0.2, rel=0.01)


@pytest.mark.parametrize(("rate_hz", "up", "down"), [(8_000, 2, 1), (44_100, 160, 441), (48_000, 1, 3)])
def test_resampling_agrees_with_a_polyphase_filter(tmp_path, rate_hz, up, down):
    samples = tone(500, rate_hz) + tone(1700, rate_hz)
    soundfile.write(tmp_path / "a.wav", samples, rate_hz, subtype="FLOAT")
    expected = resample_poly(samples, up, down)
    waveform = load_waveform(tmp_path / "a.wav")
    assert len(waveform) == len(expected) == 8_000
    assert waveform[400:-400] == pytest.approx(expected[400:-400], abs=0.004)


def test_resampling_does_not_fold_high_tones_into_the_speech_band(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(10_000, 44_100), 44_100, subtype="FLOAT")
    assert strength(load_waveform(tmp_path / "a.wav"), 6_000) < 1e-4


@pytest.mark.parametrize("extension", ["ogg", "flac"])
def test_compressed_stereo_at_44_khz_keeps_its_tones(tmp_path, extension):
    stereo = np.stack([tone(440, 44_100), tone(3000, 44_100)], axis=1)
    soundfile.write(tmp_path / f"a.{extension}", stereo, 44_100)
    waveform = load_waveform(tmp_path / f"a.{extension}")
    assert len(waveform) == 8_000
    assert strength(waveform, 440) == pytest.approx(0.2, rel=0.05)
    assert strength(waveform, 3000) == pytest.approx(0.2, rel=0.05)


def test_a_clip_longer_than_one_block_is_whole(tmp_path):
    samples = np.random.default_rng(0).integers(-9000, 9000, 600_001, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    assert np.array_equal(load_waveform(tmp_path / "a.wav"), samples.astype(np.float32) / 32768)
    assert check_audio(tmp_path / "a.wav").duration_s == pytest.approx(600_001 / 16_000)


@pytest.mark.parametrize("n_frames", [1, 2, round(0.019 * 44_100)])
@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 192_000])
def test_a_very_short_clip_keeps_at_least_one_sample(tmp_path, n_frames, rate_hz):
    soundfile.write(tmp_path / "a.wav", np.full((n_frames, 2), 0.5), rate_hz)
    waveform = load_waveform(tmp_path / "a.wav")
    assert len(waveform) >= 1
    assert abs(len(waveform) - n_frames * 16_000 / rate_hz) <= 1
    assert np.isfinite(waveform).all()


def test_checking_a_clip_gives_its_duration_at_its_own_rate(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros((11_025, 2)), 44_100)
    assert check_audio(tmp_path / "a.flac").duration_s == 0.25


def write_header(path, rate_hz):
    """Writes a WAV of 100 frames whose header states this rate."""
    soundfile.write(path, np.zeros(100), 16_000)
    header = bytearray(path.read_bytes())
    header[24:28] = rate_hz.to_bytes(4, "little")
    path.write_bytes(header)


def write_bad_clip(folder, kind):
    path = folder / f"{kind}.wav"
    match kind:
        case "garbage":
            path.write_bytes(b"these are no samples " * 50)
        case "zero bytes":
            path.write_bytes(b"")
        case "folder":
            path.mkdir()
        case "empty":
            soundfile.write(path, np.zeros(0), 16_000)
        case "nan":
            soundfile.write(path, np.array([0.0] * 1600 + [np.nan]), 16_000, subtype="FLOAT")
        case "opposite infinities":
            soundfile.write(path, np.array([[np.inf, -np.inf]]), 16_000, subtype="FLOAT")
        case "too large for float32":
            soundfile.write(path, np.array([0.0, 1e300]), 16_000, subtype="DOUBLE")
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "1 Hz":
            write_header(path, 1)
        case "1 MHz":
            write_header(path, 1_000_000)
        case "cut flac":
            soundfile.write(folder / "whole.flac", np.random.default_rng(0).normal(0, 0.1, 44_100), 44_100)
            whole = (folder / "whole.flac").read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
    return path


BAD_CLIPS = [
    ("missing", "no such file; check the clip's name in the record and audio_root"),
    ("folder", "is not a regular file but a folder, a pipe or a device"),
    ("pipe", "is not a regular file"),
    ("device", "is not a regular file"),
    ("garbage", "cannot be decoded (Invalid data found when processing input); fetch the file again"),
    ("zero bytes", "is empty; fetch the file again"),
    ("1 Hz", "its sample rate is 1 Hz, and harken reads 4000 to 768000 Hz"),
    ("1 MHz", "its sample rate is 1000000 Hz, and harken reads 4000 to 768000 Hz"),
    ("empty", "holds no samples; fetch the file again"),
    ("nan", "not a finite number (NaN or infinity) at 0.100 s; export the clip again"),
    ("opposite infinities", "not a finite number (NaN or infinity) at 0.000 s"),
    ("too large for float32", "not a finite number"),
    ("cut flac", "is cut short or damaged: 0.464 s of the stated 1.000 s decode; fetch the file again, or set"),
]


@pytest.mark.parametrize("read", [load_waveform, check_audio])
@pytest.mark.parametrize(("kind", "says"), BAD_CLIPS, ids=[kind for kind, _ in BAD_CLIPS])
def test_a_bad_clip_is_an_error_that_names_the_file_the_fault_and_the_fix(tmp_path, read, kind, says):
    path = write_bad_clip(tmp_path, kind)
    with pytest.raises(AudioError) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert says in str(raised.value)


def test_real_recordings_in_four_formats_load(shared):
    folder = shared / "realaqa" / "audio"
    for prefix in ("fsdd_", "esc10_", "esc2_", "sonicpi_"):
        path = min(folder.glob(f"{prefix}*"))
        waveform = load_waveform(path)
        assert len(waveform) == check_audio(path).n_samples
        assert 0 < np.abs(waveform).max() <= 1


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg"])
@pytest.mark.parametrize(("start_s", "end_s"), [(0.25, 0.75), (0.25, None), (0.0, 0.75), (1.0, 1.09)])
def test_a_part_is_what_cutting_the_decoded_file_gives(tmp_path, extension, start_s, end_s):
    samples = np.random.default_rng(0).normal(0, 0.1, (16_000, 2))
    soundfile.write(tmp_path / f"a.{extension}", samples, 16_000)
    path = tmp_path / f"a.{extension}"
    whole = load_waveform(path)
    if start_s == 1.0:
        start_s, end_s = 0.999, 1.09  # ends just after the file, as rounded lists do
    end = len(whole) if end_s is None else min(round(end_s * 16_000), len(whole))
    part = load_waveform(path, start_s, end_s)
    assert part == pytest.approx(whole[round(start_s * 16_000) : end], abs=1e-6)
    assert check_audio(path, start_s, end_s).duration_s == len(part) / 16_000


def test_a_part_is_cut_at_the_rate_of_its_file_and_then_resampled(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.concatenate([np.zeros(44_100), tone(440, 44_100)]), 44_100)
    part = load_waveform(tmp_path / "a.wav", 1.0, 1.5)
    soundfile.write(tmp_path / "b.wav", tone(440, 44_100), 44_100)
    assert np.array_equal(part, load_waveform(tmp_path / "b.wav"))


def test_a_part_of_no_samples_keeps_one(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16_000)
    assert len(load_waveform(tmp_path / "a.wav", 0.001, 0.00101)) == 1


@pytest.mark.parametrize(("start_s", "end_s"), [(0.1, None), (5.0, 6.0), (0.0, 0.21)])
def test_a_part_that_is_not_in_its_file_is_an_error(tmp_path, start_s, end_s):
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16_000)
    with pytest.raises(AudioError, match=r"a\.wav: the part from .* is not in the file, which lasts 0\.100 s"):
        load_waveform(tmp_path / "a.wav", start_s, end_s)


def test_the_place_of_a_sample_that_is_no_number_counts_from_the_beginning_of_the_file(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.0] * 1600 + [np.nan] * 10), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"at 0\.100 s"):
        load_waveform(tmp_path / "a.wav", 0.05)
    assert len(load_waveform(tmp_path / "a.wav", 0.05, 0.1)) == 800
