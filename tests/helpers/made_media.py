"""Write media files: real videos with stereo sound, sound files, and files that are cut."""

import os
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

VIDEO_CODECS = {".mp4": ("mpeg4", "aac"), ".webm": ("libvpx", "libopus"), ".mkv": ("mpeg4", "aac"), ".m4a": ("", "aac")}


def tone(frequency_hz: float, rate_hz: int, duration_s: float, level: float = 0.5) -> NDArray[np.float32]:
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (level * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def write_media(path: Path, sound: NDArray[np.float32] | None, rate_hz: int = 48_000) -> Path:
    """Write a container, chosen by the extension, with sound [channels, S], or with a silent film."""
    path.parent.mkdir(parents=True, exist_ok=True)
    video_codec, audio_codec = VIDEO_CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        film = container.add_stream(video_codec, rate=5) if video_codec else None
        if film is not None:
            film.width, film.height, film.pix_fmt = 32, 32, "yuv420p"
        track = container.add_stream(audio_codec, rate=rate_hz) if sound is not None else None
        if track is not None:
            track.layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
        if film is not None:
            duration_s = 1.0 if sound is None else sound.shape[1] / rate_hz
            for number in range(max(1, round(5 * duration_s))):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 16 * (number % 8), np.uint8), format="rgb24")
                frame.pts = number
                container.mux(film.encode(frame))
            container.mux(film.encode())
        if track is not None:
            step = 960 if audio_codec == "libopus" else 1024
            for start in range(0, sound.shape[1], step):
                samples = np.ascontiguousarray(sound[:, start : start + step])
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=track.layout.name)
                frame.sample_rate, frame.pts = rate_hz, start
                container.mux(track.encode(frame))
            container.mux(track.encode())
    return path


def write_wav(path: Path, samples: NDArray[np.float32], rate_hz: int = 16_000, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    """Keep the first part of a file's bytes, like a download that broke off."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    return path


def crash_on_three(number):
    """Work for another process; the number three crashes it, as a decoder could."""
    if number == 3:
        os.abort()
    return f"{number} done"
