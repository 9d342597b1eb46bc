"""From predictions to the numbers people quote, each with n and a 95 % interval clustered by clip.

Takes rows of predictions.jsonl, gives summaries and paired comparisons by task and difficulty. Two evaluations are
compared only where they asked the same questions; not taken: comparing what both of them happen to hold. Reads files
only, never imports torch.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from harken.errors import DataError
from harken.questions.grader import form
from harken.stats import Estimate, chance, mcnemar, mean_interval, paired_gain

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One group of questions before and after, the gain on the same questions, how many became right and wrong, and the
    p value of McNemar's exact test of these."""

    group: str
    before: Estimate
    after: Estimate
    gain: Estimate
    gained: int
    lost: int
    p: float


def read_predictions(folder: Path) -> list[Row]:
    """The rows of an evaluation folder. Raises DataError where it holds none, or a line that is none."""
    path = folder / "predictions.jsonl"
    if not path.is_file():
        raise DataError(f"{folder}: no predictions.jsonl; give a folder that `harken evaluate` wrote")
    rows = []
    with path.open("rb") as lines:  # not splitlines: U+2028 may stand inside a completion
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}:{number}: not a line of JSON ({error}); evaluate again") from error
            missing = [key for key in _KEYS if key not in row] if isinstance(row, dict) else list(_KEYS)
            if missing:
                raise DataError(
                    f"{path}:{number}: lacks {', '.join(missing)}; give a folder that `harken evaluate` wrote"
                )
            rows.append(row)
    return rows


_KEYS = ("id", "clip", "task", "difficulty", "question", "choices", "answer", "completion", "correct")


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Group name -> its rows: all, each task, each difficulty, each task and difficulty; in order of first
    appearance."""
    found: dict[str, list[Row]] = {"all": list(rows)}
    names: tuple[Callable[[Row], str], ...] = (
        lambda row: row["task"],
        lambda row: row["difficulty"],
        lambda row: f"{row['task']} {row['difficulty']}" if row["task"] and row["difficulty"] else "",
    )
    for name in names:
        for row in sorted(rows, key=name):
            if name(row):
                found.setdefault(name(row), []).append(row)
    return found


def accuracy(rows: Sequence[Row]) -> Estimate:
    return mean_interval([float(row["correct"]) for row in rows], [row["clip"] for row in rows])


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """The summary of one evaluation. Rows whose answer is hidden are counted apart; without any other there is no
    accuracy."""
    known = [row for row in rows if row["correct"] is not None]
    return {
        "n": len(rows),
        "n_hidden_answer": len(rows) - len(known),
        "n_unreadable": sum(row["choice"] is None for row in rows),
        "n_cut_at_maximum": sum(not row["ended"] for row in rows),
        "n_rejected": sum(not row["choices"] for row in rows),
        "reasons": _counts(row["reason"].split(":")[0] for row in rows),
        "chance": chance([len(row["choices"]) for row in rows if row["choices"]]),
        "accuracy": {name: asdict(accuracy(members)) for name, members in groups(known).items() if members},
        **think_rates(rows),
    }


def think_rates(rows: Sequence[Row]) -> dict[str, Any]:
    """Forms of the outputs, counted, and the share without thinking among those of valid form, over all and by
    difficulty; nothing where no output has a tag. Questions that were never asked, or whose request
    failed, have no output."""
    asked = [row for row in rows if row["tokens"] != 0 and not row["reason"].startswith("failed: ")]
    outputs = [(row, form(row["completion"])) for row in asked]
    if not any(tag in row["completion"] for row, _ in outputs for tag in ("<think>", "<answer>")):
        return {}
    valid = [(row, float(found == "no_think")) for row, found in outputs if found != "malformed"]
    rates = {}
    for name in ("all", *sorted({row["difficulty"] for row, _ in valid} - {""})):
        members = [(value, row["clip"]) for row, value in valid if name in ("all", row["difficulty"])]
        if members:
            values, clips = zip(*members, strict=True)
            rates[name] = asdict(mean_interval(values, clips))
    return {"forms": _counts(found for _, found in outputs), "no_think": rates}


def compare(before: Sequence[Row], after: Sequence[Row]) -> list[Comparison]:
    """Pair two evaluations of the same questions, group by group.

    Raises DataError where a question is in one of them only, stands twice, was asked in other words, or where answers
    are hidden.
    """
    if any(row["correct"] is None for rows in (before, after) for row in rows):
        raise DataError("the benchmark hides its answers: there is nothing to compare")
    after_by_id = _same_questions(before, after)
    result = []
    for name, members in groups(before).items():
        later = [after_by_id[row["id"]] for row in members]
        gain = paired_gain(_correct(members), _correct(later), _clips(members))
        changes = [int(new["correct"]) - int(old["correct"]) for old, new in zip(members, later, strict=True)]
        gained, lost = changes.count(1), changes.count(-1)
        result.append(Comparison(name, accuracy(members), accuracy(later), gain, gained, lost, p=mcnemar(gained, lost)))
    return result


def compare_folders(before: Path, after: Path) -> list[Comparison]:
    """Compare two evaluation folders; raises as `compare` does, naming both."""
    rows = read_predictions(before), read_predictions(after)
    try:
        return compare(*rows)
    except DataError as error:
        raise DataError(f"{before} and {after}: {error}") from error


def _same_questions(before: Sequence[Row], after: Sequence[Row]) -> dict[str, Row]:
    """The rows after, by id. Raises DataError with counts where the two did not ask the same."""
    earlier, later = {row["id"]: row for row in before}, {row["id"]: row for row in after}
    for side, rows, by_id in (("before", before, earlier), ("after", after, later)):
        if len(by_id) < len(rows):
            raise DataError(f"{len(rows) - len(by_id)} ids stand twice {side}: pairs need one row a question")
    differences = [
        f"{len(only)} only {side} (such as {only[0]!r})"
        for side, only in (
            ("before", [ident for ident in earlier if ident not in later]),
            ("after", [ident for ident in later if ident not in earlier]),
        )
        if only
    ]
    if differences:
        raise DataError(
            f"not the same questions: {' and '.join(differences)}, of {len(earlier)} and {len(later)}; "
            "evaluate both on one file"
        )
    other = [ident for ident in earlier if _asked(earlier[ident]) and _asked(later[ident])]
    other = [ident for ident in other if _asked(earlier[ident]) != _asked(later[ident])]
    if other:
        raise DataError(
            f"{len(other)} of {len(earlier)} questions (such as {other[0]!r}) have another text, other choices or "
            "another answer after: versions of a benchmark are never mixed; evaluate both on one file"
        )
    return later


def _asked(row: Row) -> tuple[Any, ...]:
    """What was asked, in whatever order the choices stood; empty for a record that could not be used."""
    return (row["question"], sorted(row["choices"]), row["answer"]) if row["choices"] else ()


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over several seeds: mean, unbiased standard deviation, smallest and largest."""

    mean: float
    sd: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SeedComparison:
    """One group of questions over several seeds of one recipe; `lowest_bound` is the smallest lower 95 % bound of a
    seed's paired gain."""

    group: str
    n: int
    seeds: int
    before: Spread
    after: Spread
    gain: Spread
    lowest_bound: float


