"""Follows the frames of MP3 and AAC (ADTS) files and the pages of Ogg files from the first byte to the last.

Decoders search for the next frame after damage and go on, so the sound only becomes shorter. Following the frames
shows where bytes are missing, where one file was appended to another, and where the last frame is cut. `data` is the
whole file.
"""

import mmap
import zlib
from dataclasses import dataclass

Data = mmap.mmap | bytes
_SEARCHED_BYTES = 1 << 16
"""How far the first frame may lie behind the beginning of the file or its tag."""
_MOST_TAGS = 16
"""How many ID3 tags are skipped one behind the other."""
MOST_SEGMENTS = 1000
"""How many files may be joined in one; a hostile file could consist of beginnings."""
_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""(1 for MPEG 1, 2 for MPEG 2 and 2.5; layer) -> kbit/s of index 1 to 14. Layers II and III of MPEG 2 are alike."""
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


@dataclass(frozen=True, slots=True)
class MpegScan:
    """What following the frames of an MP3 file shows.

    Attributes:
        segments: byte ranges of the files that were joined; one where nothing was.
        stated_frames: sample frames that all parts state, without the encoder's delay and padding; None where a part
            states nothing.
        damage: missing bytes or a cut last frame of a part that states no length; "" where there is nothing.
    """

    segments: tuple[tuple[int, int], ...]
    stated_frames: int | None
    damage: str


def skip_id3(data: Data, place: int) -> int:
    """The place behind the ID3v2 tags that begin at `place`, and behind their padding."""
    for _ in range(_MOST_TAGS):
        if data[place : place + 3] != b"ID3" or place + 10 > len(data):
            break
        size = 0
        for byte in data[place + 6 : place + 10]:
            size = size << 7 | byte & 0x7F
        place += 10 + size + (10 if data[place + 5] & 0x10 else 0)
        padding = data[place : place + _SEARCHED_BYTES]
        place += len(padding) - len(padding.lstrip(b"\0"))
    return place


def scan_mpeg(data: Data) -> MpegScan | None:
    """Follow the frames of MPEG audio. None where no frame is found (free bit rates, no MPEG audio)."""
    first = _first_frame(data, skip_id3(data, 0))
    if first is None:
        return None
    starts = [first, *_later_starts(data, first)][: MOST_SEGMENTS + 1]
    segments, stated, damage = [], 0, ""
    for start, end in zip(starts, [*starts[1:], len(data)], strict=True):
        segments.append((start, end))
        n_stated = _stated_samples(data, start)
        if n_stated is None or stated is None:
            stated = None
            damage = damage or _broken_at(data, start, end)
        else:
            stated += n_stated
    return MpegScan(tuple(segments), stated, damage if stated is None else "")


def _frame_lengths() -> list[int]:
    """Bytes of a frame by the second and third byte of its header; 0 where these are no header."""
    lengths = [0] * 65536
    for key in range(0xE000, 65536):
        version, layer, index = key >> 11 & 3, 4 - (key >> 9 & 3), key >> 4 & 15
        rate = key >> 2 & 3
        if version == 1 or layer == 4 or index in (0, 15) or rate == 3:
            continue
        family = 1 if version == 3 else 2
        bits = _KBPS[family, layer if family == 1 or layer == 1 else 2][index - 1] * 1000
        rate_hz, padding = _RATES_HZ[version][rate], key >> 1 & 1
        if layer == 1:
            lengths[key] = (12 * bits // rate_hz + padding) * 4
        else:
            lengths[key] = (72 if layer == 3 and family == 2 else 144) * bits // rate_hz + padding
    return lengths


_LENGTHS = _frame_lengths()


def _length_at(data: Data, place: int) -> int:
    """Bytes of the frame at `place`; 0 where no frame begins there."""
    if place + 4 > len(data) or data[place] != 0xFF:
        return 0
    return _LENGTHS[data[place + 1] << 8 | data[place + 2]]


def _first_frame(data: Data, start: int) -> int | None:
    """The first place from which two frames follow each other, or one frame that ends with the file."""
    for place in range(start, min(len(data), start + _SEARCHED_BYTES)):
        length = _length_at(data, place)
        if length and (place + length >= len(data) or _length_at(data, place + length)):
            return place
    return None


def _side_info(data: Data, start: int) -> int:
    """Bytes of header and side information of a layer III frame, behind which a Xing or Info tag stands."""
    mono, mpeg1 = data[start + 3] >> 6 == 3, data[start + 1] >> 3 & 3 == 3
    return 4 + ((17 if mono else 32) if mpeg1 else (9 if mono else 17))


def _tag_at(data: Data, start: int) -> int | None:
    """The place of the Xing or Info tag of the frame at `start`."""
    if start < 0 or not _length_at(data, start):
        return None
    place = start + _side_info(data, start)
    return place if data[place : place + 4] in (b"Xing", b"Info") else None


def _later_starts(data: Data, first: int) -> list[int]:
    """Where further files begin: at frames that hold a Xing or Info tag, and behind ID3v2 tags."""
    starts = set()
    for mark in (b"Xing", b"Info"):
        place = data.find(mark, first + 200)
        while place >= 0:
            starts.update(place - n for n in (13, 21, 36) if _tag_at(data, place - n) == place)
            place = data.find(mark, place + 4)
    place = data.find(b"ID3", first + 1)
    while place >= 0:
        behind = skip_id3(data, place) if data[place + 3 : place + 4] in (b"\2", b"\3", b"\4") else 0
        if behind and _length_at(data, behind):
            starts.add(behind)
        place = data.find(b"ID3", place + 3)
    return sorted(start for start in starts if start > first)


def _stated_samples(data: Data, start: int) -> int | None:
    """The sample frames that a Xing, Info or VBRI tag states, without delay and padding; None where none does."""
    place = _tag_at(data, start)
    if place is None:
        if data[start + 36 : start + 40] != b"VBRI":
            return None
        return int.from_bytes(data[start + 50 : start + 54], "big") * _samples(data, start)
    flags = data[place + 7]
    if not flags & 1:
        return None
    n = int.from_bytes(data[place + 8 : place + 12], "big") * _samples(data, start)
    lame = place + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if data[lame : lame + 4] in (b"LAME", b"Lavf", b"Lavc"):
        both = int.from_bytes(data[lame + 21 : lame + 24], "big")
        n -= (both >> 12) + (both & 0xFFF)
    return max(0, n)


def _samples(data: Data, start: int) -> int:
    """Sample frames of the MPEG frame at `start`."""
    layer = 4 - (data[start + 1] >> 1 & 3)
    if layer == 1:
        return 384
    return 576 if layer == 3 and data[start + 1] >> 3 & 3 != 3 else 1152


def _broken_at(data: Data, start: int, end: int) -> str:
    """The damage of a part that states no length; "" where its frames follow each other up to its end or its tags."""
    place, lengths = start, _LENGTHS
    last = end - 4
    while place <= last and data[place] == 0xFF and (length := lengths[data[place + 1] << 8 | data[place + 2]]):
        place += length
    if place > end:
        return "its last frame is not whole"
    if end - place < 4 and not any(data[place:end]):
        return ""
    rest = data[place : place + 8]
    if rest[:3] in (b"TAG", b"ID3") or rest in (b"APETAGEX", b"LYRICSBE") or not any(data[place : place + 4096]):
        return ""
    return f"bytes are missing or changed near byte {place}"


def scan_adts(data: Data) -> str:
    """The damage of a file of ADTS frames; "" where they follow each other up to its end or its tags."""
    place = skip_id3(data, 0)
    while place + 7 <= len(data) and data[place] == 0xFF and data[place + 1] & 0xF6 == 0xF0:
        length = (data[place + 3] & 3) << 11 | data[place + 4] << 3 | data[place + 5] >> 5
        if length < 7:
            break
        place += length
    if place > len(data):
        return "its last frame is not whole"
    if place == len(data) or data[place : place + 3] in (b"TAG", b"ID3"):
        return ""
    return f"bytes are missing or changed near byte {place}"


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _page_is_whole(page: bytes) -> bool:
    """Whether the checksum in an Ogg page is that of its bytes.

    Ogg's CRC-32 is zlib's with the bits of every byte and of the result in the other order, beginning with 0 and not
    inverted at the end.
    """
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    crc = ~zlib.crc32(mirrored, 0xFFFFFFFF) & 0xFFFFFFFF
    return crc.to_bytes(4, "big").translate(_MIRRORED) == page[22:26]


def scan_ogg(data: Data) -> tuple[tuple[tuple[int, int], ...], str]:
    """(byte ranges of the streams that are chained, damage). A chained stream is a new one behind the end of the last.

    Every page says where the next one begins, carries a number in its stream, and a checksum, so damage shows. The last
    page of a stream is marked; where the mark is missing, the file is cut (RFC 3533, 6).
    """
    segments: list[tuple[int, int]] = []
    place, start, numbers, open_streams = 0, 0, {}, set()
    damage = ""
    while place + 27 <= len(data) and data[place : place + 4] == b"OggS" and len(segments) <= MOST_SEGMENTS:
        flags, serial = data[place + 5], data[place + 14 : place + 18]
        n_segments = data[place + 26]
        length = 27 + n_segments + sum(data[place + 27 : place + 27 + n_segments])
        if place + length > len(data):
            break
        number = int.from_bytes(data[place + 18 : place + 22], "little")
        if not damage and not _page_is_whole(data[place : place + length]):
            damage = f"the page at byte {place} is damaged"
        if flags & 2:
            if numbers and not open_streams:
                segments.append((start, place))
                start, numbers = place, {}
            open_streams.add(serial)
        elif number != numbers.get(serial, -1) + 1 and not damage:
            damage = f"pages are missing near byte {place}"
        numbers[serial] = number
        if flags & 4:
            open_streams.discard(serial)
        place += length
    segments.append((start, len(data)))
    if not damage and place < len(data) and open_streams:
        damage = f"bytes are missing or changed near byte {place}"
        if data.find(b"OggS", place + 1) < 0:
            damage = "its last page is not whole"
    if not damage and open_streams:
        damage = "its last page is missing"
    return tuple(segments), damage
