"""The demo: questions about built-in sounds, a tiny model, and the whole job on them (`harken demo`).

The job writes the questions and a tiny random checkpoint of the real Qwen2.5-Omni thinker, fine-tunes the checkpoint on
the answers, trains it with GRPO, and evaluates it before and after GRPO on the same questions, with and without audio.
Each stage calls the function that the command of that name calls.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from harken.api.evaluation import evaluate
from harken.api.results import Evaluation
from harken.api.runs import Run
from harken.api.training import sft, train
from harken.config import Recipe, parse
from harken.data.demo_set import write_demo_set
from harken.models.tiny_checkpoint import question_texts, write_tiny
from harken.results.compare import four_way
from harken.results.comparison_tables import FOUR_WAY_HEADER, four_way_rows, four_way_tables
from harken.results.evaluation_rows import read_evaluation_rows
from harken.results.formatting import markdown
from harken.system.console import print_line
from harken.system.files import write_text
from harken.training.training_step import OnStep, TrainingStep

N_TRAIN, N_TEST = 2400, 480
SETTINGS: dict[str, Any] = {
    "sft": {
        "steps": 300,
        "prompts_per_step": 32,
        "stop_at_dev_accuracy": 0.5,
        "learning_rate": 5e-4,
        "schedule": "constant",
    },
    "grpo": {
        "steps": 600,
        "prompts_per_step": 16,
        "completions_per_prompt": 8,
        "learning_rate": 4e-4,
        "temperature": 1.0,
        "max_completion_tokens": 8,
    },
}
"""Sections of the demo's recipe."""
ANSWERS: Mapping[str, Any] = {"max_completion_tokens": 8, "batch_size": 96}
"""How the demo's evaluations decode."""


@dataclass(frozen=True, slots=True)
class Demo:
    """Questions and a model that need no download.

    Attributes:
        train, test: files of questions in MMAU's format, with their clips beside them.
        model: a tiny random checkpoint, which knows the words of the questions and nothing else.
        seed: of the sounds, the model and the samples.
    """

    train: Path
    test: Path
    model: Path
    seed: int

    def recipe(
        self,
        loop: Literal["sft", "grpo"],
        model: str | os.PathLike[str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Recipe:
        """The demo's recipe for `harken.sft` or `harken.train`.

        Args:
            model: the checkpoint or run to start from; default: the tiny random one.
            settings: sections over it, for example `{"grpo": {"steps": 50}}`.
        """
        values: dict[str, Any] = {
            "name": loop,
            "seed": self.seed,
            "model": {"path": os.fspath(self.model if model is None else model)},
            "data": {"train": [{"file": str(self.train)}], "dev_share": 0.1},
            "logging": {"every": 50, "evaluate_every": 2 if loop == "sft" else 50},
            **SETTINGS,
        }
        for section, keys in (settings or {}).items():
            values[section] = values.get(section, {}) | keys
        return parse(Recipe, values, "the demo's recipe")


def write_demo(
    out: str | os.PathLike[str], *, seed: int = 0, n_train: int | None = None, n_test: int | None = None
) -> Demo:
    """Write questions about built-in sounds and a tiny random Qwen2.5-Omni thinker, in seconds and without a network.

    Args:
        n_train, n_test: numbers of questions, multiples of 4; default: those of `harken demo`.
    """
    folder = Path(out)
    sizes = {"n_train": N_TRAIN if n_train is None else n_train, "n_test": N_TEST if n_test is None else n_test}
    write_demo_set(folder / "data", seed=seed, **sizes)
    demo = Demo(folder / "data" / "train.json", folder / "data" / "test.json", folder / "tiny", seed)
    write_tiny("qwen2_5_omni", demo.model, question_texts([demo.train]), seed)
    return demo


def run_demo(
    out: str | os.PathLike[str],
    seed: int = 0,
    *,
    on_step: Callable[[str, TrainingStep], None] | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Write data/, tiny/, sft/, grpo/ and results.md into `out`. It takes a few minutes on two CPU cores.

    Args:
        on_step: called with sft or grpo and each step.

    Returns the run folders ("runs"), the file of the table ("table") and the accuracy of each evaluation over all test
    questions ("accuracy"). Raises ConfigError when `out` holds a demo already.
    """
    started, folder = time.perf_counter(), Path(out)
    screen = Console() if console is None else console
    screen.print("[bold]1/4[/] built-in sounds and a tiny random Qwen2.5-Omni thinker")
    demo = write_demo(folder, seed=seed)
    screen.print("[bold]2/4[/] warm start on answers")
    start = sft(demo.recipe("sft"), folder / "sft", console=screen, on_step=_named("sft", on_step))
    screen.print("[bold]3/4[/] GRPO")
    end = train(demo.recipe("grpo", start.checkpoint), folder / "grpo", console=screen, on_step=_named("grpo", on_step))
    screen.print("[bold]4/4[/] the same test questions before and after, with and without audio")
    evaluations = [
        _evaluate(run, demo, name, audio)
        for run in (start, end)
        for name, audio in (("test", "real"), ("test-no-audio", "none"))
    ]
    table = folder / "results.md"
    took = f"harken demo, seed {seed}, {time.perf_counter() - started:.0f} s"
    _write_results([evaluation.folder for evaluation in evaluations], table, took, screen)
    print_line(screen, f"run folders: {start.folder} and {end.folder}; table: {table}")
    accuracy = {
        f"{evaluation.folder.parents[1].name} {evaluation.folder.name}": evaluation.summary["accuracy"]["all"]
        for evaluation in evaluations
    }
    return {"runs": [str(start.folder), str(end.folder)], "table": str(table), "accuracy": accuracy}


def _named(run: str, on_step: Callable[[str, TrainingStep], None] | None) -> OnStep | None:
    return None if on_step is None else lambda step: on_step(run, step)


def _evaluate(run: Run, demo: Demo, name: str, audio: str) -> Evaluation:
    out = run.folder / "eval" / name
    return evaluate(model=run.checkpoint, data=demo.test, audio=audio, settings=ANSWERS, out=out, reuse=False)


def _write_results(folders: list[Path], file: Path, title: str, console: Console) -> None:
    """Compare the four evaluations; print the table and write it as Markdown."""
    rows = four_way(*(read_evaluation_rows(folder) for folder in folders))
    for table in four_way_tables(title, rows):
        console.print(table)
    write_text(file, f"{title}\n\n{markdown(FOUR_WAY_HEADER, four_way_rows(rows))}\n")
