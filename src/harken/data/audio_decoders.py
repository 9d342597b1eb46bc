"""Decodes the frames of a sound file with libsndfile or with FFmpeg, and counts them.

`decode` gives blocks of exactly what a decoder returned, never the contents of a buffer that it did not fill, and
keeps in `Decoding` what it learned about the file on the way. `audio.py` mixes, resamples and judges.
"""

import io
import mmap
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import av.error
import numpy as np
import soundfile
from av.audio import AudioFrame, AudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from harken.data.audio_layout import Layout
from harken.errors import AudioError

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 4_000, 768_000
LONGEST_S = 2 * 3600
"""The longest sound that is decoded, in seconds. It bounds the memory that one file can take."""
MOST_VALUES = 1 << 31
"""The largest number of frames times channels that is decoded: two hours of six channels at 48 kHz. It bounds the time
that one file can take; a compressed file of silence can be very long."""
_MOST_WAITING_S = 60.0
"""How long FFmpeg may take to open a file, and to find the next packet."""
_BLOCK_VALUES = 1 << 18
_OPTIONS = {
    "protocol_whitelist": "file,pipe",
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,wav,w64,aiff,au,caf,flac,ogg,mp3,aac,ac3,eac3,amr,avi,"
    "flv,asf,mpegts,mpeg,wv,ape,tta",
}
"""Only these are opened: a playlist with the name of a sound could make FFmpeg open other files or hosts."""
_STATES_DURATION = ("mov", "matroska", "webm", "flac", "ogg")
"""Formats that store a duration that `audio_layout.py` does not read; for others FFmpeg estimates it."""
_PACKETS_HAVE_SIZES = ("MP4", "Matroska", "other")
"""Formats that store the size of each packet, so that a shorter one was cut. In WAV a packet ends with the file."""

Block = NDArray[np.float32]
"""[frames, channels], at least one frame; full scale is [-1, 1]."""


@dataclass(slots=True)
class Decoding:
    """What is known about a file while it is decoded.

    Attributes:
        rate_hz: sample frames a second; 0 before the first block.
        position: the frame, counted from the beginning of the file, behind the last block.
        stated_frames: how many frames the file states; None where it states nothing.
        tolerance_frames: how many frames fewer than stated are no loss, because encoders pad.
        damage: what the decoder could not decode, in words; "" where there was nothing.
        at_end: whether the file was decoded to its end.
        errors: packets that did not decode.
    """

    rate_hz: int = 0
    position: int = 0
    stated_frames: int | None = None
    tolerance_frames: int = 0
    damage: str = ""
    at_end: bool = False
    errors: int = 0

    def set_rate(self, rate_hz: int) -> None:
        """Raises AudioError for a rate that no sound has, and for a rate that changes."""
        if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            raise AudioError(
                f"its sample rate is {rate_hz} Hz, and harken reads {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz; "
                "correct its header, or convert it"
            )
        if self.rate_hz not in (0, rate_hz):
            raise AudioError(f"changes its rate in the middle, from {self.rate_hz} to {rate_hz} Hz; convert it to WAV")
        self.rate_hz = rate_hz

    def frame_at(self, time_s: float) -> int:
        """The frame at a time, at the rate of the file."""
        return round(time_s * self.rate_hz)


def decode(
    file: BinaryIO, data: mmap.mmap, layout: Layout, state: Decoding, start_s: float, end_s: float | None
) -> Iterator[Block]:
    """Yield the frames from `start_s` up to `end_s`; nothing where the file ends before `start_s`.

    Raises AudioError, and whatever the libraries raise.
    """
    blocks = _libsndfile if layout.library == "libsndfile" else _ffmpeg
    first = last = None
    n_values = 0
    for block in blocks(file, data, layout, state, start_s, end_s):
        if first is None:
            first = state.frame_at(start_s)
            last = None if end_s is None else max(first + 1, state.frame_at(end_s))
        begin = state.position
        state.position += len(block)
        n_values += block.size
        if state.position > LONGEST_S * state.rate_hz + first or n_values > MOST_VALUES:
            raise AudioError(
                f"lasts more than {LONGEST_S / 3600:g} hours, or has more than {MOST_VALUES:,} sample values; "
                "cut it, or name a part with start_s and end_s"
            )
        block = block[max(0, first - begin) : None if last is None else max(0, last - begin)]
        if len(block):
            yield block
        if last is not None and state.position >= last:
            return
    state.at_end = True


