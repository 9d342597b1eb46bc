"""Says what a sound file is by its first bytes, which library decodes it, and how long its own header says it is.

`LIBRARY_OF` is the one table of formats. libsndfile decodes what it can read, because it is faster there; FFmpeg (PyAV)
decodes the rest. libsndfile shortens the stated length of a cut WAV to what is there, and both libraries step over
damage, so the header is read here and compared with the file. `audio_decoders.py` does the decoding.
"""

import mmap
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from harken.data.audio_chunks import aiff_sizes, au_sizes, caf_sizes, completed_header, riff_sizes, w64_sizes
from harken.data.audio_frames import scan_adts, scan_mpeg, scan_ogg, skip_id3
from harken.errors import AudioError

Library = Literal["libsndfile", "FFmpeg"]

LIBRARY_OF: dict[str, Library] = {
    "WAV": "libsndfile",  # every codec of it; FFmpeg where libsndfile does not know the codec, or the size is unknown
    "W64": "libsndfile",
    "AIFF": "libsndfile",
    "AU": "libsndfile",
    "CAF": "libsndfile",
    "FLAC": "libsndfile",  # FFmpeg where the header states no length, as in a file written to a pipe
    "Ogg": "libsndfile",  # Vorbis, Opus and FLAC
    "MP3": "libsndfile",
    "NIST": "libsndfile",
    "VOC": "libsndfile",
    "ADTS": "FFmpeg",  # AAC without a container
    "MP4": "FFmpeg",  # M4A, MP4, MOV, 3GP
    "Matroska": "FFmpeg",  # WebM, MKV
    "other": "FFmpeg",  # AVI, FLV, ASF, MPEG-TS, AC-3 and others, as FFmpeg recognises them
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file says about itself before anything is decoded.

    Attributes:
        format: a key of `LIBRARY_OF`.
        segments: byte ranges that are files of their own and follow each other, as in joined MP3 files and chained Ogg
            streams; () where the file is one.
        stated_share: the size of the sound that the header states, divided by the size that is there.
        stated_frames: the number of sample frames that the header states; None where it does not.
        damage: what is wrong with the structure, in words; "" where nothing is.
        joined: whether another file was appended to it in a format in which decoders only read the first.
        header: bytes that take the place of the beginning of the file, and of how many bytes; None where none do.
    """

    format: str
    library: Library
    segments: tuple[tuple[int, int], ...] = ()
    stated_share: float = 1.0
    stated_frames: int | None = None
    damage: str = ""
    joined: bool = False
    header: tuple[int, bytes] | None = None


def layout_of(data: mmap.mmap | bytes) -> Layout:
    """The layout of a file that is not empty. A structure that cannot be followed is left to the decoder.

    Raises AudioError for a file of chunks that holds no samples: FFmpeg would look for them for minutes.
    """
    name = _format_of(data)
    layout = Layout(name, LIBRARY_OF[name])
    read = _READERS.get(name)
    return layout if read is None else read(data, layout)


def _format_of(data: mmap.mmap | bytes) -> str:
    head = data[:16]
    for name, places in _SIGNATURES.items():
        for signature in places:
            if all(head[at : at + len(mark)] == mark for at, mark in signature):
                return name
    start = skip_id3(data, 0)
    head = data[start : start + 4]
    if head == b"fLaC":
        return "other"  # libsndfile does not look behind an ID3 tag
    if len(head) == 4 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "ADTS"
    if (len(head) == 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0) or start > 0:
        return "MP3"
    return "other"


_SIGNATURES: dict[str, tuple[tuple[tuple[int, bytes], ...], ...]] = {
    "WAV": tuple(((0, mark), (8, b"WAVE")) for mark in (b"RIFF", b"RIFX", b"RF64", b"BW64")),
    "W64": (((0, b"riff\x2e\x91\xcf\x11"),),),
    "AIFF": (((0, b"FORM"), (8, b"AIFF")), ((0, b"FORM"), (8, b"AIFC"))),
    "AU": (((0, b".snd"),), ((0, b"dns."),)),
    "CAF": (((0, b"caff"),),),
    "FLAC": (((0, b"fLaC"),),),
    "Ogg": (((0, b"OggS"),),),
    "NIST": (((0, b"NIST_1A"),),),
    "VOC": (((0, b"Creative Voice"),),),
    "MP4": (((4, b"ftyp"),), ((4, b"moov"),), ((4, b"mdat"),)),
    "Matroska": (((0, b"\x1a\x45\xdf\xa3"),),),
}
"""Format -> the ways in which a file of it can begin: (position, bytes) that all have to be there."""


def _chunked(sizes: Callable[[mmap.mmap | bytes], tuple[int, int, int] | None]):
    def read(data: mmap.mmap | bytes, layout: Layout) -> Layout:
        stated_and_present = sizes(data)
        if stated_and_present is None:  # written to a pipe: read to its end
            header = completed_header(data)
            library = "FFmpeg" if header is None else layout.library
            return replace(layout, library=library, header=header, joined=_begins_again(data))
        stated, present, behind = stated_and_present
        if not present:
            raise AudioError("holds no samples; fetch the file again, or remove its record")
        if stated <= present:
            return replace(layout, joined=data[behind : behind + 4] == data[:4])
        # libsndfile would fill the last block of a cut ADPCM or GSM file with what its buffer holds.
        return replace(layout, library="FFmpeg", stated_share=stated / max(1, present))

    return read


def _flac(data: mmap.mmap | bytes, layout: Layout) -> Layout:
    # The 36 bits of "total samples" of STREAMINFO, the first block, begin in the middle of byte 21 (RFC 9639, 8.2).
    n_frames = int.from_bytes(data[21:26], "big") & 0xF_FFFF_FFFF
    layout = replace(layout, joined=data.find(b"fLaC\0\0\0\x22", 4) > 0)
    return replace(layout, stated_frames=n_frames) if n_frames else replace(layout, library="FFmpeg")


def _mp4(data: mmap.mmap | bytes, layout: Layout) -> Layout:
    place, names = 0, []
    while 0 <= place <= len(data) - 8 and len(names) < 1 << 16:
        size = int.from_bytes(data[place : place + 4], "big")
        names.append(data[place + 4 : place + 8])
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        if size < 8:  # 0 = up to the end of the file
            break
        place += size
    return replace(layout, joined=names.count(b"ftyp") > 1)


def _begins_again(data: mmap.mmap | bytes) -> bool:
    """Whether what the file begins with stands in it a second time."""
    place = data.find(data[:4], 12)
    while place > 0 and data[place + 8 : place + 12] != data[8:12]:
        place = data.find(data[:4], place + 4)
    return place > 0


def _mp3(data: mmap.mmap | bytes, layout: Layout) -> Layout:
    scan = scan_mpeg(data)
    if scan is None:
        return replace(layout, library="FFmpeg")
    segments = scan.segments if len(scan.segments) > 1 else ()
    return replace(layout, segments=segments, stated_frames=scan.stated_frames, damage=scan.damage)


def _adts(data: mmap.mmap | bytes, layout: Layout) -> Layout:
    return replace(layout, damage=scan_adts(data))


def _ogg(data: mmap.mmap | bytes, layout: Layout) -> Layout:
    segments, damage = scan_ogg(data)
    return replace(layout, segments=segments if len(segments) > 1 else (), damage=damage)


_READERS: dict[str, Callable[[mmap.mmap | bytes, Layout], Layout]] = {
    "WAV": _chunked(riff_sizes),
    "W64": _chunked(w64_sizes),
    "AIFF": _chunked(aiff_sizes),
    "AU": _chunked(au_sizes),
    "CAF": _chunked(caf_sizes),
    "FLAC": _flac,
    "MP4": _mp4,
    "MP3": _mp3,
    "ADTS": _adts,
    "Ogg": _ogg,
}
