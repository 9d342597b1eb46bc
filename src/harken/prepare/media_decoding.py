"""Decode the sound of a media file to a 16 kHz mono 16-bit WAV.

Any video or audio file that FFmpeg reads is accepted (PyAV brings FFmpeg's libraries; no `ffmpeg` program is needed).
The WAV is written whole or not at all. Channels are averaged, resampled with soxr and rounded to 16 bits, so that 16
kHz mono 16-bit input comes out bit for bit; more than two channels are mixed with FFmpeg's weights for their layout.
Memory does not grow with the length of the file. What a decoder makes of damaged input is not accepted: a packet that
does not decode, or a file that ends before its stated duration, is an error.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
import soundfile
import soxr
from av.audio import AudioStream
from av.audio.fifo import AudioFifo
from av.container import InputContainer
from numpy.typing import NDArray

from harken.data.audio import SAMPLE_RATE_HZ
from harken.errors import AudioError
from harken.system.files import replacing

_BLOCK_SAMPLES = 1 << 16
_CUT_TOLERANCE_S = 0.5
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,wav,w64,flac,ogg,mp3,aac,avi,flv,asf,mpegts,mpeg",
}
"""Only these are opened: a playlist with the name of a video could make FFmpeg open other files or hosts."""
_DURATION_KNOWN = ("mov", "matroska", "webm", "wav", "flac", "ogg")
"""Formats that store a duration; for others FFmpeg estimates it from the bit rate."""


def extract_wav(source: Path, target: Path) -> None:
    """Write the sound of `source` to `target`.

    Raises AudioError, and writes nothing, where the file cannot be read or decoded, has no sound, no samples or samples
    that are not finite, or ends before its stated duration.
    """
    with (
        replacing(target) as temporary,
        soundfile.SoundFile(temporary, "w", SAMPLE_RATE_HZ, channels=1, format="WAV", subtype="PCM_16") as out,
    ):
        for block in decode(source):
            out.write(block)


def decode(source: Path) -> Iterator[NDArray[np.int16]]:
    """Yield blocks [S] of 16 kHz mono 16-bit samples, at least one sample in all.

    Raises AudioError as `extract_wav` does.
    """
    n_samples = 0
    try:
        with av.open(f"file:{source}", options=_OPTIONS, metadata_errors="replace") as container:
            if not container.streams.audio or not container.streams.audio[0].rate:
                raise AudioError(
                    f"{source}: holds no sound; leave the clip out, or fetch the file again with its audio"
                )
            stream = container.streams.audio[0]
            mono = _mono_blocks(source, container, stream)
            for block in _resampled(mono, stream.rate):
                n_samples += block.size
                yield np.clip(np.rint(block * 32768), -32768, 32767).astype(np.int16)
    except (av.error.FFmpegError, OSError) as error:
        place = f" at {n_samples / SAMPLE_RATE_HZ:.1f} s" if n_samples else ""
        raise AudioError(f"{source}: cannot be decoded{place} ({error.strerror}); fetch the file again") from error
    if n_samples == 0:
        raise AudioError(f"{source}: holds no samples; fetch the file again")


def _mono_blocks(source: Path, container: InputContainer, stream: AudioStream) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of about `_BLOCK_SAMPLES` samples, averaged over channels, at the rate of the stream."""
    mix = stream.channels > 2
    # With 16-bit output FFmpeg scales the mix of many channels so that it cannot clip; with float output it does not.
    convert = av.AudioResampler(format="s16p" if mix else "fltp", layout="mono" if mix else stream.layout)
    fifo = AudioFifo()  # joins frames in C; joining them in Python would take as long as decoding
    n_decoded = 0
    for frame in container.decode(stream):
        frame.pts = None  # frames are joined as they come; gaps in time stamps are not filled
        try:
            for part in [frame] if frame.format.name == "fltp" and not mix else convert.resample(frame):
                part.pts = None
                fifo.write(part)
        except ValueError as error:
            raise AudioError(f"{source}: changes its rate or channels in the middle; leave the clip out") from error
        if fifo.samples >= _BLOCK_SAMPLES:
            n_decoded += fifo.samples
            yield _mono(source, fifo)
    if fifo.samples:
        n_decoded += fifo.samples
        yield _mono(source, fifo)
    if container.format.name == "wav" and _riff_is_cut(source):
        raise AudioError(f"{source}: is cut: it is shorter than its header says; fetch the file again")
    stated_s, decoded_s = _stated_duration_s(container, stream), n_decoded / stream.rate
    if stated_s is not None and decoded_s < stated_s - _CUT_TOLERANCE_S:
        raise AudioError(f"{source}: is cut: it ends after {decoded_s:.1f} s of {stated_s:.1f} s; fetch the file again")


def _mono(source: Path, fifo: AudioFifo) -> NDArray[np.float32]:
    """Read everything from the fifo, averaged over channels."""
    frame = fifo.read(partial=True)
    assert frame is not None
    block = frame.to_ndarray().mean(axis=0, dtype=np.float32)
    if frame.format.name == "s16p":
        block /= 32768
    if not np.isfinite(block).all():
        raise AudioError(f"{source}: holds samples that are not finite numbers; leave the clip out")
    return block


def _resampled(blocks: Iterator[NDArray[np.float32]], rate_hz: int) -> Iterator[NDArray[np.float32]]:
    if rate_hz == SAMPLE_RATE_HZ:
        yield from blocks
        return
    resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, num_channels=1, quality="HQ")
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _stated_duration_s(container: InputContainer, stream: AudioStream) -> float | None:
    """The duration of the sound that the file states; None where it states none."""
    if not any(name in _DURATION_KNOWN for name in container.format.name.split(",")):
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if tag := stream.metadata.get("DURATION"):  # Matroska: 00:00:10.008000000
        match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tag)
        return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None
    if len(container.streams) == 1 and container.duration is not None:
        return float(Fraction(container.duration, av.time_base))
    return None


def _riff_is_cut(source: Path) -> bool:
    """Whether the file is shorter than its header states: FFmpeg and libsndfile read a cut WAV as a shorter one."""
    with source.open("rb") as file:
        stated = int.from_bytes(file.read(8)[4:], "little")
    written_to_pipe = stated in (0, 0xFFFFFFFF)
    return not written_to_pipe and source.stat().st_size < 8 + stated