def _libsndfile(
    file: BinaryIO, data: mmap.mmap, layout: Layout, state: Decoding, start_s: float, end_s: float | None
) -> Iterator[Block]:
    """Blocks from a frame at or before `start_s`; `state.position` is set to that frame."""
    stated = 0
    for part in layout.segments or (None,):
        with ExitStack() as opened:
            source = _source(file, data, layout, part)
            sound = opened.enter_context(soundfile.SoundFile(source, closefd=False))
            state.set_rate(sound.samplerate)
            stated += sound.frames
            state.stated_frames = stated if layout.stated_frames is None else layout.stated_frames
            if layout.format == "MP3":
                # Without a tag libsndfile estimates the length, and decoders disagree about the first and last frame.
                state.stated_frames, state.tolerance_frames = layout.stated_frames, 1151
            if part is None and start_s > 0:
                first = min(state.frame_at(start_s), max(0, sound.frames - 1))
                state.position = sound.seek(first)
            n_frames = max(1, _BLOCK_VALUES // sound.channels)
            while True:
                block = np.asarray(sound.read(n_frames, dtype="float32", always_2d=True), np.float32)
                if not len(block):
                    break
                yield block


def _source(file: BinaryIO, data: mmap.mmap, layout: Layout, part: tuple[int, int] | None) -> int | BinaryIO:
    """What libsndfile opens: never a name, because it takes some extensions as a statement of the format."""
    if part is not None:
        return io.BytesIO(data[part[0] : part[1]])
    if layout.header is not None:
        return io.BytesIO(layout.header[1] + data[layout.header[0] :])
    file.seek(0)
    return file.fileno()


def _ffmpeg(
    file: BinaryIO, data: mmap.mmap, layout: Layout, state: Decoding, start_s: float, end_s: float | None
) -> Iterator[Block]:
    """Blocks from the beginning of the file on: seeking would not be exact."""
    for begin, end in layout.segments or ((0, len(data)),):
        source = f"file:{file.name}" if not layout.segments else io.BytesIO(data[begin:end])
        with av.open(source, "r", options=_OPTIONS, metadata_errors="replace", timeout=_MOST_WAITING_S) as container:
            if not container.streams.audio:
                raise AudioError("holds no sound; leave the clip out, or fetch the file again with its audio")
            stream = container.streams.audio[0]
            if getattr(stream, "codec_context", None) is None:
                raise AudioError("its codec is not known; convert it to WAV or FLAC")
            if stream.rate:
                state.set_rate(stream.rate)
            stream.codec_context.thread_type = "NONE"
            if stream.codec_context.name == "flac":
                stream.codec_context.options = {"err_detect": "crccheck+explode"}
            yield from _joined(_frames(container, stream, state, sized=layout.format in _PACKETS_HAVE_SIZES))
            _note_stated(container, stream, layout, state)


def _frames(container: InputContainer, stream: AudioStream, state: Decoding, *, sized: bool) -> Iterator[Block]:
    """Decode packet by packet. A packet that does not decode is counted, and nothing takes its place."""
    lossless = stream.codec_context.name.startswith(("pcm_", "flac", "alac"))
    n_frames = 0
    for packet in _packets(container, stream, state):
        if sized and packet.is_corrupt:
            state.damage = state.damage or "a packet is not whole"
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            state.errors += 1
            state.damage = f"{state.errors} packets do not decode ({error.strerror})"
            continue
        for frame in frames:
            assert isinstance(frame, AudioFrame)
            state.set_rate(frame.sample_rate)
            if container.format.name == "flac":  # its frames are numbered, and the parser drops what it cannot read
                if (
                    frame.pts is None
                    or stream.time_base is None
                    or frame.pts * stream.time_base * state.rate_hz != n_frames
                ):
                    state.damage = state.damage or "frames are missing"
                n_frames += frame.samples
            if not lossless:
                state.tolerance_frames = max(state.tolerance_frames, 3 * frame.samples)
            if frame.samples:
                yield _samples(frame)


def _packets(container: InputContainer, stream: AudioStream, state: Decoding) -> Iterator[Packet]:
    """The packets up to the end, or up to where the container cannot be followed."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError as error:
        state.damage = f"the file cannot be followed to its end ({error.strerror})"


def _samples(frame: AudioFrame) -> Block:
    """[frames, channels] of a frame, scaled to [-1, 1]."""
    values: NDArray[Any] = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(frame.samples, -1)
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - np.float32(128)) / np.float32(128)
    if values.dtype.kind == "i":
        return values.astype(np.float32) / np.float32(2 ** (8 * values.dtype.itemsize - 1))
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and infinite samples are refused
        return values.astype(np.float32, copy=False)


def _joined(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same frames in larger blocks, as long as the number of channels stays the same."""
    waiting: list[Block] = []
    n_values = 0
    for block in blocks:
        if waiting and (n_values >= _BLOCK_VALUES or block.shape[1] != waiting[0].shape[1]):
            yield np.concatenate(waiting)
            waiting, n_values = [], 0
        waiting.append(block)
        n_values += block.size
    if waiting:
        yield np.concatenate(waiting)


def _note_stated(container: InputContainer, stream: AudioStream, layout: Layout, state: Decoding) -> None:
    if layout.stated_frames is not None:
        state.stated_frames = layout.stated_frames
        if layout.format == "MP3":
            state.tolerance_frames = 1151
        return
    stated_s = _stated_duration_s(container, stream)
    if stated_s is not None:
        state.stated_frames = (state.stated_frames or 0) + state.frame_at(stated_s)
        state.tolerance_frames = max(state.tolerance_frames, state.frame_at(0.02))  # durations are stored rounded


def _stated_duration_s(container: InputContainer, stream: AudioStream) -> float | None:
    """The duration of the sound that the file states; None where it states none."""
    if not any(name in _STATES_DURATION for name in container.format.name.split(",")):
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if tag := stream.metadata.get("DURATION"):  # Matroska: 00:00:10.008000000
        match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tag)
        return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None
    if len(container.streams) == 1 and container.duration is not None:
        return float(Fraction(container.duration, av.time_base))
    return None


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read. Raises AudioError for what is no file: a pipe would wait and a device would never end."""
    try:
        if not path.exists():
            raise AudioError("no such file; check the clip's name in the record and audio_root")
        if not path.is_file():
            raise AudioError("is not a regular file but a folder, a pipe or a device; name the clip's file")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"cannot be opened ({getattr(error, 'strerror', None) or error})") from error
    return file
