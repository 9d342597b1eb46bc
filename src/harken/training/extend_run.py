"""Gives a run more steps, and says what that means for its learning rate."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harken.config import GrpoConfig, Recipe, SftConfig, as_yaml, load_run_recipe
from harken.errors import ConfigError
from harken.system.files import write_json, write_text
from harken.system.run_files import COUNTS, read_object
from harken.system.writer_lock import WriterLock
from harken.training.run_folder import RunFolder, step_of
from harken.training.run_inputs import Loop, append_history, read_inputs
from harken.training.schedule import learning_rate_at


def extend_run(out: Path, steps: int) -> tuple[Recipe, Loop, str]:
    """Write the new number of steps into the folder of a run. Training then goes on as a resumed run.

    Returns (recipe, loop, a sentence on the learning rate).

    Raises ConfigError where `out` is no run folder, or the run has as many steps already; InUseError where it runs.
    """
    with WriterLock.of_folder(out):
        run = RunFolder.open(out)
        recipe, inputs = load_run_recipe(out), read_inputs(out)
        loop = inputs["loop"] if inputs is not None else _loop_of(run)
        planned = _planned_steps(run, recipe, loop)
        if steps <= planned:
            raise ConfigError(f"--steps {steps}: {out} has {planned} steps already; give the new number of all steps")
        extended = recipe.model_copy(update={loop: getattr(recipe, loop).model_copy(update={"steps": steps})})
        done = max((step_of(folder) for folder in run.checkpoints()), default=0)
        schedule = _schedule(getattr(recipe, loop), done, planned, steps)
        append_history(out, f"extended from {planned} to {steps} steps", [])
        if inputs is not None:  # before config.yaml: a run that is killed in between is refused and names the key
            write_json(out / "inputs.json", {**inputs, "recipe": _with_steps(inputs["recipe"], loop, steps)})
        write_text(out / "config.yaml", as_yaml(extended))
    return extended, loop, schedule


def _with_steps(recipe: Mapping[str, Any], loop: Loop, steps: int) -> dict[str, Any]:
    return {**recipe, loop: {**recipe[loop], "steps": steps}}


def _loop_of(run: RunFolder) -> Loop:
    """Which loop wrote a run of an older harken, by its metrics."""
    return "sft" if any("loss/sft" in row for row in run.metric_rows()) else "grpo"


def _planned_steps(run: RunFolder, recipe: Recipe, loop: Loop) -> int:
    if loop == "grpo":
        return recipe.grpo.steps
    if recipe.sft.steps is not None:
        return recipe.sft.steps
    if not run.data.exists():
        raise ConfigError(f"{run.data}: no such file, so the number of questions is unknown; resume the run once first")
    questions = read_object(run.data, COUNTS, "resume the run once first")["trained_on"]
    return math.ceil(recipe.sft.epochs * questions / recipe.sft.prompts_per_step)


def _schedule(settings: GrpoConfig | SftConfig, done: int, planned: int, steps: int) -> str:
    """A sentence with the learning rate at the last step of the checkpoint and at the next step."""

    def rate(step: int, last_step: int) -> float:
        return learning_rate_at(step, last_step, settings.learning_rate, settings.schedule, settings.warmup_share)

    before = f"{rate(done - 1, planned):.3g} at step {done}, " if done else ""
    return (
        f"learning rate: {before}{rate(done, steps):.3g} at step {done + 1}, then {settings.schedule} over all {steps} "
        f"steps, to {rate(steps - 1, steps):.3g} at the last. A run that was planned with {steps} steps would have had "
        f"other rates in its first {done}"
    )
