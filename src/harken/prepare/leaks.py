"""Find the clips and questions of a benchmark in a training set.

Two records of the sets (leak_check_sets.py) are the same by one of four rules:

    clip      their names say that they are parts of one recording that overlap, or do not say which parts
              (clip_source.py); or their file names are equal, without extension and folder.
    content   their decoded 16 kHz 16-bit samples are equal.
    sound     their prints are alike (sound_print.py), as those of a copy that was re-encoded, resampled or trimmed.
    question  the words of question and choices, without case and order, have a Jaccard similarity of 0.8 or more.

`harken prepare` leaves leaks out of a set (`leak_reasons`); `harken prepare check` compares finished sets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harken.errors import DataError
from harken.prepare.clip_identity import identify_clips
from harken.prepare.clip_source import ClipSource, clip_source, evidence_of_id
from harken.prepare.data_card import CardTable
from harken.prepare.leak_check_sets import ComparedRecord, ComparedSet, read_compared_records
from harken.prepare.similar_questions import similar_questions
from harken.prepare.sound_print import PrintIndex
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


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many records could be compared with a benchmark, in the training set and in the benchmark.

    Attributes:
        n_records: all records.
        n_by_id: those whose name or keys say which recording the clip was cut from.
        n_by_hash: those whose clip was decoded and hashed.
        n_by_sound: those whose clip has a print.
        n_not_compared: training records with a clip that none of these could compare with any record of the benchmark.
    """

    n_records: tuple[int, int]
    n_by_id: tuple[int, int]
    n_by_hash: tuple[int, int]
    n_by_sound: tuple[int, int]
    n_not_compared: int

    def rows(self) -> dict[str, str]:
        """Names and numbers for a table: training set, benchmark."""
        pairs = {
            "records: training, benchmark": self.n_records,
            "compared by the id of their recording": self.n_by_id,
            "compared by the hash of their samples": self.n_by_hash,
            "compared by sound": self.n_by_sound,
        }
        rows = {name: f"{training:,}, {benchmark:,}" for name, (training, benchmark) in pairs.items()}
        return rows | {"training clips that could not be compared": f"{self.n_not_compared:,}"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing a training set with one benchmark found."""

    name: str
    coverage: Coverage
    leaks: list[Leak]

    def leaks_of(self, rule: str) -> list[Leak]:
        """The pairs that a rule found."""
        return [leak for leak in self.leaks if leak.rule == rule]


def compare_sets(training: Sequence[ComparedRecord], against: Sequence[ComparedSet], workers: int) -> list[Comparison]:
    """Compare a training set with each benchmark by every rule.

    Training clips are decoded once and compared one after another, so only the benchmarks' prints are held in memory.

    Raises DataError where a benchmark cannot be read, and where the training set has clips and none of them could be
    compared with a benchmark: the set is not clean then but unchecked.
    """
    benchmarks = [_Benchmark(benchmark, workers) for benchmark in against]
    by_span: dict[AudioSpan, list[ComparedRecord]] = {}
    for record in training:
        if record.span is not None:
            by_span.setdefault(record.span, []).append(record)
    # A clip is decoded only where some benchmark has a clip to compare it with.
    hears = any(benchmark.digests for benchmark in benchmarks)
    decoded: dict[str, bool] = {}
    for span, identity in identify_clips(list(by_span), workers) if hears else ():
        for record in by_span[span]:
            decoded[record.id] = identity.print is not None
            for benchmark in benchmarks:
                if (same := benchmark.digests.get(identity.digest)) is not None:
                    benchmark.add("content", record, same)
                elif identity.print is not None and (match := benchmark.prints.find(identity.print)) is not None:
                    benchmark.add("sound", record, match)
    return [benchmark.compared(training, decoded) for benchmark in benchmarks]


class _Benchmark:
    """A benchmark while a training set is compared with it.

    Attributes:
        digests: hash of a clip's samples -> id of its first record.
        prints: the prints of its clips, by the id of their first record.
    """

    def __init__(self, compared_set: ComparedSet, workers: int) -> None:
        self.name = compared_set.file.name
        self.records = read_compared_records(compared_set.file, compared_set.audio_root)
        first = {record.span: record.id for record in reversed(self.records) if record.span is not None}
        self.digests: dict[str, str] = {}
        prints = {}
        for span, identity in identify_clips([record.span for record in self.records if record.span], workers):
            self.digests.setdefault(identity.digest, first[span])
            if identity.print is not None:
                prints.setdefault(first[span], identity.print)
        self.prints = PrintIndex(prints)
        self._pairs: list[Leak] = []

    def add(self, rule: str, record: ComparedRecord, ident: str) -> None:
        self._pairs.append(Leak(rule, record.id, self.name, ident))

    def compared(self, training: Sequence[ComparedRecord], decoded: dict[str, bool]) -> Comparison:
        """Add the pairs of the rules that need no sound. Raises DataError where nothing could be compared."""
        same_clip = clip_matcher(self.records)
        clips = [Leak("clip", a.id, self.name, b.id) for a in training if (b := same_clip(a)) is not None]
        words = [Leak("question", a.id, self.name, b.id) for a, b in similar_questions(training, self.records)]
        order = {record.id: number for number, record in enumerate(training)}
        heard_pairs = sorted(self._pairs, key=lambda leak: (CLIP_RULES.index(leak.rule), order[leak.id]))
        coverage = self._coverage(training, decoded)
        n_clips = sum(record.names_clip for record in training)
        if n_clips and coverage.n_not_compared == n_clips and not clips:
            raise DataError(
                f"{self.name}: nothing could be compared: for none of the {n_clips:,} training records with a clip do "
                f"both sets have an id of its recording or a clip that decodes, so the set is not clean but unchecked. "
                "Give the folders of the clips as FILE:AUDIO_ROOT"
            )
        return Comparison(self.name, coverage, clips + heard_pairs + words)

    def _coverage(self, training: Sequence[ComparedRecord], decoded: dict[str, bool]) -> Coverage:
        n_ids = sum(record.source is not None for record in self.records)
        by_id = {record.id for record in training if record.source is not None}
        by_hash, by_sound = set(decoded), {ident for ident, has_print in decoded.items() if has_print}
        usable = (by_id if n_ids else set()) | (by_hash if self.digests else set())
        return Coverage(
            (len(training), len(self.records)),
            (len(by_id), n_ids),
            (len(by_hash), len(self.digests)),
            (len(by_sound), len(self.prints)),
            sum(record.names_clip and record.id not in usable for record in training),
        )


def leak_reasons(
    training: Sequence[ComparedRecord], against: Sequence[ComparedSet], workers: int
) -> tuple[dict[str, str], CardTable]:
    """Find the training records that must be left out.

    Records with the same clip, content or sound as a benchmark are left out. Similar questions are counted and kept,
    because different clips share wordings ("What is heard?").

    Returns:
        Record id -> reason, and the table for the card.
    """
    if not against:
        return {}, NO_LEAK_CHECK
    reasons: dict[str, str] = {}
    rows: list[tuple[str, str]] = []
    for comparison in compare_sets(training, against, workers):
        name = comparison.name
        rows += [(f"{name}: {label}", value) for label, value in comparison.coverage.rows().items()]
        for rule in RULES:
            leaks = comparison.leaks_of(rule)
            rows.append((f"{name}: same {rule}, {'kept' if rule == 'question' else 'left out'}", f"{len(leaks):,}"))
            if rule in CLIP_RULES:
                for leak in leaks:
                    reasons.setdefault(leak.id, f"same {rule} as in {name}: {leak.benchmark_id}")
    return reasons, CardTable("Leak check", ("", "n"), rows)


def clip_matcher(benchmark: Sequence[ComparedRecord]) -> Callable[[ComparedRecord], ComparedRecord | None]:
    """Return a function that gives the first benchmark record with the same clip as a record, or None.

    A name of no known spelling is compared with the recordings of the other set by what may be an id in it. Two such
    names are not compared: words can look like ids.
    """
    by_name = {record.name: record for record in reversed(benchmark) if record.name}
    certain: _Recordings = {}
    doubtful: _Recordings = {}
    for record in benchmark:
        recordings = doubtful if record.source is None else certain
        for source in _possible_sources(record):
            recordings.setdefault((source.site, source.ident), []).append((record, source))

    def match(record: ComparedRecord) -> ComparedRecord | None:
        if record.name in by_name:
            return by_name[record.name]
        tables = (certain,) if record.source is None else (certain, doubtful)
        for source in _possible_sources(record):
            for recordings in tables:
                for other, other_source in recordings.get((source.site, source.ident), ()):
                    if source.may_overlap(other_source):
                        return other
        return None

    return match


_Recordings = dict[tuple[str, str], list[tuple[ComparedRecord, ClipSource]]]


def _possible_sources(record: ComparedRecord) -> Iterator[ClipSource]:
    """The recording of a record; where its name has no known spelling, every one that the name may mean."""
    if record.source is not None:
        yield record.source
        return
    doubtful = clip_source(record.name, doubtful=True)
    if doubtful is not None:
        yield doubtful
    for first in range(len(record.name) - 10):
        part = record.name[first : first + 11]
        if evidence_of_id(part) == 3:
            yield ClipSource("youtube", part)
