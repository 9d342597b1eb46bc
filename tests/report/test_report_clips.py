"""Clips are found by name inside their folders only, and come out as sound and as a picture."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
import soundfile
from report_runs import write_clips

from harken.data.audio import wav_bytes
from harken.data.encoded_sound import as_mp3
from harken.errors import AudioError
from harken.report.clip_picture import draw_clip, mel_levels
from harken.report.clips import ClipFinder, load_clip


def test_a_name_is_the_last_two_parts_of_a_path_however_deep_the_clip_lies(tmp_path):
    write_clips(tmp_path, ["a.wav", "audio/b.wav", "deep/er/still/c.wav"])
    finder = ClipFinder([tmp_path])
    assert finder.find("a.wav") == tmp_path / "a.wav"
    assert finder.find(f"{tmp_path.name}/a.wav") == tmp_path / "a.wav"
    assert finder.find("audio/b.wav") == tmp_path / "audio" / "b.wav"
    assert finder.find("still/c.wav") == tmp_path / "deep" / "er" / "still" / "c.wav"


def test_a_name_that_means_two_files_is_refused(tmp_path):
    write_clips(tmp_path, ["x/audio/a.wav", "y/audio/a.wav"])
    with pytest.raises(AudioError, match=r"2 files called 'audio/a\.wav'"):
        ClipFinder([tmp_path]).find("audio/a.wav")
    with pytest.raises(AudioError, match="2 files"):
        ClipFinder([tmp_path / "x", tmp_path / "y"]).find("audio/a.wav")
    assert ClipFinder([tmp_path / "y"]).find("audio/a.wav") == tmp_path / "y" / "audio" / "a.wav"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.wav",
        "audio/../../secret.wav",
        "/etc/passwd",
        "audio/./a.wav",
        "audio//a.wav",
        "",
        ".",
        "..",
        "a\0.wav",
        "..\\secret.wav",
        "%2e%2e/secret.wav",
        "audio/%2e%2e/%2e%2e/secret.wav",
        "secret.wav",
        "no/such.wav",
        "a" * 5000,
    ],
)
def test_no_name_leads_out_of_the_folders(tmp_path, name):
    write_clips(tmp_path, ["secret.wav", "root/audio/a.wav"])
    with pytest.raises(AudioError):
        ClipFinder([tmp_path / "root"]).find(name)


def test_a_link_that_leads_out_is_refused_unless_its_end_is_in_a_folder_too(tmp_path):
    write_clips(tmp_path, ["blobs/a.wav", "root/audio/b.wav"])
    (tmp_path / "root" / "audio" / "link.wav").symlink_to(tmp_path / "blobs" / "a.wav")
    (tmp_path / "root" / "folder").symlink_to(tmp_path / "blobs")
    for name in ("audio/link.wav", "folder/a.wav"):
        with pytest.raises(AudioError, match="leads out"):
            ClipFinder([tmp_path / "root"]).find(name)
    both = ClipFinder([tmp_path / "root", tmp_path / "blobs"])
    assert both.find("audio/link.wav") == tmp_path / "blobs" / "a.wav"


def test_a_file_that_is_no_sound_is_never_read_out(tmp_path):
    (tmp_path / "notes.txt").write_text("a secret")
    with pytest.raises(AudioError, match="cannot be decoded") as caught:
        load_clip(ClipFinder([tmp_path]), "notes.txt")
    assert "a secret" not in str(caught.value)
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="no files"):
        load_clip(ClipFinder([tmp_path]), "pipe.wav")


def test_sounds_come_back_as_the_model_hears_them(tmp_path):
    write_clips(tmp_path, ["a.wav"])
    samples = load_clip(ClipFinder([tmp_path]), "a.wav")
    for encoded, tolerance in ((wav_bytes(samples), 1e-4), (as_mp3(samples), 0.2)):
        again, rate = soundfile.read(io.BytesIO(encoded), dtype="float32")
        assert (rate, again.shape) == (16_000, samples.shape)
        assert np.abs(again[800:-800] - samples[800:-800]).max() < tolerance
    assert len(as_mp3(np.tile(samples, 20))) < 4500 * 10


def test_the_mel_picture_shows_a_tone_in_its_band_and_when_it_sounds():
    time_s = np.arange(32_000) / 16_000
    samples = (0.5 * np.sin(2 * np.pi * 1000 * time_s) * (time_s >= 1)).astype(np.float32)
    levels = mel_levels(samples)
    assert levels.shape == (64, 240)
    band = 63 - int(levels[:, 180].argmax())  # low bands below
    edges = np.linspace(2595 * np.log10(1 + 40 / 700), 2595 * np.log10(1 + 8000 / 700), 66)
    assert abs(edges[band + 1] - 2595 * np.log10(1 + 1000 / 700)) < edges[1] - edges[0]
    assert levels[:, 180].max() == 15
    assert levels[:, :115].max() == 0


def test_the_outline_follows_the_loudness():
    samples = np.concatenate([np.zeros(8000), np.full(8000, 0.25), np.full(8000, -1.0)]).astype(np.float32)
    outline = [ord(sign) - 48 for sign in draw_clip(samples).outline]
    assert outline[10] == 0
    assert outline[120] == round(63 * 0.25**0.5)
    assert outline[230] == 63


@pytest.mark.parametrize("n", [1, 2, 239, 241, 400, 16_001])
def test_a_clip_of_any_length_has_pictures(n):
    seen = draw_clip(np.full(n, 0.1, dtype=np.float32))
    assert len(seen.outline) == 240
    assert seen.duration_s == n / 16_000
    assert len(png_pixels(seen.mel)) == 64 * 240


def png_pixels(png: bytes) -> list[int]:
    """A slow reader of what `picture` writes: 4-bit palette, no filters."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    place, chunks = 8, {}
    while place < len(png):
        (size,) = struct.unpack(">I", png[place : place + 4])
        kind, content = png[place + 4 : place + 8], png[place + 8 : place + 8 + size]
        assert struct.unpack(">I", png[place + 8 + size : place + 12 + size]) == (zlib.crc32(kind + content),)
        chunks[kind] = content
        place += 12 + size
    columns, rows, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (columns, rows, depth, colour) == (240, 64, 4, 3)
    lines = zlib.decompress(chunks[b"IDAT"])
    assert all(lines[row * 121] == 0 for row in range(64))
    return [
        pixel
        for row in range(64)
        for byte in lines[row * 121 + 1 : row * 121 + 121]
        for pixel in (byte >> 4, byte & 15)
    ]
