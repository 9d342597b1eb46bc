"""Sound files of every container and codec, whole and damaged, and what an independent decoder makes of them.

`SOUNDS` are the ways to write a file and `DAMAGES` the ways to damage it; a cell of the matrix is one of each. The
independent decoder is PyAV in its shortest form, or ffmpeg's command line where it is installed.
"""

import io
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

SECONDS = 2.0
_SNDFILE = {
    "wav-pcm_u8": ("WAV", "PCM_U8"),
    "wav-pcm_16": ("WAV", "PCM_16"),
    "wav-pcm_24": ("WAV", "PCM_24"),
    "wav-pcm_32": ("WAV", "PCM_32"),
    "wav-float": ("WAV", "FLOAT"),
    "wav-double": ("WAV", "DOUBLE"),
    "wav-alaw": ("WAV", "ALAW"),
    "wav-ulaw": ("WAV", "ULAW"),
    "wav-ima_adpcm": ("WAV", "IMA_ADPCM"),
    "wav-ms_adpcm": ("WAV", "MS_ADPCM"),
    "wav-gsm": ("WAV", "GSM610"),
    "wavex-pcm_24": ("WAVEX", "PCM_24"),
    "rf64-pcm_16": ("RF64", "PCM_16"),
    "w64-pcm_16": ("W64", "PCM_16"),
    "aiff-pcm_16": ("AIFF", "PCM_16"),
    "aiff-float": ("AIFF", "FLOAT"),
    "au-pcm_16": ("AU", "PCM_16"),
    "au-ulaw": ("AU", "ULAW"),
    "caf-pcm_16": ("CAF", "PCM_16"),
    "flac-16": ("FLAC", "PCM_16"),
    "flac-24": ("FLAC", "PCM_24"),
    "ogg-vorbis": ("OGG", "VORBIS"),
    "mp3-sndfile": ("MP3", "MPEG_LAYER_III"),
}
_FFMPEG = {
    "mp3-cbr": ("mp3", "libmp3lame", {}, {}),
    "mp3-vbr": ("mp3", "libmp3lame", {"q": "4"}, {}),
    "mp3-bare": ("mp3", "libmp3lame", {}, {"write_xing": "0", "id3v2_version": "0"}),
    "m4a-aac": ("ipod", "aac", {}, {}),
    "mp4-aac": ("mp4", "aac", {}, {"movflags": "faststart"}),
    "m4a-alac": ("ipod", "alac", {}, {}),
    "webm-opus": ("webm", "libopus", {}, {}),
    "mkv-flac": ("matroska", "flac", {}, {}),
    "ogg-opus": ("ogg", "libopus", {}, {}),
    "ogg-flac": ("ogg", "flac", {}, {}),
    "adts-aac": ("adts", "aac", {}, {}),
    "pipe-flac": ("flac", "flac", {}, {}),
    "pipe-wav": ("wav", "pcm_s16le", {}, {}),
}
SOUNDS = (*_SNDFILE, *_FFMPEG)
DAMAGES = ("whole", "cut 10 %", "cut 50 %", "cut 90 %", "hole", "zeros", "joined")
SIZED = tuple(name for name in SOUNDS if name.startswith(("wav", "rf64", "w64", "aiff", "au", "caf", "flac")))
"""Files whose header states a size at a fixed place, which `SIZES` change."""
SIZES = ("size 0", "size unknown", "size too large")
CELLS = [(name, damage) for name in SOUNDS for damage in DAMAGES] + [(name, size) for name in SIZED for size in SIZES]


