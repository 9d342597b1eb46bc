"""Media files are decoded as soxr and soundfile would decode them, or rejected with a reason."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from made_media import crash_on_three, cut, tone, write_media, write_wav

from harken.errors import AudioError
from harken.prepare.clip_extraction import ExtractionJob, extract_clips, extract_wav, measure_wav
from harken.prepare.worker_processes import CRASHED, map_in_processes


def spectrum_db(samples):
    """Frequencies, and their levels in dB relative to a full-scale sine, in the middle of a 16 kHz clip."""
    middle = samples[len(samples) // 8 : -len(samples) // 8].astype(np.float64) / 32768
    window = np.blackman(len(middle))
    amplitude = 2 * np.abs(np.fft.rfft(middle * window)) / window.sum()
    return np.fft.rfftfreq(len(middle), 1 / 16_000), 20 * np.log10(np.maximum(amplitude, 1e-12))


def extracted(source, folder):
    extract_wav(source, folder / "out.wav")
    samples, rate_hz = soundfile.read(folder / "out.wav", dtype="int16")
    assert rate_hz == 16_000
    assert samples.ndim == 1
    return samples


def test_a_1_khz_tone_at_48_khz_stereo_keeps_its_level_and_folds_nothing_down(tmp_path):
    # Left has the tone at half scale, right has it at a quarter and, out of the new band, 11 kHz: mean 0.375.
    left = tone(1000, 48_000, 2.0, 0.5)
    right = tone(1000, 48_000, 2.0, 0.25) + tone(11_000, 48_000, 2.0, 0.5)
    samples = extracted(write_wav(tmp_path / "a.wav", np.stack([left, right], axis=1), 48_000, "FLOAT"), tmp_path)
    assert len(samples) == 32_000
    hz, level_db = spectrum_db(samples)
    near = np.abs(hz - 1000) < 20
    assert level_db[near].max() == pytest.approx(20 * np.log10(0.375), abs=0.02)
    assert level_db[~near].max() < level_db[near].max() - 60
    assert level_db[~near].max() < -80  # 16-bit rounding is what is left


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.mkv", "a.m4a"])
def test_a_tone_in_a_compressed_video_keeps_its_level_and_both_channels(tmp_path, name):
    sound = np.stack([tone(1000, 48_000, 2.0, 0.5), tone(1000, 48_000, 2.0, 0.1)])
    samples = extracted(write_media(tmp_path / name, sound), tmp_path)
    assert len(samples) == pytest.approx(32_000, abs=700)
    hz, level_db = spectrum_db(samples)
    near = np.abs(hz - 1000) < 30
    assert level_db[near].max() == pytest.approx(20 * np.log10(0.3), abs=0.3)
    assert level_db[hz > 1500].max() < level_db[near].max() - 60


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_the_result_equals_soxr_on_what_soundfile_reads(tmp_path, rate_hz):
    noise = np.random.default_rng(0).normal(0, 0.1, (3 * rate_hz + 7, 2)).astype(np.float32)
    path = write_wav(tmp_path / "a.flac", noise, rate_hz)
    samples = extracted(path, tmp_path).astype(int)
    expected = soxr.resample(soundfile.read(path, dtype="float32")[0].mean(axis=1), rate_hz, 16_000, quality="HQ")
    assert len(samples) == len(expected)
    assert np.abs(samples - expected * 32768).max() <= 0.51  # rounding to 16 bits


def test_16_khz_mono_16_bit_comes_out_bit_for_bit(tmp_path):
    whole_range = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", whole_range, 16_000, subtype="PCM_16")
    assert np.array_equal(extracted(tmp_path / "a.wav", tmp_path), whole_range)


def test_what_is_louder_than_full_scale_is_clipped_not_wrapped(tmp_path):
    samples = extracted(write_wav(tmp_path / "a.wav", tone(100, 16_000, 0.5, 1.5), subtype="FLOAT"), tmp_path)
    assert (samples.max(), samples.min()) == (32767, -32768)


def test_six_channels_are_averaged(tmp_path):
    front_left = np.zeros((6, 48_000), np.float32)
    front_left[0] = tone(1000, 48_000, 1.0, 0.5)
    samples = extracted(write_media(tmp_path / "a.m4a", front_left), tmp_path)
    assert np.abs(samples[2000:-2000]).max() / 32768 == pytest.approx(0.5 / 6, rel=0.1)


def test_a_file_far_longer_than_a_block_is_whole(tmp_path):
    noise = np.random.default_rng(0).integers(-9000, 9000, 300_001, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", noise, 16_000)
    assert np.array_equal(extracted(tmp_path / "a.wav", tmp_path), noise)


def test_an_odd_file_name_is_a_file_and_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.wav", "-i.wav", "http:b.wav"):
        write_wav(Path(name), tone(440, 16_000, 0.1))
        assert len(extracted(Path(name), tmp_path)) == 1600


def test_a_playlist_under_a_videos_name_opens_nothing(tmp_path):
    write_wav(tmp_path / "secret.wav", tone(440, 16_000, 1.0))
    for text in (
        f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.wav\n",
    ):
        (tmp_path / "a.mp4").write_text(text)
        with pytest.raises(AudioError, match="cannot be decoded"):
            extract_wav(tmp_path / "a.mp4", tmp_path / "out.wav")


def broken(folder, kind):
    path = folder / "a.mp4"
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_bytes(b"<html>404</html>" * 100)
        case "no samples":
            soundfile.write(path, np.zeros(0), 8_000, format="WAV")
        case "nan":
            soundfile.write(path, np.full(99, np.nan), 8_000, "FLOAT", format="WAV")
        case "cut wav":
            cut(write_wav(folder / "a.wav", tone(440, 16_000, 1.0))).rename(path)
        case "cut webm":
            cut(write_media(folder / "a.webm", np.stack([tone(440, 48_000, 3.0)] * 2))).rename(path)
        case "silent film":
            write_media(path, None)
        case "damaged":
            write_media(path, np.stack([tone(440, 48_000, 3.0)] * 2))
            data = bytearray(path.read_bytes())
            data[4000:12000] = bytes(8000)
            path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such file; check the clip's name"),
        ("empty", "is empty; fetch the file again"),
        ("text", "cannot be decoded ("),
        ("damaged", "is cut short or damaged: 2.496 s of the stated 3.000 s decode"),
        ("no samples", "holds no samples; fetch the file again"),
        ("nan", "not a finite number (NaN or infinity) at 0.000 s; export the clip again"),
        ("cut wav", "is cut short or damaged: 0.499 s of the stated 1.000 s decode; fetch the file again"),
        ("cut webm", "is cut short or damaged: 1.4"),
        ("silent film", "holds no sound; leave the clip out, or fetch the file again with its audio"),
    ],
)
def test_a_broken_file_is_an_error_with_its_fault_and_leaves_nothing_behind(tmp_path, kind, says):
    path = broken(tmp_path, kind)
    with pytest.raises(AudioError) as raised:
        extract_wav(path, tmp_path / "out" / "a.wav")
    assert str(raised.value).startswith(f"{path}: {says}")
    assert not (tmp_path / "out").exists()


def test_a_file_that_crashes_the_decoder_costs_that_file_and_no_other():
    assert list(map_in_processes(crash_on_three, range(1, 6), 2)) == ["1 done", "2 done", CRASHED, "4 done", "5 done"]


def test_clips_come_in_order_with_measures_or_reasons_and_are_not_made_twice(tmp_path):
    for number in range(3):
        write_wav(tmp_path / f"{number}.wav", tone(440, 16_000, 0.5 + number / 4))
    jobs = [ExtractionJob(tmp_path / f"{n}.wav", tmp_path / "out" / f"{n}.wav") for n in (0, 1, 9, 2)]
    seen = []
    first, second, gone, third = extract_clips(jobs, 2, lambda done, total: seen.append((done, total)))
    assert [clip.duration_s for clip in (first, second, third)] == [0.5, 0.75, 1.0]
    assert gone == f"clip no such file; check the clip's name in the record and audio_root ({tmp_path / '9.wav'})"
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert measure_wav(tmp_path / "out" / "1.wav") == second
    assert len({clip.digest for clip in (first, second, third)}) == 3
    made = (tmp_path / "out" / "0.wav").stat().st_mtime_ns
    (tmp_path / "0.wav").unlink()
    assert extract_clips(jobs[:1], 1) == [first]
    assert (tmp_path / "out" / "0.wav").stat().st_mtime_ns == made


WORKS_FOREVER = """
import os, sys, time
from harken.prepare.worker_processes import map_in_processes

