"""Whether a training set holds clips or questions of a benchmark.

Takes two sets in any format that names clips, gives the pairs that are the same, by three rules:

    clip      the same file name (extension and folder aside); or the same YouTube id with beginnings less than 10 s
              apart, or where one side does not say where it begins. The id is that of the file name
              (`<id>_<start>`, AudioSet's `Y<id>`) or of the record's url.
    content   the same hash of the decoded 16 kHz 16-bit samples: exact copies. Other encodings of one recording differ.
    question  the words of question and choices, case and order aside, have a Jaccard similarity of 0.8 or more.

An 11-character beginning without a capital or a digit ("speech_data") is taken for a word, not an id: one id in ten
thousand looks so. Not taken: acoustic fingerprints, and embeddings as a measure of questions.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harken.data.record_fields import clip_path
from harken.data.records import Record, RecordError, read_records
from harken.errors import DataError
from harken.prepare.clip_extraction import Measured, measure_clips
from harken.prepare.clip_names import parse_clip_name
from harken.prepare.data_card import Section, counts
from harken.prepare.vggsound_list import read_clip_list
from harken.types import AudioSpan

_SAME_CLIP_S = 10
_SIMILAR = (4, 5)
_URL_ID = re.compile(r"(?:[?&]v=|youtu\.be/|/shorts/|/embed/)([A-Za-z0-9_-]{11})")
_AUDIOSET_ID = re.compile(r"Y([A-Za-z0-9_-]{11})")
_TIMED_ID = re.compile(r"([A-Za-z0-9_-]{11})_[0-9].*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as the rules see it. `video` is "" and `start_s` None where unknown."""

    id: str
    name: str
    video: str
    start_s: int | None
    words: frozenset[str]
    part: AudioSpan | None = None


@dataclass(frozen=True, slots=True)
class Against:
    """A benchmark that training must not hold: its file, and the folder of its clips where they are at hand."""

    file: Path
    audio_root: Path | None = None


@dataclass(frozen=True, slots=True)
class Leak:
    """A pair of records; `rule` is clip, content or question."""

    rule: str
    id: str
    benchmark: str
    benchmark_id: str


def read_entries(path: Path, audio_root: Path | None = None) -> list[Entry]:
    """Records of a manifest, a benchmark (MMAU, MMAR, AIR-Bench), AVQA's annotations, or a CSV list of clips
    (`<name>,...`). Records that are none of these have no clip and no words and match nothing.

    Raises DataError where the file cannot be read, or holds no record with a clip or a question.
    """
    root = path.parent if audio_root is None else audio_root
    if path.suffix == ".csv":
        rows, _ = read_clip_list(path)
        entries = [entry_of_name(str(row.clip), str(row.clip)) for row in rows]
    else:
        records, _ = read_records(path)
        entries = [_entry(record, root, f"{path.name}:{line}") for line, record in records]
    if not any(entry.name or entry.words for entry in entries):
        raise DataError(f"{path}: no record names a clip or asks a question; give a manifest, a benchmark or a list")
    return entries


def entry_of_name(ident: str, name: str, words: frozenset[str] = frozenset(), part: AudioSpan | None = None) -> Entry:
    """An entry of a clip known by name alone."""
    video, start_s = _video(name)
    return Entry(ident, name, video, start_s, words, part)


def find_leaks(
    training: Sequence[Entry],
    benchmark: Sequence[Entry],
    name: str,
    digests: Mapping[AudioSpan, str],
) -> list[Leak]:
    """Every training record with the first benchmark record it equals, by each rule. `digests` of clips that could be
    decoded; others are compared by name alone."""
    same_clip = clip_matcher(benchmark)
    leaks = [Leak("clip", a.id, name, b.id) for a in training if (b := same_clip(a)) is not None]
    leaks += [Leak("content", a.id, name, b.id) for a, b in _by_content(training, benchmark, digests)]
    return leaks + [Leak("question", a.id, name, b.id) for a, b in _by_question(training, benchmark)]


def leak_reasons(
    entries: Sequence[Entry], digests: Mapping[AudioSpan, str], against: Sequence[Against], workers: int
) -> tuple[dict[str, str], Section]:
    """Why entries are left out of a training set, by id, and the table for its card. Same clips and same content are
    left out; similar questions are counted and stay, since wordings repeat ("What is heard?")."""
    reasons: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for one in against:
        benchmark = read_entries(one.file, one.audio_root)
        leaks = find_leaks(entries, benchmark, one.file.name, {**digests, **digests_of(benchmark, workers)})
        for rule, fate in (("clip", "left out"), ("content", "left out"), ("question", "kept")):
            found = [leak for leak in leaks if leak.rule == rule]
            numbers[f"{one.file.name}: same {rule}, {fate}"] = len(found)
            if fate == "left out":
                reasons |= {leak.id: f"same {rule} as in {one.file.name}: {leak.benchmark_id}" for leak in found}
    if not against:
        return {}, UNCHECKED
    return reasons, counts("Leak check", numbers)


