"""Reads anybody's predictions for the questions of a benchmark: one text for each question id.

The file is a JSON list or JSON lines of the benchmark's records with a prediction added, of bare {id, prediction}
records, harken's own predictions.jsonl, or a sample log of another program (harness_logs.py). A question without a
record, without a prediction or with null counts as a missing answer. Of several records for one question the first
counts. A file whose figure would be the figure of something else is refused, with every kind of fault and its count:
unknown ids, items that are not the benchmark's, another version of the benchmark, predictions that are not text,
records that cannot be read.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harken.benchmarks import BENCHMARKS
from harken.benchmarks.base import Benchmark
from harken.benchmarks.registry import find_benchmark
from harken.data.records import Record, read_records
from harken.errors import DataError, short_repr
from harken.questions.grader import OPEN
from harken.results.harness_logs import match_samples, read_harness_log
from harken.results.prediction_ids import FaultError, known_id, short_ids, stated_id
from harken.results.stated_items import Difference, StatedItemError, differences
from harken.types import Question

COMMON_KEYS = ("prediction", "model_response", "model_answer", "output")
"""Keys of predictions that no official script reads and that people use."""
OWN_KEYS = ("completion", "choice", "reason")
"""Keys of harken's predictions.jsonl. Its prediction is the choice that the evaluation read, "" where it read none."""
MOST_OTHER_CHOICES = 0.1
"""A file in which more of the items have other choices than in the benchmark file is refused [O]."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A record for a question that an earlier record is about, too; it does not count."""

    id: str
    line: int


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions of a file.

    Attributes:
        texts: question id -> prediction.
        keys: the prediction keys that were read, with the number of records.
        other_keys: the prediction keys that were not read, with the number of records in which they hold another text.
        own: whether it is harken's predictions.jsonl.
        program: whose sample log it is, "" for any other file; its prompts showed letters.
        records: their number; of these `without_key` have no prediction key and `null` have null there.
        differences: question id -> what its record states otherwise than the benchmark file.
        repeats: the records that do not count because an earlier one is about the same question.
    """

    texts: Mapping[str, str]
    keys: Mapping[str, int]
    other_keys: Mapping[str, int]
    own: bool
    program: str
    records: int
    without_key: int
    null: int
    differences: Mapping[str, Sequence[Difference]]
    repeats: Sequence[Repeat]


@dataclass(slots=True)
class _Read:
    """What has been read of a file so far: a prediction with its key for each question, and faults."""

    keys: dict[str, str | None] = field(default_factory=dict)
    texts: dict[str, str | None] = field(default_factory=dict)
    other_keys: Counter[str] = field(default_factory=Counter)
    differences: dict[str, Sequence[Difference]] = field(default_factory=dict)
    repeats: list[Repeat] = field(default_factory=list)
    faults: dict[str, list[str]] = field(default_factory=dict)


def prediction_keys(benchmark: Benchmark) -> tuple[str, ...]:
    """The keys under which a prediction may stand: those of the official scripts, then COMMON_KEYS.

    The benchmark's own come first. The keys of all benchmarks are read for each of them: people write one benchmark's
    key into another's file.
    """
    scripts = [benchmark, *map(find_benchmark, BENCHMARKS)]
    return tuple(dict.fromkeys([*(key for script in scripts for key in script.prediction_keys), *COMMON_KEYS]))


def read_prediction_file(
    path: Path, benchmark: Benchmark, questions: Sequence[Question], data: Path, key: str | None = None
) -> Predictions:
    """Read and check a file of predictions for `questions`.

    Args:
        data: the benchmark file, for messages.
        key: the key that holds the predictions. By default each record's prediction stands under the first of
            `prediction_keys` that the record has.

    Raises DataError that names every kind of fault with its count and its first places.
    """
    log = None if key is not None else read_harness_log(path)
    program = "" if log is None else log[0]
    if log is None:
        records, rejected = read_records(path)
    else:
        records, rejected = match_samples(path, log[1], questions, short_ids(benchmark, questions)), []
    own = key is None and bool(records) and all(name in record for _, _, record in records for name in OWN_KEYS)
    keys = prediction_keys(benchmark) if key is None else (key,)
    read = _read_records(path, records, benchmark, questions, keys, own=own)
    unreadable = {"cannot be read": [f"line {record.line}: {record.reason}" for record in rejected]}
    lines = _other_version(benchmark, questions, [record for _, _, record in records])
    lines += _other_items(benchmark, read)
    lines += [
        f"{len(details)} {kind}: {'; '.join(details[:3])}{'; ...' * (len(details) > 3)}"
        for kind, details in (unreadable | read.faults).items()
        if details
    ]
    if read.keys and not any(read.keys.values()):
        first, known = ", ".join(map(short_repr, records[0][2])), ", ".join(keys)
        lines.append(
            f"none has a prediction key: the first one's keys are {first}; "
            + (f"known are {known}; name another with --key" if key is None else f"--key says {key}")
        )
    if lines:
        raise DataError(
            f"{path}: cannot be scored. Of {len(records) + len(rejected)} records\n"
            + "".join(f"  {line}\n" for line in lines)
            + f"Score it with the benchmark file that the predictions were made from; this is {data}"
        )
    return Predictions(
        texts={identifier: text for identifier, text in read.texts.items() if text is not None},
        keys=dict(sorted(Counter(name for name in read.keys.values() if name is not None).items())),
        other_keys=dict(sorted(read.other_keys.items())),
        own=own,
        program=program,
        records=len(records),
        without_key=sum(name is None for name in read.keys.values()),
        null=sum(name is not None and read.texts[identifier] is None for identifier, name in read.keys.items()),
        differences=read.differences,
        repeats=read.repeats,
    )


def _read_records(
    path: Path,
    records: Sequence[tuple[int, str, Record]],
    benchmark: Benchmark,
    questions: Sequence[Question],
    keys: Sequence[str],
    *,
    own: bool,
) -> _Read:
    by_id, shorter = {question.id: question for question in questions}, short_ids(benchmark, questions)
    read, known = _Read(), prediction_keys(benchmark)
    for line, which, record in records:
        try:
            named = record.get("id") if own else stated_id(record, benchmark, f"{path}:{line}: {which}")
            identifier = known_id(named, by_id, shorter)
            if identifier in read.keys:
                read.repeats.append(Repeat(identifier, line))
                continue
            read.keys[identifier], read.texts[identifier] = None, None
            name = next((key for key in keys if key in record), None)
            read.keys[identifier], read.texts[identifier] = _own_choice(record) if own else _prediction(record, name)
            text = read.texts[identifier]
            others = () if own else [key for key in known if key != name and record.get(key) not in (None, text)]
            read.other_keys.update(others)
            rejected = own and record.get("choices") == []  # a record that the evaluation could not use
            stated_differently = [] if rejected else differences(record, line, by_id[identifier])
            if stated_differently:
                read.differences[identifier] = stated_differently
        except StatedItemError as error:
            read.faults.setdefault("state choices that cannot be read", []).append(f"line {line}: {which}{error}")
        except FaultError as fault:
            read.faults.setdefault(fault.kind, []).append(f"line {line}: {which}{fault.detail}")
    return read


def _other_version(benchmark: Benchmark, questions: Sequence[Question], records: Sequence[Record]) -> list[str]:
    """One fault where the predictions are for another version of the benchmark; none otherwise."""
    expected = benchmark.recognise_questions(questions).version
    stated = ((record.get("id"), record.get("choices")) for record in records)
    version = benchmark.recognise(
        (identifier, _texts(choices), None) for identifier, choices in stated if isinstance(identifier, str)
    ).version
    if "unknown" in (expected, version) or expected == version:
        return []
    title = benchmark.title
    origin = f"two versions of {title} mixed" if version == "mixed" else f"{title} {version}"
    return [f"are of {origin}, and the benchmark file is {title} {expected}: two benchmarks, never mixed"]


def _other_items(benchmark: Benchmark, read: _Read) -> list[str]:
    """One fault where too many items have other choices than in the benchmark file; none otherwise."""
    other = [item for items in read.differences.values() for item in items if item.field == "choices"]
    n = len(read.keys)
    if len(other) <= MOST_OTHER_CHOICES * n:
        return []
    return [
        f"{len(other)} state other choices than the benchmark file, so {100 * (n - len(other)) / n:.1f} % of "
        f"{n} items are those of this {benchmark.title}: {'; '.join(map(str, other[:3]))}{'; ...' * (len(other) > 3)}"
    ]


def _texts(choices: object) -> list[str] | None:
    """Choices as readers keep them, without spaces at their edges and empty ones; None for anything but texts."""
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        return None
    return [choice.strip() for choice in choices if choice]


def _own_choice(record: Record) -> tuple[str, str]:
    if record["reason"] == OPEN and isinstance(record.get("extracted"), str):
        return "extracted", record["extracted"]  # an open question, or an instruction
    choice = record["choice"]
    if choice is not None and not isinstance(choice, str):
        raise FaultError("have a prediction that is not text", f"choice: {short_repr(choice)}")
    return "choice", choice or ""


def _prediction(record: Record, key: str | None) -> tuple[str | None, str | None]:
    """The key of a record's prediction and its text; None where the record has no key, or null there."""
    if key is None:
        return None, None
    value = record[key]
    if value is not None and not isinstance(value, str):
        raise FaultError("have a prediction that is not text", f"{key}: {short_repr(value)}")
    return key, value
