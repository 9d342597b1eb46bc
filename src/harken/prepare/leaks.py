"""Find the clips and questions of a benchmark in a training set.

Two records of the sets (leak_check_sets.py) are the same by one of four rules:

    clip      their names say that they are parts of one recording that overlap, or do not say which parts
              (clip_source.py); or their file names are equal, without extension and folder.
    content   their decoded 16 kHz 16-bit samples are equal.
    sound     their prints are alike (sound_print.py), as those of a copy that was re-encoded, resampled or trimmed.
    question  the words of question and choices, without case and order, have a Jaccard similarity of 0.8 or more.

`harken prepare` leaves leaks out of a set; `harken prepare check` (leak_check.py) compares finished sets. Both give the
training records to a `LeakSearch` one after another, so memory holds the ids and prints of the benchmarks, the hashes
of the training set's clips, and no records.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harken.errors import DataError
from harken.prepare.clip_extraction import ClipMeasures, measure_clips
from harken.prepare.clip_index import ClipIndex
from harken.prepare.data_card import CardTable
from harken.prepare.leak_check_sets import ComparedRecord, ComparedSet
from harken.prepare.similar_questions import WordIndex
from harken.prepare.sound_print import PrintIndex, SoundPrint
from harken.system.disk_list import DiskList
from harken.types import AudioSpan

CLIP_RULES = ("clip", "content", "sound")
RULES = (*CLIP_RULES, "question")

NO_LEAK_CHECK = CardTable("Leak check", ("", "n"), [("no benchmark given: see `harken prepare check`", "-")])


@dataclass(frozen=True, slots=True)
class Leak:
    """A pair of records; `rule` is one of RULES."""

    rule: str
    id: str
    benchmark: str
    benchmark_id: str


@dataclass(slots=True)
class Coverage:
    """How many records could be compared with a benchmark: [training set, benchmark].

    Attributes:
        n_records: all records, one for each clip.
        n_by_id: those whose name or keys say which recording the clip was cut from.
        n_by_hash: those whose clip was decoded and hashed.
        n_by_sound: those whose clip has a print.
        n_files: those that name a file of sound, which could be decoded if it were there.
        n_clips: training records with a clip.
        n_not_compared: those of them that none of these could compare with any record of the benchmark.
    """

    n_records: list[int]
    n_by_id: list[int]
    n_by_hash: list[int]
    n_by_sound: list[int]
    n_files: list[int]
    n_clips: int = 0
    n_not_compared: int = 0

    @property
    def undecoded(self) -> str | None:
        """Which set names files of sound of which none was decoded, so that samples and sound are not checked; None
        where both have some, or where a set has no sound to compare."""
        if not all(self.n_files) or all(self.n_by_hash):
            return None
        return "the training set" if not self.n_by_hash[0] and self.n_by_hash[1] else "the benchmark"

    def rows(self) -> dict[str, str]:
        """Names and numbers for a table: training set, benchmark."""
        pairs = {
            "records: training, benchmark": self.n_records,
            "compared by the id of their recording": self.n_by_id,
            "compared by the hash of their samples": self.n_by_hash,
            "compared by sound": self.n_by_sound,
        }
        rows = {name: f"{training:,}, {benchmark:,}" for name, (training, benchmark) in pairs.items()}
        if self.undecoded is not None:
            rows |= dict.fromkeys(list(rows)[2:], "not checked")
        return rows | {"training clips that could not be compared": f"{self.n_not_compared:,}"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of a training set with one benchmark. `pairs` has the leaks of each of RULES, in the order of
    the training set."""

    name: str
    coverage: Coverage
    pairs: Mapping[str, DiskList[Leak]]

    @property
    def leaks(self) -> Iterator[Leak]:
        """All pairs, rule after rule."""
        return (leak for rule in RULES for leak in self.pairs[rule])


class LeakSearch:
    """Compares training records, one after another, with benchmarks.

    Where `needs_sound`, the clips of the training set go to `hear` before their records go to `compare`.

    Args:
        workers: processes that decode the benchmarks' clips.
        folder: where pairs are kept on disk; None takes the system's temporary folder.
        by_sound: decode the benchmarks' clips; False where the training set has no sound.

    Raises DataError where a benchmark cannot be read.
    """

    def __init__(
        self, against: Sequence[ComparedSet], workers: int, folder: Path | None = None, *, by_sound: bool = True
    ) -> None:
        names = Counter(benchmark.file.name for benchmark in against)
        self._benchmarks = [
            _Benchmark(b, b.file.name if names[b.file.name] == 1 else str(b.file), workers, folder, by_sound)
            for b in against
        ]
        self._decoded: dict[AudioSpan, _DecodedSound] = {}

    @property
    def needs_sound(self) -> bool:
        """Whether a benchmark has a clip that decodes; there is no use in decoding training clips otherwise."""
        return any(benchmark.digests for benchmark in self._benchmarks)

    def hear(self, span: AudioSpan, measures: ClipMeasures, sound: SoundPrint | None) -> None:
        """Compare the samples of a training clip; the results belong to all records about the clip."""
        matches = tuple(benchmark.same_sound(measures.digest, sound) for benchmark in self._benchmarks)
        has_print = sound is not None
        self._decoded[span] = _DecodedSound(has_print, matches) if any(matches) else _NO_MATCH[has_print]

    def compare(self, records: Iterable[ComparedRecord]) -> str | None:
        """Compare the records of one question, one for each clip.

        Returns:
            The reason to leave the question out: that it has a clip, the samples or the sound of a benchmark. Similar
            questions are counted alone, because different clips share wordings ("What is heard?").
        """
        reasons = []
        for record in records:
            decoded = None if record.span is None else self._decoded.get(record.span)
            for number, benchmark in enumerate(self._benchmarks):
                match = decoded.matches[number] if decoded is not None and decoded.matches else None
                leaks = benchmark.compare(record, decoded, match)
                reasons += [(number, CLIP_RULES.index(leak.rule), leak) for leak in leaks if leak.rule in CLIP_RULES]
        if not reasons:
            return None
        _, _, leak = min(reasons, key=lambda reason: reason[:2])
        return f"same {leak.rule} as in {leak.benchmark}: {leak.benchmark_id}"

    def comparisons(self) -> list[Comparison]:
        """The results, one comparison for each benchmark.

        Raises DataError where the training set has clips and none of them could be compared with a benchmark: the set
        is not clean then but unchecked.
        """
        return [benchmark.comparison() for benchmark in self._benchmarks]

    def table(self) -> CardTable:
        """What was compared and found, for the card of a set from which leaks were left out."""
        rows: list[tuple[str, str]] = []
        for comparison in self.comparisons():
            name = comparison.name
            rows += [(f"{name}: {label}", value) for label, value in comparison.coverage.rows().items()]
            for rule, pairs in comparison.pairs.items():
                rows.append((f"{name}: same {rule}, {'kept' if rule == 'question' else 'left out'}", f"{len(pairs):,}"))
        return CardTable("Leak check", ("", "n"), rows) if rows else NO_LEAK_CHECK


