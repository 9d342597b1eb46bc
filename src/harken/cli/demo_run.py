"""The job that `harken demo` runs, from made sounds to a table of accuracy.

It writes a question set of synthetic sounds and a tiny random checkpoint of the real Qwen2.5-Omni thinker, fine-tunes
the checkpoint on the answers, trains it with GRPO, and evaluates it before and after GRPO on the same questions, with
and without audio. Each stage calls the function that the command of that name calls.
"""

import time
from pathlib import Path
from typing import Any

from rich.console import Console

from harken.config import EvaluationRecipe, Recipe, parse
from harken.data.demo_set import write_demo_set
from harken.evaluation.evaluate import evaluate
from harken.grpo.loop import train
from harken.models.tiny_checkpoint import question_texts, write_tiny
from harken.results.compare import four_way
from harken.results.comparison_tables import FOUR_WAY_HEADER, four_way_rows, four_way_tables
from harken.results.evaluation_rows import read_evaluation_rows
from harken.results.formatting import markdown
from harken.system.console import print_line
from harken.system.files import write_text
from harken.training.progress_table import OnRow
from harken.training.sft import sft

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


def run_demo(out: Path, seed: int, console: Console, on_row: OnRow | None = None) -> dict[str, Any]:
    """Write data/, tiny/, sft/, grpo/ and results.md into `out`.

    Args:
        on_row: called with the metric row of each logged step, to which "run" adds sft or grpo.

    Returns the run folders ("runs"), the file of the table ("table") and the accuracy of each evaluation over all test
    questions ("accuracy"). Raises ConfigError when `out` holds a demo already.
    """
    started = time.perf_counter()
    data, runs = out / "data", {"sft": out / "sft", "grpo": out / "grpo"}
    console.print("[bold]1/4[/] built-in sounds and a tiny random Qwen2.5-Omni thinker")
    write_demo_set(data, seed=seed, n_train=N_TRAIN, n_test=N_TEST)
    write_tiny("qwen2_5_omni", out / "tiny", question_texts([data / "train.json"]), seed)
    console.print("[bold]2/4[/] warm start on answers")
    start = sft(_recipe("sft", out / "tiny", data, seed), runs["sft"], console, on_row=_naming_run("sft", on_row))
    console.print("[bold]3/4[/] GRPO")
    end = train(_recipe("grpo", start, data, seed), runs["grpo"], console, on_row=_naming_run("grpo", on_row))
    console.print("[bold]4/4[/] the same test questions before and after, with and without audio")
    folders, accuracy = [], {}
    for run, checkpoint in (("sft", start), ("grpo", end)):
        for name, audio in (("test", "real"), ("test-no-audio", "none")):
            folder = runs[run] / "eval" / name
            summary = _evaluate(checkpoint, data / "test.json", audio, folder)
            folders.append(folder)
            accuracy[f"{run} {name}"] = summary["accuracy"]["all"]
    table = out / "results.md"
    _write_results(folders, table, f"harken demo, seed {seed}, {time.perf_counter() - started:.0f} s", console)
    print_line(console, f"run folders: {runs['sft']} and {runs['grpo']}; table: {table}")
    return {"runs": [str(run) for run in runs.values()], "table": str(table), "accuracy": accuracy}


def _naming_run(run: str, on_row: OnRow | None) -> OnRow | None:
    return None if on_row is None else lambda row: on_row({"run": run, **row})


def _recipe(name: str, model: Path, data: Path, seed: int) -> Recipe:
    values = {
        "name": name,
        "seed": seed,
        "model": {"path": str(model)},
        "data": {"train": [{"file": str(data / "train.json")}], "dev_share": 0.1},
        "logging": {"every": 50, "evaluate_every": 2 if name == "sft" else 50},
        **SETTINGS,
    }
    return parse(Recipe, values, "the demo's recipe")


def _evaluate(checkpoint: Path, file: Path, audio: str, out: Path) -> dict[str, Any]:
    values = {
        "model": str(checkpoint),
        "data": {"file": file, "audio": audio},
        "max_completion_tokens": 8,
        "batch_size": 96,
    }
    return evaluate(EvaluationRecipe.model_validate(values), out)


def _write_results(folders: list[Path], file: Path, title: str, console: Console) -> None:
    """Compare the four evaluations; print the table and write it as Markdown."""
    rows = four_way(*(read_evaluation_rows(folder) for folder in folders))
    for table in four_way_tables(title, rows):
        console.print(table)
    write_text(file, f"{title}\n\n{markdown(FOUR_WAY_HEADER, four_way_rows(rows))}\n")
