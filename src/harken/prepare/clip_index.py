"""Finds the clip of a benchmark that is the same as another clip, by what their names say."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from harken.prepare.clip_source import VIDEO_ID, ClipSource, clip_source, evidence_of_id
from harken.prepare.leak_check_sets import ComparedRecord

_ANY_ID = re.compile(f"(?=({VIDEO_ID}))")
"""Every eleven characters that an id can have, overlapping ones too."""
_Recordings = dict[tuple[str, str], list[tuple[str, ClipSource]]]
"""(site, id) of a recording -> its parts: the id of the record and the part."""


class ClipIndex:
    """The clips of a benchmark, by name and by recording.

    A name of no known spelling is compared with the recordings of the other set by what may be an id in it. Two such
    names are not compared: words can look like ids.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, str] = {}
        self._certain: _Recordings = {}
        self._doubtful: _Recordings = {}

    def add(self, record: ComparedRecord) -> None:
        """Add a record of the benchmark."""
        if record.name:
            self._by_name.setdefault(record.name, record.id)
        recordings = self._doubtful if record.source is None else self._certain
        for source in _possible_sources(record):
            recordings.setdefault((source.site, source.ident), []).append((record.id, source))

    def find(self, record: ComparedRecord) -> str | None:
        """The id of the first record of the benchmark with the same clip; None where there is none."""
        if (same := self._by_name.get(record.name)) is not None:
            return same
        tables = (self._certain,) if record.source is None else (self._certain, self._doubtful)
        for source in _possible_sources(record):
            for recordings in tables:
                for ident, other in recordings.get((source.site, source.ident), ()):
                    if source.may_overlap(other):
                        return ident
        return None


def _possible_sources(record: ComparedRecord) -> Iterator[ClipSource]:
    """The recording of a record; where its name has no known spelling, every one that the name may mean."""
    if record.source is not None:
        yield record.source
        return
    yield from _sources_in(record.name)


@lru_cache(maxsize=4096)
def _sources_in(name: str) -> Sequence[ClipSource]:
    doubtful = clip_source(name, doubtful=True)
    sources = [] if doubtful is None else [doubtful]
    if evidence_of_id(name) == 3:
        parts = [match[1] for match in _ANY_ID.finditer(name)]
        sources += [ClipSource("youtube", part) for part in parts if evidence_of_id(part) == 3]
    return sources