UNCHECKED = Section("Leak check", ("", "n"), [("no benchmark given: see `harken prepare check`", "-")])


def digests_of(entries: Sequence[Entry], workers: int) -> dict[AudioSpan, str]:
    """Hashes of the clips that are there and can be decoded."""
    parts = list(dict.fromkeys(entry.part for entry in entries if entry.part and entry.part.path.is_file()))
    measured = measure_clips(parts, workers) if parts else []
    return {part: one.digest for part, one in zip(parts, measured, strict=True) if isinstance(one, Measured)}


def words_of(*texts: str) -> frozenset[str]:
    """Words, case aside."""
    return frozenset(word for text in texts for word in re.findall(r"\w+", text.casefold()))


def _entry(record: Record, root: Path, place: str) -> Entry:
    named = next((str(record[key]) for key in ("id", "uniq_id", "video_name") if record.get(key) is not None), place)
    clip = next(
        (record[key] for key in ("video_name", "audio", "audio_path", "audio_id", "path") if _is_text(record.get(key))),
        "",
    )
    choices = record.get("choices", record.get("multi_choice"))
    listed = choices if isinstance(choices, list) else [record.get(f"choice_{letter}") for letter in "abcd"]
    text = next((record[key] for key in ("text", "question", "question_text") if _is_text(record.get(key))), "")
    words = words_of(text, *(choice for choice in listed if isinstance(choice, str)))
    name = PurePosixPath(clip).name
    stem = name if "video_name" in record else PurePosixPath(name).stem
    entry = entry_of_name(named, stem, words, _part(record, clip, root))
    url = _URL_ID.search(record["url"]) if _is_text(record.get("url")) else None
    return entry if entry.video or url is None else Entry(named, stem, url[1], None, words, entry.part)


def _part(record: Record, clip: str, root: Path) -> AudioSpan | None:
    try:
        path = clip_path(clip, root)
    except RecordError:
        return None
    times = [record.get(key) for key in ("start_s", "end_s")]
    start_s, end_s = (float(value) if isinstance(value, int | float) else None for value in times)
    return AudioSpan(path, start_s or 0.0, end_s)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _video(name: str) -> tuple[str, int | None]:
    clip = parse_clip_name(name)
    found = _AUDIOSET_ID.fullmatch(name) or _TIMED_ID.fullmatch(name)
    video, start_s = (clip.video, clip.start_s) if clip else (found[1] if found else "", None)
    return (video, start_s) if re.search(r"[A-Z0-9]", video) else ("", None)


def clip_matcher(benchmark: Sequence[Entry]) -> Callable[[Entry], Entry | None]:
    """The first benchmark record on the same clip as an entry, or None."""
    by_name = {entry.name: entry for entry in reversed(benchmark) if entry.name}
    by_video: dict[str, list[Entry]] = {}
    for entry in benchmark:
        if entry.video:
            by_video.setdefault(entry.video, []).append(entry)

    def match(entry: Entry) -> Entry | None:
        return by_name.get(entry.name) or next((b for b in by_video.get(entry.video, ()) if _overlap(entry, b)), None)

    return match


def _overlap(a: Entry, b: Entry) -> bool:
    return a.start_s is None or b.start_s is None or abs(a.start_s - b.start_s) < _SAME_CLIP_S


def _by_content(
    training: Sequence[Entry], benchmark: Sequence[Entry], digests: Mapping[AudioSpan, str]
) -> Iterator[tuple[Entry, Entry]]:
    known = {digests[entry.part]: entry for entry in reversed(benchmark) if entry.part and entry.part in digests}
    for entry in training:
        if entry.part and (same := known.get(digests.get(entry.part, ""))) is not None:
            yield entry, same


def _by_question(training: Sequence[Entry], benchmark: Sequence[Entry]) -> Iterator[tuple[Entry, Entry]]:
    """Two sets of words with similarity t or more share a word among the first n - ceil(t n) + 1 of each, words in one
    order for both (prefix filter, Chaudhuri et al. 2006); the rarest first, so that few candidates are compared."""
    over, under = _SIMILAR
    frequency = Counter(word for entry in (*training, *benchmark) for word in entry.words)

    def prefix(words: frozenset[str]) -> list[str]:
        ordered = sorted(words, key=lambda word: (frequency[word], word))
        return ordered[: len(words) + -over * len(words) // under + 1]

    holding: dict[str, list[int]] = {}
    for index, entry in enumerate(benchmark):
        for word in prefix(entry.words):
            holding.setdefault(word, []).append(index)
    for entry in training:
        candidates = sorted({index for word in prefix(entry.words) for index in holding.get(word, ())})
        for index in candidates:
            other = benchmark[index].words
            if under * len(entry.words & other) >= over * len(entry.words | other):
                yield entry, benchmark[index]
                break
