"""Reads from a clip's name which recording of YouTube or Freesound it was cut from, and which part of it.

Downloaders and data sets spell the same clip in many ways. `PATTERNS` lists the spellings of files that `clip_source`
reads; the leak check and the search for media files both use it. `listed_source` reads the entries of lists, in which
an id may look like a word, and `file_source` the files of clips that a list names. A YouTube id has 11 characters and
may itself hold `-` and `_`, so it is taken by its length, and a name is never split at `_`.
"""

import re
from dataclasses import dataclass

CLIP_S = 10.0
"""How long a clip is taken to be where its name says no end, in seconds: that of AudioSet's and VGGSound's clips."""


@dataclass(frozen=True, slots=True)
class ClipSource:
    """A part of a recording.

    Attributes:
        site: youtube or freesound.
        ident: the site's id of the recording.
        starts_s: the second at which the part begins. Two values where the name may mean seconds or milliseconds;
            () where it is unknown.
        end_s: the second at which the part ends; None where it is unknown.
    """

    site: str
    ident: str
    starts_s: tuple[float, ...] = ()
    end_s: float | None = None

    def may_overlap(self, other: "ClipSource") -> bool:
        """Whether both are parts of one recording that have sound in common, as far as the names tell."""
        if (self.site, self.ident) != (other.site, other.ident):
            return False
        if not self.starts_s or not other.starts_s:
            return True
        return any(
            start < other._end(start_other) and start_other < self._end(start)
            for start in self.starts_s
            for start_other in other.starts_s
        )

    @property
    def names(self) -> tuple[str, ...]:
        """`<id>_<start>` with six digits, as harken names extracted clips; one for each start, () for none."""
        return tuple(f"{self.ident}_{start:06.12g}" for start in self.starts_s)

    def _end(self, start_s: float) -> float:
        return start_s + CLIP_S if self.end_s is None else self.end_s


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A spelling of a clip's name: what it looks like, an example, and the expression that reads it.

    `evidence` is how much the 11 characters must look like an id, because words can be as long: nothing (0) in
    brackets; a capital and another kind of character (2) before a start or alone; small letters, capitals and digits
    (3) behind a title, where any word can stand. `doubtful` names may have one less, because one id in 300 has no
    capital.
    """

    shown: str
    example: str
    regex: re.Pattern[str]
    evidence: int


VIDEO_ID = "[A-Za-z0-9_-]{11}"
"""An expression for an id of YouTube."""
_ID = rf"(?P<id>{VIDEO_ID})"
_TIME = r"[0-9]{1,6}(?:\.[0-9]{1,3})?"
_PART = rf"(?P<start>{_TIME})(?:[_-](?P<end>{_TIME})(?:[_-][0-9]{{1,6}})?)?"
_CLOCK = r"(?P<clock>[0-9]{2}-[0-9]{2}-[0-9]{2})_(?P<clock_end>[0-9]{2}-[0-9]{2}-[0-9]{2})"
_WORD = r"(?:[_. -](?:out|trim|trimmed|cut|clip|crop|cropped|audio|sound|video|mono|resampled|16k|16000)){0,2}"


PATTERNS = tuple(
    NamePattern(shown, example, re.compile(regex), evidence)
    for shown, example, regex, evidence in (
        ("<id>_<start>, <id>_<start>_<end>", "M1pPtg6a_g8_000230", rf"{_ID}[_-]{_PART}{_WORD}", 2),
        ("<id>_<hh-mm-ss>_<hh-mm-ss>", "-HG3Omg_89c_00-00-00_00-00-30", rf"{_ID}_{_CLOCK}", 2),
        ("<id>, <id>_trimmed", "0f0Rq7e5yX8_trimmed", rf"{_ID}{_WORD}", 2),
        ("Y<id>, v<id>_<start>_<end>_out", "vNMQiKrTkl10_39_49_out", rf"[Yv]{_ID}(?:[_-]{_PART})?{_WORD}", 2),
        ("[<id>]-[<start>-<end>]", "[aEYwqY-Zt_k]-[11-21]", rf".*\[{_ID}\](?:[_-]\[?{_PART}\]?)?{_WORD}", 0),
        ("<title>-<id>, <label>_<id>_<start>", "Dog-0f0Rq7e5yX8", rf".+[_ -]{_ID}(?:[_-]{_PART})?{_WORD}", 3),
        ("<id>_<digits and more>", "0f0Rq7e5yX8_3x", rf"{_ID}_[0-9].*", 2),
    )
)
"""The spellings of YouTube's clips, read in this order."""
_LISTED = re.compile(rf"Y?(?P<alone>{VIDEO_ID}){_WORD}|{_ID}_(?P<start>[0-9]{{1,6}})(?:_(?P<length>[0-9]{{1,4}}))?")
_FREESOUND = re.compile(r"(?P<id>[0-9]{1,7})__[^_].*__.+")
FREESOUND_SHOWN, FREESOUND_EXAMPLE = "<number>__<user>__<title>", "17196__dog-lover__bark"


