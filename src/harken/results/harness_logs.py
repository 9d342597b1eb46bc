"""Reads the sample logs of lmms-eval, evalscope and inspect as predictions for the questions of a benchmark.

    lmms-eval   <date>_samples_<task>.jsonl (`--log_samples`): doc_id, input, target, filtered_resps
    evalscope   predictions/<model>/<set>.jsonl: index, model_output, messages, metadata
                reviews/<model>/<set>.jsonl: index, target, sample_score, messages
    inspect     *.json, or *.eval, a ZIP file of samples: id, input, choices, output, metadata

A sample belongs to the question whose id it states, or whose text and choices stand in its prompt.
Questions that share both are told apart by their right answers; those that share these too are taken in the order of
the file, which changes no accuracy over all of them.
"""

import lzma
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.data.records import NumberedRecord, Record, iter_records
from harken.errors import DataError, short_repr
from harken.questions.prompt import LETTERS
from harken.system.json_text import parse_json
from harken.types import Question, Rejected

_LARGEST_SAMPLE = 1 << 28
"""Bytes of one sample of inspect, once it is unpacked."""
_DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)
"""What zipfile raises for damaged files, RuntimeError for encrypted ones."""
_ID_KEYS = ("id", "uniq_id", "question_id", "audio_id")


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer in a log.

    Attributes:
        stated: texts under which an id may stand, the surest first.
        prompt: what the model read, as plain text, choices included.
        target: the right answer as the log has it, a letter or a text; "" where it has none.
    """

    line: int
    stated: Sequence[str]
    prompt: str
    target: str
    answer: str


def read_harness_log(path: Path) -> tuple[str, list[Sample]] | None:
    """(name of the program, samples) of a sample log; None for any other file.

    Raises DataError for a log that cannot be read.
    """
    inspected = _inspect_samples(path)
    if inspected is not None:
        return "inspect", [_inspect(number, sample) for number, sample in enumerate(inspected, start=1)]
    first = next(iter_records(path), None)
    keys = first.record.keys() if isinstance(first, NumberedRecord) else set[str]()
    if {"doc_id", "filtered_resps"} <= keys:
        return "lmms-eval", [_lmms_eval(line, row) for line, row in _rows(path)]
    if "index" in keys and ("model_output" in keys or "sample_score" in keys):
        return "evalscope", [_evalscope(line, row) for line, row in _rows(path)]
    return None


def _rows(path: Path) -> Iterator[tuple[int, Record]]:
    for record in iter_records(path):
        if isinstance(record, Rejected):
            raise DataError(f"{path}:{record.line}: {record.reason}; write the log again")
        yield record.line, record.record


def match_samples(
    path: Path, samples: Sequence[Sample], questions: Sequence[Question], short: Mapping[str, str]
) -> list[NumberedRecord]:
    """The samples as records {id, prediction}, in the order of the log.

    Args:
        short: other names of questions, as `short_ids` gives them.

    Raises DataError that counts the samples which fit no question, and those that fit several.
    """
    finder = _Finder(questions, short)
    ids: list[str | None] = []
    open_groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, sample in enumerate(samples):
        names = finder.find(sample)
        ids.append(names[0] if len(names) == 1 else None)
        if len(names) != 1:
            open_groups[names].append(place)
    unknown = open_groups.pop((), [])
    ambiguous: list[int] = []
    for names, places in open_groups.items():
        chosen = finder.tell_apart(names, [samples[place] for place in places])
        if chosen is None:
            ambiguous += places
        else:
            for place, name in zip(places, chosen, strict=True):
                ids[place] = name
    if unknown or ambiguous:
        raise DataError(_fault(path, samples, unknown, ambiguous))
    return [
        NumberedRecord(sample.line, "", {"id": name, "prediction": sample.answer})
        for sample, name in zip(samples, ids, strict=True)
    ]


class _Finder:
    def __init__(self, questions: Sequence[Question], short: Mapping[str, str]) -> None:
        self._by_id = {question.id: question for question in questions}
        self._ids = {ident: ident for ident in self._by_id} | dict(short)
        self._by_text: dict[str, list[Question]] = defaultdict(list)
        by_clip: dict[str, list[str]] = defaultdict(list)
        for question in questions:
            self._by_text[_plain(question.text)].append(question)
            for span in question.audio_spans:
                by_clip[span.path.stem].append(question.id)
        self._by_clip = {stem: tuple(ids) for stem, ids in by_clip.items()}

    def find(self, sample: Sample) -> tuple[str, ...]:
        """The ids of the questions that the sample may be about; none where it fits no question.

        An id that is a number alone may be the place of a sample in its log; it counts where the prompt agrees.
        """
        by_text = self._find_by_text(sample)
        for name in sample.stated:
            ident = self._ids.get(name, "")
            if ident in by_text or (ident and not by_text and not name.isdecimal()):
                return (ident,)
        for name in sample.stated:
            by_clip = self._by_clip.get(Path(name).stem, ())
            both = tuple(ident for ident in by_clip if not by_text or ident in by_text)
            if both:
                return both
        return by_text

    def _find_by_text(self, sample: Sample) -> tuple[str, ...]:
        prompt = _plain(sample.prompt)
        lines = {_plain(line) for line in sample.prompt.split("\n")}
        lines |= {line.removeprefix("question:").strip() for line in lines}
        near = [question for line in lines for question in self._by_text.get(line, ())]
        if not near:
            near = [each for text, group in self._by_text.items() if text and text in prompt for each in group]
        return tuple(question.id for question in near if all(_plain(choice) in prompt for choice in question.choices))

    def tell_apart(self, names: Sequence[str], samples: Sequence[Sample]) -> list[str] | None:
        """The question of each sample, where the right answers allow one order only; None where they do not."""
        if len(samples) > len(names):
            return None
        left = [self._by_id[name] for name in names]
        chosen = []
        for sample in samples:
            fitting = [question for question in left if _is_target(sample.target, question)]
            if not fitting:
                return None
            chosen.append(fitting[0].id)
            left.remove(fitting[0])
        return chosen if len(samples) == len(names) else None


def _is_target(target: str, question: Question) -> bool:
    if question.answer is None:
        return False
    right, text = question.choices[question.answer], target.strip()
    return _plain(text) == _plain(right) or text.upper() == LETTERS[question.answer]


def _lmms_eval(line: int, row: Record) -> Sample:
    answer = row.get("filtered_resps")
    while isinstance(answer, list):
        answer = answer[0] if answer else ""
    submission = row.get("submission")
    stated = _stated(submission) if isinstance(submission, dict) else []
    if isinstance(submission, dict) and not stated and len(submission) == 1:
        stated = [str(key) for key in submission]  # AIR-Bench: {uniq_id: letter}
    return Sample(line, stated, _text(row.get("input")), _text(row.get("target")), _text(answer))


def _evalscope(line: int, row: Record) -> Sample:
    score = row.get("sample_score")
    if isinstance(score, dict):
        inner = score.get("score")
        metadata, answer = score.get("sample_metadata"), inner.get("prediction") if isinstance(inner, dict) else ""
    else:
        metadata, answer = row.get("metadata"), _completion(row.get("model_output"))
    metadata = metadata if isinstance(metadata, dict) else {}
    folder = f"{metadata.get('task_name')}_{metadata.get('dataset_name')}/{metadata.get('uniq_id')}"
    target = row.get("target") or metadata.get("answer") or metadata.get("answer_gt_text")
    prompt = "\n".join(_text(message) for message in _listed(row.get("messages")) if _role(message) != "assistant")
    return Sample(line, [folder, *_stated(metadata)], prompt, _text(target), _text(answer))


def _inspect(number: int, row: Record) -> Sample:
    metadata = row.get("metadata") if isinstance(row.get("metadata"), dict) else {}
    given = row.get("input")
    parts = [_text(message) for message in given] if isinstance(given, list) else [_text(given)]
    choices = [_text(choice) for choice in _listed(row.get("choices"))]
    target = row.get("target")
    target = target[0] if isinstance(target, list) and target else target
    answer = _completion(row.get("output"))
    stated = [str(row.get("id")), *_stated(metadata or {})]
    return Sample(number, stated, "\n".join([*parts, *choices]), _text(target), answer)


def _stated(metadata: Mapping[str, Any]) -> list[str]:
    return [str(metadata[key]) for key in _ID_KEYS if isinstance(metadata.get(key), str | int)]


def _completion(output: object) -> str:
    """The text of a model output: its completion, or that of its first choice."""
    if not isinstance(output, dict):
        return ""
    if isinstance(output.get("completion"), str) and output["completion"]:
        return output["completion"]
    choices = _listed(output.get("choices"))
    first = choices[0] if choices else {}
    return _text(first.get("message")) if isinstance(first, dict) else ""


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, dict) else None


def _text(value: object) -> str:
    """The plain text of a value: a text, a message, or a list of contents, of which only texts count."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "\n".join(text for part in value if (text := _text(part)))
    if isinstance(value, dict):
        return _text(value.get("content", value.get("text")))
    return "" if value is None else str(value)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _inspect_samples(path: Path) -> list[Record] | None:
    """The samples of an inspect log; None for any other file. Raises DataError for a ZIP file that is no such log."""
    if zipfile.is_zipfile(path):
        return list(_zipped_samples(path))
    try:
        content = path.read_bytes() if path.suffix == ".json" else b""
        log = parse_json(content, constants=True) if content.lstrip().startswith(b"{") else None
    except (ValueError, OSError):
        return None  # whoever reads it as predictions says what is wrong with it
    samples = log.get("samples") if isinstance(log, dict) and "eval" in log else None
    return [sample for sample in samples if isinstance(sample, dict)] if isinstance(samples, list) else None