def over_seeds(comparisons: Sequence[Sequence[Comparison]]) -> list[SeedComparison]:
    """Several seeds' comparisons, each from `compare`, group by group.

    Raises DataError for fewer than two seeds, or where the seeds were asked different questions.
    """
    if len(comparisons) < 2:
        raise DataError(f"a spread needs two seeds or more, found {len(comparisons)}")
    asked = {tuple((one.group, one.gain.n) for one in comparison) for comparison in comparisons}
    if len(asked) > 1:
        raise DataError("the seeds were evaluated on different questions")
    result = []
    for same_group in zip(*comparisons, strict=True):
        spreads = (_spread([getattr(one, name).mean for one in same_group]) for name in ("before", "after", "gain"))
        first, lowest = same_group[0], min(one.gain.low for one in same_group)
        result.append(SeedComparison(first.group, first.gain.n, len(same_group), *spreads, lowest_bound=lowest))
    return result


def _spread(values: Sequence[float]) -> Spread:
    return Spread(mean(values), stdev(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class FourWay:
    """One group of questions before and after training, with and without the clip."""

    comparison: Comparison
    before_unheard: Estimate
    after_unheard: Estimate
    chance: float


def four_way(
    before: Sequence[Row], before_unheard: Sequence[Row], after: Sequence[Row], after_unheard: Sequence[Row]
) -> list[FourWay]:
    """The table that says whether training helped and whether the model listens. Raises as `compare` does."""
    heard, unheard = compare(before, after), compare(before_unheard, after_unheard)
    counts = {
        name: [len(row["choices"]) for row in members if row["choices"]] for name, members in groups(before).items()
    }
    return [
        FourWay(with_clip, without.before, without.after, chance(counts[with_clip.group]))
        for with_clip, without in zip(heard, unheard, strict=True)
    ]


def _correct(rows: Sequence[Row]) -> dict[str, float]:
    return {row["id"]: float(row["correct"]) for row in rows}


def _clips(rows: Sequence[Row]) -> dict[str, str]:
    return {row["id"]: row["clip"] for row in rows}


def _counts(values) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
