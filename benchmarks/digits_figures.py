"""Figures of one model of recipes/digits, read from the folders of its evaluations.

`digits_table.py` lays them out. A figure whose evaluation is not there yet is None.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.results.compare import compare
from harken.results.evaluation_rows import Row, read_evaluation_rows
from harken.results.summary import accuracy
from harken.stats import Estimate, mean_interval
from harken.system.json_lines import read_json_lines

MODES = ("real", "none", "silence", "noise", "shuffled")
KINDS = {"faint": ("clean", "drowned"), "noise": ("clean", "noisy"), "sums": ("one", "two"), "pairs": ("two",)}
"""Kind of question -> its difficulties, which only the clip shows and the text does not."""
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_CLIP = re.compile(
    r"(?P<kind>clean|noisy|drowned)_(?P<take>(?P<digit>\d)_\w+)|two_\w+?_\d{4}_(?P<first>\d)_(?P<second>\d)"
)


@dataclass(frozen=True, slots=True)
class Played:
    """The content of a clip that was played, read from its file name.

    Attributes:
        noisy: whether noise was added to the recording, little or much.
        digits: the one or two digits that are spoken, in order.
        take: the name of the recording, the same for its clean clip and those with noise.
    """

    noisy: bool
    digits: tuple[int, ...]
    take: str

    @property
    def sum(self) -> int:
        return sum(self.digits)


def played(clip: str) -> Played | None:
    """None where nothing of the data was played, as in the modes none, silence and noise."""
    match = _CLIP.fullmatch(Path(clip).stem)
    if match is None:
        return None
    if match["kind"]:
        return Played(match["kind"] != "clean", (int(match["digit"]),), match["take"])
    return Played(False, (int(match["first"]), int(match["second"])), Path(clip).stem)


def rows_of(folder: Path) -> list[Row]:
    """The rows of a finished evaluation, else []. Clips of one take are one cluster, with noise or without."""
    if not (folder / "summary.json").is_file():
        return []
    rows = []
    for row in read_evaluation_rows(folder):
        clip = played(row["clip"])
        rows.append({**row, "clip": row["clip"] if clip is None else clip.take})
    return rows


def share(rows: Sequence[Row], holds: Callable[[Row], bool]) -> Estimate | None:
    """The share of the rows for which it holds, with its interval; None where there are no rows."""
    if not rows:
        return None
    return mean_interval([float(holds(row)) for row in rows], [row["clip"] for row in rows])


def right(rows: Sequence[Row], difficulty: str = "") -> Estimate | None:
    """The accuracy on all rows or those of one difficulty."""
    members = [row for row in rows if difficulty in ("", row["difficulty"])]
    return accuracy(members) if members else None


def without_thinking(rows: Sequence[Row], difficulty: str = "") -> Estimate | None:
    """The share of outputs without thinking among those of a valid form."""
    valid = [row for row in rows if row["form"] in ("think", "no_think") and difficulty in ("", row["difficulty"])]
    return share(valid, lambda row: row["form"] == "no_think")


def with_played_difficulty(rows: Sequence[Row], hard: Callable[[Played], bool]) -> list[Row]:
    """The rows of shuffled clips with the difficulty of the clip that was played: `easy` or `hard`."""
    clips = [(row, played(row["heard"])) for row in rows]
    return [{**row, "difficulty": "hard" if hard(clip) else "easy"} for row, clip in clips if clip is not None]


def follows(rows: Sequence[Row]) -> tuple[int, int, int] | None:
    """(answers to the clip that was played, answers to the question's own clip, questions), from shuffled clips.

    Only those questions are counted whose right answer for the played clip is one of their choices and differs from
    the right answer for their own clip: in the others the answer does not tell which clip it follows.
    """
    if not rows:
        return None
    telling = [
        (row, for_played)
        for row in rows
        if (for_played := _answer_for_played(row)) in row["choices"] and for_played != row["answer"]
    ]
    return (
        sum(row["choice"] == for_played for row, for_played in telling),
        sum(row["choice"] == row["answer"] for row, _ in telling),
        len(telling),
    )


def _answer_for_played(row: Row) -> str | None:
    """The right answer to this question for the clip that was played; None where it has none."""
    clip = played(row["heard"])
    if clip is None:
        return None
    if row["answer"] in WORDS:
        return WORDS[clip.digits[0]] if len(clip.digits) == 1 else None
    return str(clip.sum)


def readable_right(rows: Sequence[Row]) -> tuple[Estimate, Estimate] | None:
    """(share of answers that name a choice, share of right ones among these)."""
    named = [row for row in rows if row["choice"] is not None]
    if not named:
        return None
    whole = share(rows, lambda row: row["choice"] is not None)
    assert whole is not None
    return whole, accuracy(named)


def mean_tokens(rows: Sequence[Row]) -> float | None:
    return sum(row["tokens"] for row in rows) / len(rows) if rows else None


def valid_form(rows: Sequence[Row]) -> Estimate | None:
    return share(rows, lambda row: row["form"] in ("think", "no_think"))


def gain(before: Sequence[Row], after: Sequence[Row], difficulty: str = "") -> Estimate | None:
    """after - before, paired by question."""
    earlier, later = ([row for row in rows if difficulty in ("", row["difficulty"])] for rows in (before, after))
    if not earlier or not later:
        return None
    return compare(earlier, later, whole_only=True)[0].gain


def seeds_of(runs: Path) -> list[Path]:
    """The folders of the seeds; that of seed 0 where nothing has run yet."""
    return sorted(runs.glob("seed*")) or [runs / "seed0"]


def account(seed: Path) -> list[Mapping[str, Any]]:
    file = seed / "account.jsonl"
    return [dict(row) for row in read_json_lines(file)] if file.is_file() else []
