"""The rows of an evaluation's predictions.jsonl, one row a question, and the groups in which they are counted.

The other modules of this folder compute their figures from these rows.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.errors import DataError
from harken.system.json_lines import read_json_lines

Row = Mapping[str, Any]
"""One question with the model's completion and its grade; docs/evaluation.md lists the keys."""

_KEYS = ("id", "clip", "task", "difficulty", "question", "choices", "answer", "completion", "correct")


def read_evaluation_rows(folder: Path) -> Sequence[Row]:
    """Read predictions.jsonl of an evaluation folder.

    Raises DataError where the file is missing, and where a line is not a JSON object or lacks a key.
    """
    path = folder / "predictions.jsonl"
    if not path.is_file():
        raise DataError(f"{folder}: no predictions.jsonl; give a folder that `harken evaluate` wrote")
    rows = read_json_lines(path)
    for number, row in enumerate(rows, start=1):
        missing = [key for key in _KEYS if key not in row]
        if missing:
            raise DataError(
                f"{path}:{number}: the line lacks {', '.join(missing)}; give a folder that `harken evaluate` wrote"
            )
    return rows


def group_rows(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each group by the group's name: "all", then each task, each difficulty, each task and difficulty.

    Names are sorted within each kind. A row without a task or a difficulty is in no group of that kind.
    """
    groups: dict[str, list[Row]] = {"all": list(rows)}
    names: tuple[Callable[[Row], str], ...] = (
        lambda row: row["task"],
        lambda row: row["difficulty"],
        lambda row: f"{row['task']} {row['difficulty']}" if row["task"] and row["difficulty"] else "",
    )
    for name in names:
        for row in sorted(rows, key=name):
            if name(row):
                groups.setdefault(name(row), []).append(row)
    return groups
