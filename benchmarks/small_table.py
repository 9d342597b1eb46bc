"""The tables of docs/small.md, from the run folders of recipes/small/run.py:

    python benchmarks/small_table.py runs/small            # print them
    python benchmarks/small_table.py runs/small --write    # put them into docs/small.md

A cell without a finished evaluation says so. Accuracies have 95 % intervals clustered by clip, and differences are
paired by question with the base of the same seed.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from digits_figures import (
    KINDS,
    account,
    gain,
    mean_tokens,
    readable_right,
    right,
    rows_of,
    seeds_of,
    without_thinking,
)
from figure_cells import EMPTY, HELPS, forced_cells, pct, pts, seed_name
from harken.results.evaluation_rows import Row
from harken.results.formatting import markdown
from harken.system.files import write_text
from marked_page import between_marks
from small_figures import BASE, ROWS, SETS, answers, gain_over, readable_gain_over
from small_findings import beside_table_iv, outcomes_table
from small_projection import projection_table
from small_training import THINKING, sampled_thinking_table, training_table

PAGE = Path(__file__).parents[1] / "docs" / "small.md"
THINKERS = {"thinker_start": "start that can do both", **THINKING}
BEGIN, END = "<!-- made by benchmarks/small_table.py -->", "<!-- end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/small.md")
    given = parser.parse_args()
    text = tables(given.runs)
    if given.write:
        write_text(PAGE, with_tables(PAGE.read_text(encoding="utf-8"), text))
    else:
        print(text)


def with_tables(page: str, text: str) -> str:
    return between_marks(page, BEGIN, f"\n{text}\n", END)


def tables(runs: Path) -> str:
    seeds = seeds_of(runs)
    times = [row for seed in seeds for row in account_rows(seed)] or [["", EMPTY, "", "", "", ""]]
    parts = {
        "What holds and what does not": outcomes_table(seeds),
        "Beside the paper's table IV": beside_table_iv(seeds),
        "Accuracy, %": by_set(seeds, "model", list(ROWS), accuracy_cell),
        "Answers that name no choice, %": by_set(seeds, "model", list(ROWS), unreadable_cell),
        "Right among the answers that name a choice, %": by_set(seeds, "model", list(ROWS), readable_right_cell),
        "Paired differences": by_set(seeds, "against the base, points", list(ROWS)[1:], gain_cell),
        "Paired differences where both models name a choice": by_set(
            seeds, "against the base, points", list(ROWS)[1:], readable_gain_cell
        ),
        "Alignment": markdown(
            ["seed", "base, by kind of question", "n", "with audio", "without audio", "difference, points"],
            [row for seed in seeds for row in alignment_rows(seed)],
        ),
        "What GRPO was rewarded for": training_table(seeds),
        "Thinking": thinking_table(seeds),
        "Thinking, all questions of a kind": whole_thinking_table(seeds),
        "Sampled completions that think": sampled_thinking_table(seeds),
        "Where the time went": markdown(
            ["seed", "step", "seconds on the clock", "seconds of a processor", "load", "commit"], times
        ),
        "On one GPU, by arithmetic": projection_table(seeds[0]),
    }
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in parts.items())


def by_set(seeds: Sequence[Path], what: str, rows: Sequence[str], cell: Callable[[Path, str, str], str]) -> str:
    """A table with a line for each seed and row, and a column for each set of questions."""
    lines = [[seed_name(seed), ROWS[row], *(cell(seed, row, kind) for kind in SETS)] for seed in seeds for row in rows]
    return markdown(["seed", what, *SETS.values()], lines)


def accuracy_cell(seed: Path, row: str, kind: str) -> str:
    rows = answers(seed, row, kind)
    return f"{pct(right(rows))} (n {len(rows)})" if rows else EMPTY


def unreadable_cell(seed: Path, row: str, kind: str) -> str:
    """The share of answers that count as wrong because they name no choice: a gain may be of form alone."""
    rows = answers(seed, row, kind)
    return EMPTY if not rows else f"{100 * sum(row['choice'] is None for row in rows) / len(rows):.1f}"


def readable_right_cell(seed: Path, row: str, kind: str) -> str:
    rows = answers(seed, row, kind)
    named = readable_right(rows)
    return EMPTY if not rows else "no such answer" if named is None else pct(named[1])


def gain_cell(seed: Path, row: str, kind: str) -> str:
    return pts(gain_over(seed, row, kind))


def readable_gain_cell(seed: Path, row: str, kind: str) -> str:
    if not answers(seed, row, kind) or not answers(seed, BASE, kind):
        return EMPTY
    gained = readable_gain_over(seed, row, kind)
    return "no such question" if gained is None else f"{pts(gained)} (n {gained.n})"


def thinking_table(seeds: Sequence[Path]) -> str:
    """No-think rates by difficulty, and the accuracy of each form alone, on spoken digits."""
    header = ["seed", "model", "questions", "difficulty", "no-think, %", "right, %", *HELPS]
    header += ["no-think without the clip, %"]
    rows = []
    for seed in seeds:
        for row, title in THINKERS.items():
            for kind in ("noise", "sums"):
                free, no_think, think, without_clip = (
                    rows_of(seed / row / "eval" / f"{kind}{way}") for way in ("", "-no_think", "-think", "-no-audio")
                )
                for difficulty in KINDS[kind]:
                    figures = [pct(without_thinking(free, difficulty)), pct(right(free, difficulty))]
                    figures += forced_cells(no_think, think, difficulty)
                    figures.append(pct(without_thinking(without_clip, difficulty)))
                    rows.append([seed_name(seed), title, kind, difficulty, *figures])
    return markdown(header, rows)


def whole_thinking_table(seeds: Sequence[Path]) -> str:
    """The accuracy of each model as it chooses, beside the accuracy reward's, and how long its answers are."""
    rows = []
    for seed in seeds:
        for row, title in THINKERS.items():
            for kind in ("noise", "sums"):
                free, rewarded = (rows_of(seed / each / "eval" / kind) for each in (row, "thinker_accuracy"))
                tokens = mean_tokens(free)
                against = "" if row == "thinker_accuracy" else pts(gain(rewarded, free))
                length = EMPTY if tokens is None else f"{tokens:.1f}"
                rows.append([seed_name(seed), title, kind, pct(right(free)), against, length])
    header = ["seed", "model", "questions", "right, %", "against the accuracy reward, points", "tokens an answer"]
    return markdown(header, rows)