def clip_source(name: str, *, doubtful: bool = False) -> ClipSource | None:
    """The recording and the part that the name of a clip says, without folder and extension; None where it says none.

    Args:
        doubtful: also take a name whose 11 characters look like an id a little less than they should.

    Numbers without a unit are seconds. A start and an end that are both whole thousands are milliseconds, as AudioSet's
    segments are written; a start alone that is a whole thousand and not padded may be either.

    Example:
        >>> clip_source("Y6VBURvUgzls_30_40")
        ClipSource(site='youtube', ident='6VBURvUgzls', starts_s=(30.0,), end_s=40.0)
    """
    if match := _FREESOUND.fullmatch(name):
        return ClipSource("freesound", match["id"])
    for pattern in PATTERNS:
        match = pattern.regex.fullmatch(name)
        if match is not None and evidence_of_id(match["id"]) >= pattern.evidence - doubtful:
            return ClipSource("youtube", match["id"], *_times(match.groupdict()))
    return None


def listed_source(name: str) -> ClipSource | None:
    """The clip that an entry of a list means: AudioSet's `<id>` or `Y<id>`, also with a word such as `_trimmed`, AVQA's
    and VGGSound's `<id>_<start>`, YouTube-8M's `<id>_<start>_<length>`; None for any other text.

    The list says that its entries are ids, so any 11 characters are one.

    Example:
        >>> listed_source("speech_data_000012").names
        ('speech_data_000012',)
    """
    match = _LISTED.fullmatch(name)
    if match is None:
        return None
    if match["start"] is None:
        return ClipSource("youtube", match["alone"])
    start_s, length = float(match["start"]), match["length"]
    return ClipSource("youtube", match["id"], (start_s,), None if length is None else start_s + float(length))


def file_source(stem: str) -> ClipSource | None:
    """The clip that a file means, by its name without extension, in a folder of clips that a list names: their ids may
    look like words. None for any other file."""
    return listed_source(stem) or clip_source(stem, doubtful=True)


_KINDS = tuple(map(re.compile, ("[a-z]", "[A-Z]", "[0-9]")))


def evidence_of_id(text: str) -> int:
    """How much 11 characters look like a random id and no word: 0 to 3, as `NamePattern.evidence` counts."""
    small, capital, digit = (kind.search(text) is not None for kind in _KINDS)
    if small and capital and digit:
        return 3
    if capital and (small or digit):
        return 2
    return int(capital or (small and digit))


def _times(parts: dict[str, str | None]) -> tuple[tuple[float, ...], float | None]:
    """(possible starts, end) in seconds."""
    if clock := parts.get("clock"):
        return (_clock_s(clock),), _clock_s(parts.get("clock_end") or clock)
    start, end = parts.get("start"), parts.get("end")
    if start is None:
        return (), None
    if end is not None:
        if float(end) <= float(start):  # no end but a length, as in YouTube-8M's <id>_<start>_<length>
            return (float(start),), float(start) + float(end)
        unit = 1000 if _is_thousands(start) and _is_thousands(end) and float(end) - float(start) >= 1000 else 1
        return (float(start) / unit,), float(end) / unit
    padded = len(start) == 6 and start.startswith("0")
    if _is_thousands(start) and float(start) > 0 and not padded:
        return (float(start), float(start) / 1000), None
    return (float(start),), None


def _is_thousands(number: str) -> bool:
    return "." not in number and int(number) % 1000 == 0


def _clock_s(clock: str) -> float:
    hours, minutes, seconds = (int(part) for part in clock.split("-"))
    return 3600.0 * hours + 60 * minutes + seconds
