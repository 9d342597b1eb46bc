"""The main job on built-in sounds, start to end: what `harken demo` runs.

Takes a folder and a seed. Writes a question set made by code and a tiny random checkpoint of the real Qwen2.5-Omni
thinker, warms it up on answers, trains it with GRPO, evaluates both with and without audio on the same questions,
prints one table. Every stage is the one the other commands run; nothing here knows how to train.
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
        **{"steps": 300, "prompts_per_step": 32, "prompts_per_micro_batch": 32, "stop_at_dev_accuracy": 0.5},
        **{"learning_rate": 5e-4, "schedule": "constant"},
    },
    "grpo": {
        **{"steps": 600, "prompts_per_step": 16, "completions_per_prompt": 8, "prompts_per_micro_batch": 16},
        **{"learning_rate": 4e-4, "temperature": 1.0, "max_completion_tokens": 8},
    },
}


def run_demo(out: Path, seed: int, console: Console, on_row: OnRow | None = None) -> dict[str, Any]:
    """Everything under `out`: data/, tiny/, sft/, grpo/, results.md. Returns where the runs and the table are, and the
    accuracy of each evaluation over all test questions.

    Args:
        on_row: called with each logged step's metric row and its `run`, sft or grpo.

    Raises ConfigError where `out` holds a demo already.
    """
    started = time.perf_counter()
    console.print("[bold]1/4[/] built-in sounds and a tiny random Qwen2.5-Omni thinker")
    write_demo_set(out / "data", seed=seed, n_train=N_TRAIN, n_test=N_TEST)
    write_tiny("qwen2_5_omni", out / "tiny", question_texts([out / "data" / "train.json"]), seed)
    console.print("[bold]2/4[/] warm start on answers")
    start = sft(demo_recipe("sft", out / "tiny", out, seed), out / "sft", console, on_row=_of("sft", on_row))
    console.print("[bold]3/4[/] GRPO")
    end = train(demo_recipe("grpo", start, out, seed), out / "grpo", console, on_row=_of("grpo", on_row))
    console.print("[bold]4/4[/] the same test questions before and after, with and without audio")
    folders, accuracy = [], {}
    for run, checkpoint in (("sft", start), ("grpo", end)):
        for name, audio in (("test", "real"), ("test-no-audio", "none")):
            folders.append(out / run / "eval" / name)
            summary = _evaluate(checkpoint, out / "data" / "test.json", audio, folders[-1])
            accuracy[f"{run} {name}"] = summary["accuracy"]["all"]
    rows = four_way(*(read_evaluation_rows(folder) for folder in folders))
    title = f"harken demo, seed {seed}, {time.perf_counter() - started:.0f} s"
    for table in four_way_tables(title, rows):
        console.print(table)
    write_text(out / "results.md", f"{title}\n\n{markdown(FOUR_WAY_HEADER, four_way_rows(rows))}\n")
    print_line(console, f"run folders: {out}/sft and {out}/grpo; table: {out}/results.md")
    return {"runs": [str(out / "sft"), str(out / "grpo")], "table": str(out / "results.md"), "accuracy": accuracy}


def _of(run: str, on_row: OnRow | None) -> OnRow | None:
    return None if on_row is None else lambda row: on_row({"run": run, **row})


def demo_recipe(name: str, model: Path, out: Path, seed: int) -> Recipe:
    values = {
        "name": name,
        "seed": seed,
        "model": {"path": str(model)},
        "data": {"train": [{"file": str(out / "data" / "train.json")}], "dev_share": 0.1},
        "logging": {"every": 50, "evaluate_every": 2 if name == "sft" else 50},
        **SETTINGS,
    }
    return parse(Recipe, values, "the demo's recipe")


def _evaluate(checkpoint: Path, file: Path, audio: str, out: Path) -> dict[str, Any]:
    data = {"file": file, "audio": audio}
    values = {"model": str(checkpoint), "data": data, "max_completion_tokens": 8, "batch_size": 96}
    return evaluate(EvaluationRecipe.model_validate(values), out)
