"""The rows of an evaluation's predictions.jsonl, one row a question, and the groups in which they are counted.

The other modules of this folder compute their figures from these rows.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.errors import DataError
from harken.system.run_files import PREDICTIONS, read_rows, require_rows

Row = Mapping[str, Any]
"""One question with the model's completion and its grade; docs/evaluation.md lists the keys."""


def read_evaluation_rows(folder: Path) -> Sequence[Row]:
    """Read predictions.jsonl of an evaluation folder.

    Raises DataError where the file is missing or holds no row, and where a line does not hold what it must.
    """
    path = folder / "predictions.jsonl"
    if not path.is_file():
        raise DataError(f"{folder}: no predictions.jsonl; give a folder that `harken evaluate` wrote")
    rows = read_rows(path, PREDICTIONS, "give a folder that `harken evaluate` wrote")
    require_rows(rows, path, "evaluate again")
    return rows


_KINDS: Mapping[str, Callable[[Row], str]] = {
    "task": lambda row: row["task"],
    "difficulty": lambda row: row["difficulty"],
    "task and difficulty": lambda row: (
        f"{row['task']} {row['difficulty']}" if row["task"] and row["difficulty"] else ""
    ),
}
"""Kind of group -> the name of a row's group; "" where it is in none."""


def group_rows(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each group by the group's name: "all", then each task, each difficulty, each task and difficulty.

    Names are sorted within each kind. A row without a task or a difficulty is in no group of that kind. A name that
    an earlier kind has gets its own kind behind it, such as `hard (difficulty)` beside a task `hard`.
    """
    groups: dict[str, list[Row]] = {"all": list(rows)}
    for kind, name_of in _KINDS.items():
        own: dict[str, list[Row]] = {}
        for row in sorted(rows, key=name_of):
            if name_of(row):
                own.setdefault(name_of(row), []).append(row)
        groups |= {f"{name} ({kind})" if name in groups else name: members for name, members in own.items()}
    return groups