def _zipped_samples(path: Path) -> Iterator[Record]:
    try:
        with zipfile.ZipFile(path) as log:
            names = [name for name in log.namelist() if name.startswith("samples/") and name.endswith(".json")]
            if not names:
                raise DataError(f"{path}: a ZIP file without samples/*.json is no log of inspect")
            for name in names:
                if log.getinfo(name).file_size > _LARGEST_SAMPLE:
                    raise DataError(f"{path}: {name} has more than {_LARGEST_SAMPLE >> 20} MiB, which is no sample")
                sample = _parsed_sample(path, name, log.read(name))
                if isinstance(sample, dict):
                    yield sample
    # This clause stands before that of _DAMAGED_ZIP, because NotImplementedError is a RuntimeError. zipfile raises it
    # for compressions that it lacks, such as Zstandard, which it reads from Python 3.14 on.
    except NotImplementedError as error:
        raise DataError(
            f"{path}: its samples are compressed in a way that this Python cannot read; write the log as JSON "
            f"with `inspect log convert {path.name} --to json --output-dir DIR`"
        ) from error
    except _DAMAGED_ZIP as error:
        raise DataError(f"{path}: the ZIP file cannot be read ({error}); copy or write the log again") from error


def _parsed_sample(path: Path, name: str, content: bytes) -> Any:
    try:
        return parse_json(content, constants=True)
    except ValueError as error:
        raise DataError(f"{path}: {name}: {error}; write the log again") from error


def _fault(path: Path, samples: Sequence[Sample], unknown: Sequence[int], ambiguous: Sequence[int]) -> str:
    lines = [f"{path}: cannot be scored. Of {len(samples)} samples"]
    for places, what in (
        (unknown, "fit no question of the benchmark file, by id or by text and choices"),
        (ambiguous, "fit several questions, and their right answers do not tell which"),
    ):
        if places:
            shown = "; ".join(
                f"sample {samples[place].line}: {short_repr(samples[place].prompt)}" for place in places[:3]
            )
            lines.append(f"  {len(places)} {what}: {shown}")
    return "\n".join([*lines, "Score it with the benchmark file that the samples were made from."])
