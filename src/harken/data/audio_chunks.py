"""Reads from the header of a WAV, W64, AIFF, AU or CAF file how many bytes of sound it states and how many are there.

The functions that end in `_sizes` return (bytes stated, bytes present, place behind the last chunk), or None where the
header says that the size was not known when it was written, as in a file written to a pipe. A file without a chunk of
sound gives zeros. `data` is the whole file.
"""

import mmap
from collections.abc import Iterator
from typing import Literal

Data = mmap.mmap | bytes
Sizes = tuple[int, int, int]
_MOST_CHUNKS = 10_000
"""A hostile file could consist of empty chunks."""
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_LATER_CHUNKS = (
    b"LIST",
    b"fact",
    b"cue ",
    b"bext",
    b"smpl",
    b"PEAK",
    b"id3 ",
    b"ID3 ",
    b"JUNK",
    b"junk",
    b"iXML",
    b"FLLR",
)


def riff_sizes(data: Data) -> Sizes | None:
    """RIFF, RIFX, RF64 and BW64. The size of RF64's data chunk stands in its ds64 chunk."""
    order: Literal["big", "little"] = "big" if data[:4] == b"RIFX" else "little"
    long_size: int | None = None
    for name, start, size in _chunks(data, 12, order):
        if name == b"ds64":
            long_size = int.from_bytes(data[start + 8 : start + 16], "little")
        if name != b"data":
            continue
        present = len(data) - start
        if data[:4] in (b"RF64", b"BW64") and size == 0xFFFFFFFF and long_size is not None:
            size = long_size
            if size in (0, 0xFFFFFFFF_FFFFFFFF) and present:
                return None
        elif _unknown(size) or (size == 0 and present and data[start : start + 4] not in _LATER_CHUNKS):
            return None
        return size, min(size, present), _behind(data, start + size, order)
    return 0, 0, len(data)


def w64_sizes(data: Data) -> Sizes | None:
    """Sony Wave64: 16-byte names, and 64-bit sizes that include the 24 bytes of the chunk's own header."""
    place = 40
    for _ in range(_MOST_CHUNKS):
        if place + 24 > len(data):
            break
        size = int.from_bytes(data[place + 16 : place + 24], "little")
        if data[place : place + 16] == _W64_DATA:
            present = len(data) - place - 24
            if size in (0, 24, (1 << 64) - 1, (1 << 63) - 1) and present:
                return None
            return max(0, size - 24), max(0, min(size - 24, present)), place + (size + 7) // 8 * 8
        place += max(24, (size + 7) // 8 * 8)
    return 0, 0, len(data)


def aiff_sizes(data: Data) -> Sizes | None:
    """AIFF and AIFF-C. The chunk of sound begins with 8 bytes of offset and block size."""
    for name, start, size in _chunks(data, 12, "big"):
        if name == b"SSND":
            present = len(data) - start
            if _unknown(size) or (size <= 8 and present > 8 + 8):
                return None
            return max(0, size - 8), max(0, min(size, present) - 8), _behind(data, start + size, "big")
    return 0, 0, len(data)


def au_sizes(data: Data) -> Sizes | None:
    """Sun AU: the size of the header, then that of the sound; little-endian where the file begins with `dns.`."""
    order: Literal["big", "little"] = "big" if data[:4] == b".snd" else "little"
    start, size = (int.from_bytes(data[at : at + 4], order) for at in (4, 8))
    present = max(0, len(data) - start)
    if _unknown(size) or (size == 0 and present):
        return None
    return size, min(size, present), start + size


def caf_sizes(data: Data) -> Sizes | None:
    """Core Audio: 64-bit sizes; that of the last chunk may be -1, and its sound begins with a 4-byte edit count."""
    place = 8
    for _ in range(_MOST_CHUNKS):
        if place + 12 > len(data):
            break
        size = int.from_bytes(data[place + 4 : place + 12], "big", signed=True)
        start = place + 12
        if data[place : place + 4] == b"data":
            present = len(data) - start - 4
            if size < 0 or (size <= 4 and present > 0):
                return None
            return max(0, size - 4), max(0, min(size - 4, present)), start + size
        if size < 0:
            break
        place = start + size
    return 0, 0, len(data)


def completed_header(data: Data) -> tuple[int, bytes] | None:
    """A header with the sizes filled in, for RF64, W64 and AIFF written to a pipe, which no library reads as they are.

    Returns (bytes of the file that it takes the place of, the header); None for other formats.
    """
    if data[:4] == b"FORM":
        return _completed_aiff(data)
    if data[:4] in (b"RF64", b"BW64"):
        return _completed_rf64(data)
    place = data.find(_W64_DATA)
    if data[:4] != b"riff" or place < 0:
        return None
    head = bytearray(data[: place + 24])
    head[16:24] = len(data).to_bytes(8, "little")
    head[-8:] = (len(data) - place).to_bytes(8, "little")
    return len(head), bytes(head)


def _completed_rf64(data: Data) -> tuple[int, bytes] | None:
    places = {name: start for name, start, _ in _chunks(data, 12, "little")}
    if b"data" not in places or b"ds64" not in places:
        return None
    start, sizes = places[b"data"], places[b"ds64"]
    head = bytearray(data[:start])
    head[sizes : sizes + 8] = (len(data) - 8).to_bytes(8, "little")
    head[sizes + 8 : sizes + 16] = (len(data) - start).to_bytes(8, "little")
    return start, bytes(head)


def _completed_aiff(data: Data) -> tuple[int, bytes] | None:
    places = {}
    for name, start, _ in _chunks(data, 12, "big"):
        places[name] = start
        if name == b"SSND":
            break
    if b"SSND" not in places or b"COMM" not in places:
        return None
    start, common = places[b"SSND"], places[b"COMM"]
    size = len(data) - start
    frame = int.from_bytes(data[common : common + 2], "big") * -(
        -int.from_bytes(data[common + 6 : common + 8], "big") // 8
    )
    head = bytearray(data[:start])
    head[4:8] = (len(data) - 8).to_bytes(4, "big")
    head[common + 2 : common + 6] = ((size - 8) // max(1, frame)).to_bytes(4, "big")
    head[-4:] = size.to_bytes(4, "big")
    return start, bytes(head)


def _behind(data: Data, place: int, order: Literal["big", "little"]) -> int:
    """The place behind the chunks that follow the sound."""
    place += place % 2
    for name, start, size in _chunks(data, place, order):
        if name == data[:4]:
            break
        place = start + size + size % 2
    return place


def _unknown(size: int) -> bool:
    """Sizes that programs write when they cannot go back: FFmpeg all ones, SoX 0x7FFFF000, arecord about 2 GiB."""
    return size >= 0xFFFFF000 or 0x7FFFF000 <= size <= 0x80000100


def _chunks(data: Data, start: int, order: Literal["big", "little"]) -> Iterator[tuple[bytes, int, int]]:
    """(name, start of the content, stated size) of each chunk, up to the end of the file."""
    for _ in range(_MOST_CHUNKS):
        if start + 8 > len(data):
            return
        size = int.from_bytes(data[start + 4 : start + 8], order)
        yield data[start : start + 4], start + 8, size
        start += 8 + size + size % 2
