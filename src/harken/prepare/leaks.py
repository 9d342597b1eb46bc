"""Find the clips and questions of a benchmark in a training set.

Two records of the sets (leak_check_sets.py) are the same by one of three rules:

    clip      their file names are equal, without extension and folder; or their YouTube ids are equal, and their
              starts are less than 10 s apart or one of them is unknown.
    content   their decoded 16 kHz 16-bit samples are equal. Another encoding of the same recording is not found.
    question  the words of question and choices, without case and order, have a Jaccard similarity of 0.8 or more.

`harken prepare` leaves leaks out of a set (`leak_reasons`); `harken prepare check` compares finished sets.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harken.prepare.clip_extraction import ClipMeasures, measure_clips
from harken.prepare.data_card import CardTable, count_table
from harken.prepare.leak_check_sets import ComparedRecord, ComparedSet, read_compared_records
from harken.types import AudioSpan

_SAME_CLIP_S = 10
_SIMILARITY = (4, 5)

NO_LEAK_CHECK = CardTable("Leak check", ("", "n"), [("no benchmark given: see `harken prepare check`", "-")])


@dataclass(frozen=True, slots=True)
class Leak:
    """A pair of records; `rule` is clip, content or question."""

    rule: str
    id: str
    benchmark: str
    benchmark_id: str


def find_leaks(
    training: Sequence[ComparedRecord],
    benchmark: Sequence[ComparedRecord],
    name: str,
    digests: Mapping[AudioSpan, str],
) -> list[Leak]:
    """Pair every training record with the first benchmark record that is the same, by each rule.

    Args:
        name: of the benchmark.
        digests: hash of the samples of each clip that could be decoded, in both sets.
    """
    same_clip = clip_matcher(benchmark)
    leaks = [Leak("clip", a.id, name, b.id) for a in training if (b := same_clip(a)) is not None]
    leaks += [Leak("content", a.id, name, b.id) for a, b in _same_content(training, benchmark, digests)]
    return leaks + [Leak("question", a.id, name, b.id) for a, b in _similar_questions(training, benchmark)]


def leak_reasons(
    training: Sequence[ComparedRecord], digests: Mapping[AudioSpan, str], against: Sequence[ComparedSet], workers: int
) -> tuple[dict[str, str], CardTable]:
    """Find the training records that must be left out.

    Records with the same clip or content as a benchmark are left out. Similar questions are counted and kept, because
    different clips share wordings ("What is heard?").

    Args:
        digests: hash of the samples of each training clip.
        against: the benchmarks.

    Returns:
        Record id -> reason, and the table for the card.
    """
    if not against:
        return {}, NO_LEAK_CHECK
    reasons: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for benchmark in against:
        name = benchmark.file.name
        records = read_compared_records(benchmark.file, benchmark.audio_root)
        leaks = find_leaks(training, records, name, {**digests, **hash_clips(records, workers)})
        for rule, fate in (("clip", "left out"), ("content", "left out"), ("question", "kept")):
            matches = [leak for leak in leaks if leak.rule == rule]
            numbers[f"{name}: same {rule}, {fate}"] = len(matches)
            if fate == "left out":
                reasons |= {leak.id: f"same {rule} as in {name}: {leak.benchmark_id}" for leak in matches}
    return reasons, count_table("Leak check", numbers)


def hash_clips(records: Sequence[ComparedRecord], workers: int) -> dict[AudioSpan, str]:
    """Hash the samples of the clips that exist and can be decoded."""
    spans = list(dict.fromkeys(record.span for record in records if record.span and record.span.path.is_file()))
    results = measure_clips(spans, workers) if spans else []
    return {span: clip.digest for span, clip in zip(spans, results, strict=True) if isinstance(clip, ClipMeasures)}


def clip_matcher(benchmark: Sequence[ComparedRecord]) -> Callable[[ComparedRecord], ComparedRecord | None]:
    """Return a function that gives the first benchmark record with the same clip as a record, or None."""
    by_name = {record.name: record for record in reversed(benchmark) if record.name}
    by_video: dict[str, list[ComparedRecord]] = {}
    for record in benchmark:
        if record.video:
            by_video.setdefault(record.video, []).append(record)

    def match(record: ComparedRecord) -> ComparedRecord | None:
        same_name = by_name.get(record.name)
        return same_name or next((b for b in by_video.get(record.video, ()) if _may_overlap(record, b)), None)

    return match


def _may_overlap(a: ComparedRecord, b: ComparedRecord) -> bool:
    return a.start_s is None or b.start_s is None or abs(a.start_s - b.start_s) < _SAME_CLIP_S


def _same_content(
    training: Sequence[ComparedRecord], benchmark: Sequence[ComparedRecord], digests: Mapping[AudioSpan, str]
) -> Iterator[tuple[ComparedRecord, ComparedRecord]]:
    by_digest = {digests[b.span]: b for b in reversed(benchmark) if b.span and b.span in digests}
    for record in training:
        if record.span and (same := by_digest.get(digests.get(record.span, ""))) is not None:
            yield record, same


def _similar_questions(
    training: Sequence[ComparedRecord], benchmark: Sequence[ComparedRecord]
) -> Iterator[tuple[ComparedRecord, ComparedRecord]]:
    """Pair records whose sets of words have at least the similarity t.

    Such sets share a word among the first n - ceil(t n) + 1 of each, with the words in one order for both (prefix
    filter, Chaudhuri et al. 2006). The rarest words come first, so that few candidates are compared.
    """
    over, under = _SIMILARITY
    frequency = Counter(word for record in (*training, *benchmark) for word in record.words)

    def prefix(words: frozenset[str]) -> list[str]:
        ordered = sorted(words, key=lambda word: (frequency[word], word))
        return ordered[: len(words) + -over * len(words) // under + 1]

    benchmark_with: dict[str, list[int]] = {}
    for index, record in enumerate(benchmark):
        for word in prefix(record.words):
            benchmark_with.setdefault(word, []).append(index)
    for record in training:
        candidates = sorted({index for word in prefix(record.words) for index in benchmark_with.get(word, ())})
        for index in candidates:
            other = benchmark[index].words
            if under * len(record.words & other) >= over * len(record.words | other):
                yield record, benchmark[index]
                break