def alignment_rows(seed: Path) -> Iterator[list[str]]:
    """Accuracy of the base with and without the clips, by task and difficulty."""
    without, with_audio = (answers(seed, BASE, kind) for kind in ("test-no-audio", "test"))
    if not without or not with_audio:
        yield [seed_name(seed), "all", "", EMPTY, EMPTY, EMPTY]
        return
    for name, members in groups(with_audio):
        ids = {row["id"] for row in members}
        others = [row for row in without if row["id"] in ids]
        figures = [pct(right(members)), pct(right(others)), pts(gain(others, members))]
        yield [seed_name(seed), name, str(len(members)), *figures]


def groups(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    yield "all", list(rows)
    for name in sorted({(row["task"], row["difficulty"]) for row in rows}):
        yield " ".join(name), [row for row in rows if (row["task"], row["difficulty"]) == name]


def account_rows(seed: Path) -> Iterator[list[str]]:
    """A line for each run of a step, and the sums."""
    rows = account(seed)
    if not rows:
        return
    for row in rows:
        stopped = "" if row["code"] == 0 else " (stopped)"
        yield [
            seed_name(seed),
            row["step"] + stopped,
            f"{row['seconds']:.0f}",
            f"{row['cpu_s']:.0f}",
            f"{row['load']}",
            row["commit"][:7],
        ]
    for title, members in sums(rows).items():
        total = (sum(row[key] for row in members) for key in ("seconds", "cpu_s"))
        yield [seed_name(seed), title, *(f"{value:.0f}" for value in total), "", ""]


def sums(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Title of a sum at the end of the account -> the lines that it adds up."""
    titles = {False: "sum: from nothing to table IV and its controls", True: "sum: rows of thinking"}
    return {title: [row for row in rows if is_of_thinking(row["step"]) == own] for own, title in titles.items()}


def is_of_thinking(step: str) -> bool:
    """Whether a step of the account belongs to the rows of thinking. The second word names the model, as in `sft
    thinker_start` and `evaluate start sums-think`."""
    words = step.split()
    return step == "digits" or (len(words) > 1 and words[1] in ("start", *THINKERS))


if __name__ == "__main__":
    main()
