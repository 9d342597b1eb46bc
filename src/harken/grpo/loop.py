"""GRPO on audio questions: the training loop. `step.py` has what happens in each of its steps."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from harken.config import GrpoConfig, Recipe
from harken.grpo.open_engine import open_engine
from harken.grpo.rewarding import open_rewarder
from harken.grpo.step import GrpoStep, StepResult
from harken.models.audio_lm import ModelInput
from harken.system.console import print_warning
from harken.system.distributed_run import distributed_run
from harken.system.stop_signals import WorkAbandonedError, defer_stop
from harken.training.open_session import open_session
from harken.training.progress_columns import grpo_columns
from harken.training.run_folder import how_to_resume
from harken.training.schedule import is_due
from harken.training.session import Session
from harken.training.training_step import OnStep
from harken.types import Question


@distributed_run(how_to_resume)
def train(
    recipe: Recipe,
    out: Path,
    console: Console,
    *,
    resume: bool = False,
    accept_changes: bool = False,
    on_step: OnStep | None = None,
) -> Path:
    """Run the `grpo` section of a recipe. Returns the folder of the last checkpoint.

    Args:
        out: the run folder.
        resume: go on with the run in `out`. On a CPU the result is that of an uninterrupted run, bit for bit.
        accept_changes: go on although data, recipe, base checkpoint or versions are not those that the run began with.
        on_step: called after each step; returning True ends the run there.

    Raises HarkenError before the first step where the recipe, the data or the checkpoint cannot be used.
    """
    settings = recipe.grpo
    session = open_session(recipe, settings, out, console, resume=resume, accept_changes=accept_changes)
    steps = range(session.steps_done + 1, settings.steps + 1)
    questions_of = {step: session.questions_of(step, settings.prompts_per_step, settings.steps) for step in steps}
    columns = grpo_columns(recipe.reward.names, development=bool(session.development), probe=session.probe is not None)
    with (
        defer_stop(),
        open_rewarder(recipe, session.run.judge, session.ranks) as rewarder,
        contextlib.closing(session.inputs.prefetch(questions_of.values())) as inputs,
        session.progress_table("grpo", columns, settings.steps) as table,
    ):
        grpo_step = GrpoStep(session, settings, rewarder, open_engine(session, settings))
        for step in steps:
            try:
                result = _run_step(step, session, settings, grpo_step, questions_of[step], inputs)
            except WorkAbandonedError:
                session.abandon_step(step)
            metrics = result.metrics
            metrics |= session.measure_development(step, settings.steps)
            metrics |= session.measure_probe(step, settings.steps)
            stop = session.hand_to_caller(on_step, step, settings.steps, metrics, result.rows)
            if session.ranks.is_main and (stop or is_due(step, recipe.logging.every, settings.steps)):
                session.run.write_rollouts(step, result.rows)
                session.track_completions(step, settings.steps, result.rows)
            session.end_step(step, settings.steps, metrics, stop=stop)
            table.advance(step, metrics, stop=stop)
            if stop:
                break
    return session.close()


def _run_step(
    step: int,
    session: Session,
    settings: GrpoConfig,
    grpo_step: GrpoStep,
    questions: Sequence[Question],
    inputs: Iterator[Sequence[ModelInput]],
) -> StepResult:
    if step == 1 and session.recipe.memory.reference == "int8" and session.reference is not None:
        _warn_of_int8_error(session, settings, grpo_step)
    return grpo_step.run(step, questions, inputs)


def _warn_of_int8_error(session: Session, settings: GrpoConfig, grpo_step: GrpoStep) -> None:
    """Measure the error of the 8-bit reference before the first update, and show it."""
    questions = session.questions_of(1, settings.prompts_per_step, settings.steps)
    kl, tokens = grpo_step.measure_reference(questions, session.inputs(questions))
    if session.ranks.is_main:
        line = f"KL of {kl:.3g} nats a token where the policy has not moved, on {tokens} tokens"
        print_warning(session.console, f"reference in 8 bits: {line}")
