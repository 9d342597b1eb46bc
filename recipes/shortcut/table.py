"""The tables of recipes/shortcut: python recipes/shortcut/table.py runs/shortcut

Prints Markdown for docs/results.md. First, of each seed: accuracy with the clip where the code word lies and where it
is right, and the audio gain (with the clip minus without it, paired by question). Then the differences between the
arms, paired by question, of each seed and over all of them. Last, what the groups of the training steps taught: how
many had no difference, and what share of the advantages came from questions whose word lies. Intervals are of 95 %,
clustered by clip; they are over questions and not over runs.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from harken.results.compare import compare_folders
from harken.results.evaluation_rows import read_evaluation_rows
from harken.results.formatting import markdown, percent, points
from harken.stats import Estimate, paired_gain

ARMS = {
    "plain": "accuracy alone",
    "listening": "with the listening reward",
    "scaled": "accuracy alone, advantages divided by the deviation",
}
RUNS = {"sounds": "SFT on the clips", "start": "then SFT on the text: the start", **ARMS}
PAIRS = (("plain", "listening"), ("scaled", "listening"), ("start", "plain"), ("start", "listening"))
"""(before, after): differences are after minus before."""
PARTS = 4
"""Equal parts of the training steps in the last table."""


def finished(runs: Path) -> list[Path]:
    """The folders of the seeds whose evaluations are all there."""
    last = Path(list(RUNS)[-1]) / "eval" / "right-none" / "summary.json"
    return [seed for seed in sorted(runs.glob("seed*")) if (seed / last).exists()]


def accuracy(folder: Path) -> str:
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return percent(Estimate(**summary["accuracy"]["all"]))


def audio_gain(folder: Path, test: str) -> str:
    return points(compare_folders(folder / f"{test}-none", folder / f"{test}-real")[0].gain)


def results(seeds: Sequence[Path]) -> str:
    header = ["seed", "model", "word lies, %", "word is right, %", "audio gain, word lies", "audio gain, word is right"]
    rows = []
    for seed in seeds:
        for name, title in RUNS.items():
            folder = seed / name / "eval"
            cells = [accuracy(folder / f"{test}-real") for test in ("lie", "right")]
            cells += [audio_gain(folder, test) for test in ("lie", "right")]
            rows.append([seed.name.removeprefix("seed"), title, *cells])
    return markdown(header, rows)


def pooled(seeds: Sequence[Path], before: str, after: str, test: str) -> Estimate:
    """After minus before over the questions of all seeds. The built-in clips of two seeds are different ones;
    recordings are the same, so that all questions about one are one cluster."""
    earlier: dict[str, float] = {}
    later: dict[str, float] = {}
    clips: dict[str, Hashable] = {}
    for seed in seeds:
        own_clips = (seed / "data" / "audio").is_dir()
        for values, name in ((earlier, before), (later, after)):
            for row in read_evaluation_rows(seed / name / "eval" / f"{test}-real"):
                item = f"{seed.name} {row['id']}"
                values[item] = float(bool(row["correct"]))
                clips[item] = (seed.name if own_clips else "", row["clip"])
    return paired_gain(earlier, later, clips)


def differences(seeds: Sequence[Path]) -> str:
    header = [
        "difference",
        "test word",
        *(seed.name.replace("seed", "seed ") for seed in seeds),
        "all seeds",
        "n",
        "clips",
    ]
    rows = []
    for before, after in PAIRS:
        for test, word in (("lie", "lies"), ("right", "is right")):
            own = [pooled([seed], before, after, test) for seed in seeds]
            whole = pooled(seeds, before, after, test)
            cells = [f"{100 * gain.mean:+.1f}" for gain in own]
            rows.append([f"{after} - {before}", word, *cells, points(whole), str(whole.n), str(whole.clusters)])
    return markdown(header, rows)


def groups_of(run: Path) -> list[list[list[dict[str, Any]]]]:
    """The rows of the sampled completions: [step][group][completion]."""
    steps = []
    for file in sorted((run / "rollouts").glob("step_*.jsonl")):
        groups = defaultdict(list)
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            groups[row["id"]].append(row)
        steps.append(list(groups.values()))
    return steps


def share(values: Sequence[float]) -> str:
    return f"{100 * sum(values) / len(values):.0f}" if values else "-"


def taught(seeds: Sequence[Path]) -> str:
    """A table with a row for each quarter of the steps: how many groups gave a learning signal, over all seeds."""
    header = ["reward", "steps", "right, %: lies", "is right", "no difference, %: lies", "is right"]
    header += ["advantages from lies, %", "listening of right answers: lies", "is right"]
    rows = []
    for name in ARMS:
        runs = [groups_of(seed / name) for seed in seeds]
        length = len(runs[0]) // PARTS
        for part in range(PARTS):
            groups = [group for run in runs for step in run[part * length : (part + 1) * length] for group in step]
            rows.append([ARMS[name], f"{part * length + 1} to {(part + 1) * length}", *taught_by(groups)])
    return markdown(header, rows)


def taught_by(groups: Sequence[Sequence[dict[str, Any]]]) -> list[str]:
    """The cells of `taught` for these groups."""
    kinds = [[group for group in groups if group[0]["difficulty"] == kind] for kind in ("lie", "right")]
    right = [share([float(row["correct"]) for group in own for row in group]) for own in kinds]
    equal = [share([float(len({row["correct"] for row in group}) == 1) for group in own]) for own in kinds]
    sizes = [sum(abs(row["advantage"]) for group in own for row in group) for own in kinds]
    listening = [
        [
            row["rewards"]["listening"]
            for group in own
            for row in group
            if row["correct"] and "listening" in row["rewards"]
        ]
        for own in kinds
    ]
    means = [f"{sum(values) / len(values):.2f}" if values else "-" for values in listening]
    of_lies = f"{100 * sizes[0] / sum(sizes):.0f}" if sum(sizes) else "-"
    return [*right, *equal, of_lies, *means]


if __name__ == "__main__":
    folders = finished(Path(sys.argv[1]))
    sys.stdout.write("\n\n".join([results(folders), differences(folders), taught(folders)]) + "\n")