def write_sound(path: Path, name: str, channels: int = 1) -> Path:
    """Two seconds of noise and a tone, mono or stereo, at 16 kHz, so that nothing is resampled; Opus at 48 kHz."""
    rate_hz = 48_000 if "opus" in name else 16_000
    t = np.arange(round(SECONDS * rate_hz)) / rate_hz
    rng = np.random.default_rng(len(name))
    mono = 0.3 * np.sin(2 * np.pi * 440 * t * (1 + t)) + rng.normal(0, 0.05, len(t))
    samples = np.stack([mono, 0.5 * mono], axis=1)[:, :channels].astype(np.float32)
    if name in _SNDFILE:
        kind, subtype = _SNDFILE[name]
        soundfile.write(path, samples, rate_hz, format=kind, subtype=subtype)
        return path
    kind, codec, codec_options, options = _FFMPEG[name]
    target = _Pipe() if name.startswith("pipe") else str(path)
    with av.open(target, "w", format=kind, options=options) as container:
        track = container.add_stream(codec, rate=rate_hz, options=codec_options)
        track.layout = {1: "mono", 2: "stereo"}[channels]
        track.codec_context.open()
        resampler = av.AudioResampler(
            format=track.format.name, layout=track.layout, rate=rate_hz, frame_size=track.codec_context.frame_size
        )
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=track.layout.name)
        frame.sample_rate, frame.pts = rate_hz, 0
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(track.encode(part))
        container.mux(track.encode())
    if isinstance(target, _Pipe):
        path.write_bytes(target.written.getvalue())
    return path


class _Pipe:
    """A file that cannot seek, as FFmpeg writes to a pipe."""

    def __init__(self) -> None:
        self.written = io.BytesIO()

    def write(self, data: bytes) -> int:
        """Append."""
        return self.written.write(data)


def damaged(content: bytes, damage: str, name: str) -> bytes:
    """The content of a file with the damage."""
    middle = len(content) // 2
    match damage.split():
        case ["cut", share, _]:
            return content[: len(content) * int(share) // 100]
        case ["hole"]:
            return content[:middle] + content[middle + 1000 :]
        case ["zeros"]:
            return content[:middle] + bytes(1000) + content[middle + 1000 :]
        case ["joined"]:
            return content + content
        case ["size", *kind]:
            return _with_size(content, name, " ".join(kind))
    return content


def _with_size(content: bytes, name: str, kind: str) -> bytes:
    """The content with another size of its sound in the header."""
    if name.startswith("flac"):
        frames = {"0": 0, "unknown": 0, "too large": 2 * int.from_bytes(content[22:26], "big")}[kind]
        return content[:22] + frames.to_bytes(4, "big") + content[26:]
    order = "big" if name.startswith(("aiff", "au-", "caf")) else "little"
    mark, offset, width = {
        "wav": (b"data", 4, 4),
        "rf64": (b"ds64", 16, 8),
        "w64": (b"data\xf3\xac", 16, 8),
        "aiff": (b"SSND", 4, 4),
        "au": (b".snd", 8, 4),
        "caf": (b"data", 4, 8),
    }[name.split("-")[0].replace("wavex", "wav")]
    place = content.index(mark) + offset
    stated = int.from_bytes(content[place : place + width], order)
    size = {"0": 0, "unknown": 256**width - 1, "too large": 2 * stated}[kind]
    return content[:place] + size.to_bytes(width, order) + content[place + width :]


def decode_by_command(path: Path) -> NDArray[np.float32]:
    """[S] what ffmpeg's command line decodes of a mono file, at the rate of the file."""
    command = ["ffmpeg", "-v", "quiet", "-nostdin", "-i", str(path), "-map", "0:a:0", "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=False).stdout, "<f4")


def decode_plainly(path: Path) -> NDArray[np.float32]:
    """[S] what PyAV decodes of an undamaged mono file, at the rate of the file, in its shortest form."""
    resampler = av.AudioResampler(format="fltp", layout="mono")
    with av.open(str(path)) as container:
        parts = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.concatenate([part.to_ndarray()[0] for part in parts])


def has_ffmpeg() -> bool:
    """Whether ffmpeg's command line is there."""
    return shutil.which("ffmpeg") is not None