class _DecodedSound(NamedTuple):
    """The sound of a training clip that was decoded: whether it has a print, and for each benchmark the clip that
    sounds the same, without the training id; () where no benchmark has any."""

    has_print: bool
    matches: tuple[Leak | None, ...] = ()


_NO_MATCH = (_DecodedSound(False), _DecodedSound(True))
"""Shared by all clips without and with a print, because most clips have no match."""


class _Benchmark:
    """A benchmark while a training set is compared with it.

    Attributes:
        digests: hash of a clip's samples -> id of its first record.
    """

    def __init__(self, compared_set: ComparedSet, name: str, workers: int, folder: Path | None, by_sound: bool) -> None:
        self.name = name
        self.digests: dict[str, str] = {}
        self._clips, self._words, self._ids = ClipIndex(), WordIndex(), list[str]()
        self._pairs = {rule: DiskList[Leak](folder) for rule in RULES}
        first: dict[AudioSpan, str] = {}
        n_about: Counter[AudioSpan] = Counter()
        n_records = n_ids = n_files = 0
        for record in compared_set.records():
            n_records += 1
            n_ids += record.source is not None
            n_files += record.span is not None and compared_set.file.suffix != ".csv"  # a list comes without clips
            self._clips.add(record)
            if record.words:
                self._words.add(record.words)
                self._ids.append(record.id)
            if by_sound and record.span is not None:
                first.setdefault(record.span, record.id)
                n_about[record.span] += 1
        prints: dict[str, SoundPrint] = {}
        self._coverage = Coverage([0, n_records], [0, n_ids], [0, 0], [0, 0], [0, n_files])

        def keep(span: AudioSpan, measures: ClipMeasures, sound: SoundPrint | None) -> None:
            self.digests.setdefault(measures.digest, first[span])
            self._coverage.n_by_hash[1] += n_about[span]
            self._coverage.n_by_sound[1] += n_about[span] if sound is not None else 0
            if sound is not None:
                prints.setdefault(first[span], sound)

        measure_clips([span for span in first if os.path.isfile(span.path)], workers, on_clip=keep)
        self._prints = PrintIndex(prints)

    def same_sound(self, digest: str, sound: SoundPrint | None) -> Leak | None:
        """The clip with these samples, or else with this sound."""
        if (same := self.digests.get(digest)) is not None:
            return Leak("content", "", self.name, same)
        if sound is not None and (match := self._prints.find(sound)) is not None:
            return Leak("sound", "", self.name, match)
        return None

    def compare(self, record: ComparedRecord, decoded: _DecodedSound | None, match: Leak | None) -> list[Leak]:
        """Count a training record, and keep its pairs and return them.

        Args:
            decoded: the sound of its clip; None where it was not decoded.
            match: the clip of this benchmark that sounds the same.
        """
        counts = self._coverage
        counts.n_records[0] += 1
        counts.n_by_id[0] += record.source is not None
        counts.n_by_hash[0] += decoded is not None
        counts.n_files[0] += record.span is not None
        counts.n_by_sound[0] += decoded is not None and decoded.has_print
        if record.names_clip:
            by_id = record.source is not None and counts.n_by_id[1]
            counts.n_clips += 1
            counts.n_not_compared += not (by_id or (decoded is not None and self.digests))
        leaks = []
        if (same := self._clips.find(record)) is not None:
            leaks.append(Leak("clip", record.id, self.name, same))
        if match is not None:
            leaks.append(Leak(match.rule, record.id, self.name, match.benchmark_id))
        if record.words and (index := self._words.find(record.words)) is not None:
            leaks.append(Leak("question", record.id, self.name, self._ids[index]))
        for leak in leaks:
            self._pairs[leak.rule].append(leak)
        return leaks

    def comparison(self) -> Comparison:
        counts = self._coverage
        if counts.n_clips and counts.n_not_compared == counts.n_clips and not self._pairs["clip"]:
            raise DataError(
                f"{self.name}: nothing could be compared: for none of the {counts.n_clips:,} training records with a "
                "clip do both sets have an id of its recording or a clip that decodes, so the set is not clean but "
                "unchecked. Give the folders of the clips as FILE:AUDIO_ROOT"
            )
        return Comparison(self.name, counts, self._pairs)