def work(path):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)

if __name__ == "__main__":
    list(map_in_processes(work, [sys.argv[1]], 1))
"""


def test_workers_of_a_killed_run_end_with_it(tmp_path):
    (tmp_path / "run.py").write_text(WORKS_FOREVER)
    with subprocess.Popen([sys.executable, tmp_path / "run.py", tmp_path / "pid"]) as run:
        until = time.monotonic() + 60
        while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()) and time.monotonic() < until:
            time.sleep(0.01)
        run.kill()
    worker = Path("/proc") / (tmp_path / "pid").read_text()
    while worker.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not worker.exists()


def test_a_clip_whose_source_changed_is_extracted_again_and_no_other(tmp_path):
    sources = [write_wav(tmp_path / f"{name}.wav", tone(440, 16_000, 0.1)) for name in "abcd"]
    jobs = [ExtractionJob(source, tmp_path / "out" / source.name) for source in sources]
    old = sources[2].stat()
    first = extract_clips(jobs, workers=1)
    written = [job.target.stat().st_ino for job in jobs]  # a file that is made again is another file
    write_wav(sources[1], tone(880, 16_000, 0.1))
    os.utime(sources[1], (1e9, 1e9))  # as an archive unpacks it
    write_wav(sources[2], tone(880, 16_000, 0.1))
    os.utime(sources[2], ns=(old.st_atime_ns, old.st_mtime_ns))  # replaced, with the time of the earlier one
    sources[3].write_bytes(b"")
    second = extract_clips(jobs, workers=1)
    assert second[0] == first[0]
    assert jobs[0].target.stat().st_ino == written[0]
    for i in (1, 2):
        assert second[i] == measure_wav(sources[i])
        assert second[i] != first[i]
    assert "clip" in second[3]
    assert not jobs[3].target.exists()
