"""Spoken digits, from nothing to the cells of the tables in docs/results.md:

    python recipes/digits/run.py --seed 0 --out runs/digits
    python benchmarks/digits_table.py runs/digits --write

The data are written from realaqa's recordings (digit_data.py). A tiny random model is warmed up on answers, and trained
from there by GRPO and, with as many steps, by SFT. Another start can answer with and without thinking; from it the
thinking rows are trained. Every model answers the test questions of its kind with five kinds of audio, in each form
alone and sampled, and the development and unseen-speaker questions.

Each step has a folder of its own, is skipped where its result is there, and goes on where it was stopped.
OUT/seedN/account.jsonl gets a line for each step with its seconds on the clock and of the processor.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digit_data import write_data, write_faint
from digit_rows import ROWS, STARTS, Row, Until

import harken
from harken.config import load_run_recipe
from harken.models.tiny_checkpoint import question_texts, write_tiny
from harken.system.step_account import step_account
from harken.training.extend_run import extend_run

HERE = Path(__file__).parent
TINY = "qwen2_5_omni"


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do, and the file that is there when it is done."""

    name: str
    done: Path
    do: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Questions that a model answers.

    Attributes:
        kind, part: of the questions, as in digit_data.py.
        way: "" as the model chooses, sampled, or the form that every answer is forced into.
        out: the folder of the answers.
        listening: with five kinds of audio, each in a folder of its own below `out`.
    """

    kind: str
    part: str
    way: str
    out: Path
    listening: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The folders and settings that every step of one seed uses.

    Attributes:
        out: holds the data of all seeds and a folder for each seed.
        realaqa: the folder of realaqa, whose recordings are used.
        changes: keys of every training recipe that are set to other values.
        limit: asks only the first so many questions of every evaluation.
        dev_only: asks the development questions alone, to choose settings by.
    """

    out: Path
    realaqa: Path
    seed: int
    changes: dict[str, Any]
    limit: int | None = None
    dev_only: bool = False

    @property
    def run(self) -> Path:
        return self.out / f"seed{self.seed}"

    def questions(self, name: str) -> Path:
        return self.out / "data" / f"{name}.jsonl"

    def steps(self, rows: Sequence[str]) -> Iterator[Step]:
        """The steps of these rows and of the starts that they need."""
        yield Step("data", self.questions("start"), lambda: write_data(self.realaqa, self.out / "data"))
        yield Step("faint_data", self.questions("faint_speaker"), lambda: write_faint(self.realaqa, self.out / "data"))
        yield Step("tiny", self.run / "tiny" / "config.json", self._write_tiny)
        needed = {start for row in rows for start in _starts(row)}
        for name in ROWS:
            if name in needed or name in rows:
                yield Step(f"train {name}", self.run / name / "done", lambda name=name: self._train(name))
                if ROWS[name].kinds:
                    last = list(self._evaluations(name))[-1].out / "summary.json"
                    yield Step(f"evaluate {name}", last, lambda name=name: self._evaluate(name))

    def _write_tiny(self) -> None:
        texts = question_texts([self.questions("text"), self.questions("start"), HERE / "prompt.txt"])
        write_tiny(TINY, self.run / "tiny", texts, self.seed)

    def _train(self, name: str) -> None:
        row, out = ROWS[name], self.run / name
        loop = harken.sft if row.loop == "sft" else harken.train
        if (out / "config.yaml").exists():
            loop(out=out, resume=True)
        else:
            settings: dict[str, Any] = {
                "seed": self.seed,
                "model.path": str(self.run / row.start),
                "data.train.0.file": str(self.questions(row.data)),
                **({"prompt.prompt_file": str(HERE / "prompt.txt")} if row.has_tags else {}),
                **self.changes,
            }
            loop(HERE / f"{row.recipe}.yaml", out, settings=settings)
        if row.until is not None and "sft.steps" not in self.changes:
            self._train_on(row, row.until, out)
        (out / "done").touch()

    def _train_on(self, row: Row, until: Until, out: Path) -> None:
        """More steps, until the development questions are answered well enough. The rate is constant, so that a run of
        as many steps from the beginning would end in the same place."""
        while (steps := load_run_recipe(out).sft.steps or 0) < until.most:
            dev = harken.evaluate(
                **self._evaluation_arguments(row, until.kind, "dev"), model=out, out=out / "until" / f"step{steps}"
            )
            if dev.by_group[until.group].mean >= until.accuracy:
                return
            extend_run(out, min(steps + until.every, until.most))
            harken.sft(out=out, resume=True)

    def _evaluations(self, name: str) -> Iterator["Evaluation"]:
        """Greedy answers as the model chooses; of rows with tags also in each form alone, and sampled."""
        row, out = ROWS[name], self.run / name / "eval"
        reported = "dev" if self.dev_only else "test"
        for kind in row.kinds:
            if not self.dev_only:
                yield Evaluation(kind, "test", "", out / f"{kind}-test", listening=True)
            for part in ("dev",) if self.dev_only else ("dev", "speaker"):
                yield Evaluation(kind, part, "", out / f"{kind}-{part}")
            for way in ("think", "no_think", "sampled") if row.has_tags else ():
                yield Evaluation(kind, reported, way, out / f"{kind}-{reported}-{way}")

    def _evaluate(self, name: str) -> None:
        model = harken.load_model(self.run / name)
        for each in self._evaluations(name):
            evaluate = harken.evaluate_listening if each.listening else harken.evaluate
            arguments = self._evaluation_arguments(ROWS[name], each.kind, each.part, each.way)
            evaluate(**arguments, model=model, out=each.out)

    def _evaluation_arguments(self, row: Row, kind: str, part: str, way: str = "") -> dict[str, Any]:
        """The arguments of `harken.evaluate` for the questions of a kind and part.

        Args:
            way: "" as the model chooses, sampled, or the form that every answer is forced into.
        """
        settings: dict[str, Any] = {"batch_size": 100, "limit": self.limit, "seed": self.seed}
        if row.has_tags:
            settings |= {"prompt.style": "adaptive", "prompt.prompt_file": str(HERE / "prompt.txt")}
        if way:
            settings |= {"temperature": 1.0} if way == "sampled" else {"force": way}
        return {
            "benchmark": "manifest",
            "data": self.questions(f"{kind}_{part}"),
            "max_completion_tokens": 12 if row.has_tags else 4,
            "settings": settings,
        }


def _starts(name: str) -> Iterator[str]:
    start = ROWS[name].start
    if start in ROWS:
        yield from _starts(start)
        yield start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/digits"))
    parser.add_argument("--realaqa", type=Path, default=Path("../shared/realaqa"))
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS), help="trained rows; default: all")
    parser.add_argument("--set", nargs="*", default=[], dest="changes", help="KEY=VALUE of every training run")
    parser.add_argument("--limit", type=int, help="ask only the first so many questions of every evaluation")
    parser.add_argument("--dev", action="store_true", help="ask the development questions alone, to choose settings by")
    parser.add_argument("--dry-run", action="store_true", help="print the steps that are left")
    given = parser.parse_args()
    changes = {key: json.loads(value) for key, _, value in (change.partition("=") for change in given.changes)}
    plan = Plan(given.out, given.realaqa, given.seed, changes, given.limit, given.dev)
    for step in plan.steps(given.rows or STARTS):
        if step.done.exists():
            continue
        if given.dry_run:
            print(step.name)
        else:
            run(step, plan.run / "account.jsonl")


def run(step: Step, account: Path) -> None:
    print(f"== {step.name}", flush=True)
    with step_account(step.name, account):
        step.do()


if __name__ == "__main__":
    main()
