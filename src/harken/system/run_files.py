"""The files of run folders and evaluation folders: what each of them holds, and how it is read.

Every reader of such a file goes through here, so a damaged one is found when it is read, with file, line and key, and
not where a value is used. A run of an older harken may lack what `optional` marks.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.errors import DataError
from harken.system.json_files import read_json
from harken.system.json_lines import FIX, read_json_lines, reopened_rows
from harken.system.json_shapes import (
    ANY_OBJECT,
    COUNT,
    FLAG,
    MAPPING,
    NUMBER,
    TEXT,
    Kind,
    Shape,
    check_shape,
    exact_object_of,
    list_of,
    mapping_of,
    object_of,
)

Row = dict[str, Any]

_ESTIMATE = exact_object_of(mean=NUMBER, low=NUMBER, high=NUMBER, n=COUNT, clusters=COUNT)
_VERSIONS = mapping_of(TEXT.or_null)
_CHECKPOINT = object_of(checkpoint=TEXT.optional, commit=TEXT.or_null.optional, files=mapping_of(MAPPING).optional)
_TEXTS = list_of(TEXT)
_ANSWER = Kind(
    "[text, tokens, ended, failure]",
    lambda value: (
        isinstance(value, list)
        and len(value) == 4
        and all(kind.fits(part) for kind, part in zip((TEXT, COUNT.or_null, FLAG, TEXT), value, strict=True))
    ),
)
_TOKEN_COUNTS = Kind(
    "the two numbers of tokens",
    lambda value: isinstance(value, list) and len(value) == 2 and all(map(COUNT.fits, value)),
)
_RATE = Kind("a number from 0 to 1", lambda value: NUMBER.fits(value) and 0 <= value <= 1)
_LOOP = Kind("grpo or sft", lambda value: value in ("grpo", "sft"))

METRICS = Shape(
    {
        "step": COUNT,
        **dict.fromkeys(("dev/accuracy", "dev/low", "dev/high", "probe/wer", "probe/loss", "probe/n"), NUMBER.optional),
    }
)
"""The figures that harken computes with. The report draws whatever else is a number."""
ROLLOUTS = ANY_OBJECT
"""Rollouts are only shown, and the report shows whatever they hold."""
PREDICTIONS = Shape(
    {
        **dict.fromkeys(("id", "clip", "task", "difficulty", "question", "completion"), TEXT),
        "choices": _TEXTS,
        "answer": TEXT.or_null,
        "correct": FLAG.or_null,
        "choice": TEXT.or_null.optional,
        **dict.fromkeys(("reason", "prompt", "reasoning", "extracted", "heard"), TEXT.optional),
        "form": TEXT.or_null.optional,
        "tokens": COUNT.or_null.optional,
        "ended": FLAG.optional,
    }
)
JOURNAL = Shape({"id": TEXT, "order": COUNT, "answers": list_of(_ANSWER)})
REPLIES = Shape(
    {"key": TEXT, "text": TEXT, "ended": FLAG, "tokens": _TOKEN_COUNTS.optional, "reasoning": TEXT.optional}
)
DECISIONS = Shape({"id": TEXT, "sha256": TEXT, "accepted": FLAG, "note": TEXT})
PASS_RATES = Shape({"id": TEXT, "pass_rate": _RATE.or_null})
HISTORY = Shape({"time": TEXT, "step": COUNT, "event": TEXT, "changes": _TEXTS})
CLIPS = Shape({"file": TEXT, "size": COUNT, "mtime_ns": NUMBER.optional, "sha256": TEXT.optional})
SUMMARY = Shape(
    {
        "accuracy": mapping_of(_ESTIMATE).optional,
        "audio": TEXT.optional,
        "model": TEXT.or_null.optional,
        "data": TEXT.optional,
        **dict.fromkeys(
            ("n", "n_failed", "n_unreadable", "n_cut_at_maximum", "n_rejected", "n_hidden_answer"), COUNT.optional
        ),
    }
)
ENVIRONMENT = ANY_OBJECT
EVALUATION_ENVIRONMENT = Shape(
    {
        "data_sha256": TEXT.or_null,
        "packages": _VERSIONS.or_null.optional,
        "files": mapping_of(TEXT).or_null.optional,
        "model": _CHECKPOINT.or_null.optional,
    }
)
COUNTS = Shape(
    {
        **dict.fromkeys(("records", "kept", "rejected", "trained_on", "development"), COUNT),
        "clips": mapping_of(COUNT).optional,
    }
)
INPUTS = Shape(
    {
        "loop": _LOOP,
        "recipe": MAPPING,
        "files": mapping_of(TEXT),
        "base": _CHECKPOINT,
        "versions": _VERSIONS,
    }
)
TRAINER_STATE = Shape({"step": COUNT})


def read_rows(file: Path, shape: Shape, fix: str = FIX) -> list[Row]:
    """The complete rows of a file that another process may be writing; none where there is no such file.

    Raises DataError with the number of the first line that does not hold what it must.
    """
    return _checked(read_json_lines(file, fix), file, shape, fix)


def reopen_rows(file: Path, shape: Shape, fix: str = FIX) -> list[Row]:
    """The same for a file that this process goes on appending to; half a line at its end is removed."""
    return [row for row, _, _ in reopened_with_places(file, shape, fix)]


def reopened_with_places(file: Path, shape: Shape, fix: str = FIX) -> Iterator[tuple[Row, int, int]]:
    """Yield the rows of `reopen_rows`, each with the bytes at which its line begins and ends."""
    for number, (row, start, end) in enumerate(reopened_rows(file, fix), start=1):
        yield check_shape(row, shape, f"{file}:{number}", fix), start, end


def read_object(file: Path, shape: Shape, fix: str = "restore the file") -> Row:
    """The object that a file holds. Raises DataError where it does not hold what it must, OSError where it is not
    there."""
    return read_json(file, fix, shape)


def numbered(folder: Path, ending: str = "") -> list[tuple[int, Path]]:
    """(step, path) of the entries `step_NUMBER` + ending of a folder, in order of step. Whatever else lies there, such
    as a copy that somebody made of a checkpoint, is left alone."""
    pattern = re.compile(rf"step_([0-9]{{1,15}}){re.escape(ending)}")
    named = [(pattern.fullmatch(path.name), path) for path in folder.glob(f"step_*{ending}")]
    return sorted((int(match[1]), path) for match, path in named if match is not None)


def _checked(rows: Sequence[Row], file: Path, shape: Shape, fix: str) -> list[Row]:
    return [check_shape(row, shape, f"{file}:{number}", fix) for number, row in enumerate(rows, start=1)]


def require_rows(rows: Sequence[Mapping[str, Any]], file: Path, fix: str) -> None:
    """Raises DataError where there is no row."""
    if not rows:
        raise DataError(f"{file}: holds no complete line; {fix}")
