"""The tables of docs/small.md, from the run folders of recipes/small/run.py:

    python benchmarks/small_table.py runs/small            # print them
    python benchmarks/small_table.py runs/small --write    # put them into docs/small.md

A cell without a finished evaluation says so. Accuracies have 95 % intervals clustered by clip, and differences are
paired by question with the base of the same seed.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from digits_figures import account, right, seeds_of, without_thinking
from digits_figures import gain as paired_gain
from digits_table import EMPTY, KINDS, forced_cells, pct, pts, seed_name
from harken.results.compare import compare
from harken.results.evaluation_rows import Row, read_evaluation_rows
from harken.results.formatting import markdown, percent, points
from harken.results.summary import accuracy
from harken.system.files import write_text
from marked_page import between_marks

PAGE = Path(__file__).parents[1] / "docs" / "small.md"
ROWS = {
    "align": "base: aligned, no GRPO",
    "audio": "GRPO on realaqa, with audio",
    "no_audio": "GRPO on realaqa, without audio",
    "arc": "GRPO on ARC-Easy, text",
    "sft_audio": "control: SFT on realaqa, with audio",
    "sft_arc": "control: SFT on ARC-Easy, text",
}
THINKERS = {
    "thinker_start": "start that can do both",
    "thinker_accuracy": "accuracy reward",
    "thinker_atar": "ATAR",
    "thinker_judged": "ATAR with a judge",
}
SETS = {
    "test": "realaqa, with audio",
    "test-no-audio": "realaqa, without",
    "arc": "ARC-Easy",
    "mmau-original": "MMAU original, without audio",
    "mmau-v05": "MMAU v05.15.25, without audio",
}
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
    accuracies = markdown(
        ["seed", "model", *SETS.values()],
        [[seed_name(seed), ROWS[row], *(cell(seed / row, kind) for kind in SETS)] for seed in seeds for row in ROWS],
    )
    unreadable = markdown(
        ["seed", "model", *SETS.values()],
        [[seed_name(seed), ROWS[row], *(unread(seed / row, kind) for kind in SETS)] for seed in seeds for row in ROWS],
    )
    gains = markdown(
        ["seed", "against the base, points", *SETS.values()],
        [
            [seed_name(seed), ROWS[row], *(gain(seed, row, kind) for kind in SETS)]
            for seed in seeds
            for row in list(ROWS)[1:]
        ],
    )
    speech = markdown(
        ["seed", "base, by kind of question", "n", "with audio", "without audio", "difference, points"],
        [row for seed in seeds for row in alignment_rows(seed)],
    )
    times = markdown(
        ["seed", "step", "seconds on the clock", "seconds of a processor", "load", "commit"],
        [row for seed in seeds for row in account_rows(seed)] or [["", EMPTY, "", "", "", ""]],
    )
    parts = {
        "Accuracy, %": accuracies,
        "Answers that name no choice, %": unreadable,
        "Paired differences": gains,
        "Alignment": speech,
        "Thinking": thinking_table(seeds),
        "Where the time went": times,
    }
    return "\n\n".join(f"### {title}\n\n{table}" for title, table in parts.items())


def thinking_table(seeds: Sequence[Path]) -> str:
    """No-think rates by difficulty, and the accuracy of each form alone, on spoken digits."""
    header = ["seed", "model", "questions", "difficulty", "no-think, %", "right, %", "without thinking, p"]
    header += [
        "with it, q",
        "thinking helps by",
        "threshold (1 + q) / 3",
        "the rule says",
        "no-think without the clip, %",
    ]
    rows = []
    for seed in seeds:
        for row, title in THINKERS.items():
            for kind in ("noise", "sums"):
                free, no_think, think, without_clip = (
                    rows_of(seed / row, f"{kind}{way}") for way in ("", "-no_think", "-think", "-no-audio")
                )
                for difficulty in KINDS[kind]:
                    figures = [pct(without_thinking(free, difficulty)), pct(right(free, difficulty))]
                    figures += forced_cells(no_think, think, difficulty)
                    figures.append(pct(without_thinking(without_clip, difficulty)))
                    rows.append([seed_name(seed), title, kind, difficulty, *figures])
    return markdown(header, rows)


def is_there(folder: Path) -> bool:
    return (folder / "summary.json").is_file()


def rows_of(run: Path, kind: str) -> list[Row]:
    """The rows of an evaluation; [] where it is not there."""
    folder = run / "eval" / kind
    return list(read_evaluation_rows(folder)) if is_there(folder) else []


def cell(run: Path, kind: str) -> str:
    rows = rows_of(run, kind)
    return f"{percent(accuracy(rows))} (n {len(rows)})" if rows else EMPTY


def unread(run: Path, kind: str) -> str:
    """The share of answers that count as wrong because they name no choice: a gain may be of form alone."""
    rows = rows_of(run, kind)
    return EMPTY if not rows else f"{100 * sum(row['choice'] is None for row in rows) / len(rows):.1f}"


def gain(seed: Path, row: str, kind: str) -> str:
    return pts(paired_gain(rows_of(seed / "align", kind), rows_of(seed / row, kind)))


def alignment_rows(seed: Path) -> Iterator[list[str]]:
    """Accuracy of the base with and without the clips, by task and difficulty."""
    folders = [seed / "align" / "eval" / kind for kind in ("test-no-audio", "test")]
    if not all(map(is_there, folders)):
        yield [seed_name(seed), "all", "", EMPTY, EMPTY, EMPTY]
        return
    without, with_audio = map(read_evaluation_rows, folders)
    for name, members in groups(with_audio):
        ids = {row["id"] for row in members}
        (whole,) = compare([row for row in without if row["id"] in ids], members, whole_only=True)
        figures = [percent(whole.after), percent(whole.before), points(whole.gain)]
        yield [seed_name(seed), name, str(len(members)), *figures]


def groups(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    yield "all", list(rows)
    for name in sorted({(row["task"], row["difficulty"]) for row in rows}):
        yield " ".join(name), [row for row in rows if (row["task"], row["difficulty"]) == name]


def account_rows(seed: Path) -> Iterator[list[str]]:
    """A line for each run of a step, and the sum."""
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
    total = (sum(row[key] for row in rows) for key in ("seconds", "cpu_s"))
    yield [seed_name(seed), "sum", *(f"{value:.0f}" for value in total), "", ""]


if __name__ == "__main__":
    main()
