"""GRPO on audio questions: the loop.

Takes a recipe and a run folder's path, gives the folder of the last checkpoint. Each step: sample G completions for
each of P questions (audio encoded once, prompt computed once), grade and reward them, compare each with its siblings,
update.
"""

import time
from pathlib import Path

from rich.console import Console

from harken.config import Recipe
from harken.data.stream import batch_at
from harken.evaluate import accuracy_on
from harken.experience import collect, rollout_rows
from harken.inputs import PromptInputs
from harken.metrics import is_due, step_metrics
from harken.models.loading import frozen_copy, load_policy, mixed_precision
from harken.optim import build_optimizer, learning_rate_at
from harken.progress import StepProgress
from harken.prompt import Prompt
from harken.run_folder import RunFolder
from harken.tracking import log_all, open_trackers
from harken.training_data import load_training_data
from harken.update import update


def train(recipe: Recipe, out: Path, console: Console) -> Path:
    """Run the `grpo` section of a recipe. Raises ConfigError, DataError or ValueError before the first step where the
    recipe, the data or the checkpoint cannot be used."""
    settings = recipe.grpo
    run = RunFolder.create(out, recipe)
    prompt = Prompt.from_config(recipe.prompt)
    policy = load_policy(recipe.model)
    reference = frozen_copy(policy) if settings.beta > 0 else None
    questions, dev = load_training_data(recipe, policy, prompt, run, console)
    inputs = PromptInputs(policy, prompt, recipe.data.feature_cache_gib)
    optimizer = build_optimizer(
        policy.module,
        learning_rate=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
    )
    trackers = open_trackers(run, recipe)
    with StepProgress(console, "grpo", settings.steps, recipe.logging.every) as progress:
        for step in range(1, settings.steps + 1):
            started = time.perf_counter()
            order = batch_at(len(questions), settings.prompts_per_step, step - 1, recipe.seed)
            chosen = [questions[i] for i in order]
            with mixed_precision(policy, recipe.model.precision):
                batches = collect(policy, chosen, inputs, prompt, settings, recipe.reward, seed=recipe.seed, step=step)
                sampled = time.perf_counter()
                rate = learning_rate_at(
                    step - 1, settings.steps, settings.learning_rate, settings.schedule, settings.warmup_share
                )
                figures = update(policy, reference, batches, settings, optimizer, rate)
            row = step_metrics(
                batches, figures, rate, rollout_s=sampled - started, step_s=time.perf_counter() - started
            )
            if is_due(step, recipe.logging.evaluate_every, settings.steps) and dev:
                row |= accuracy_on(policy, dev, inputs, prompt, settings.max_completion_tokens)
            log_all(trackers, step, row)
            if is_due(step, recipe.logging.every, settings.steps):
                run.write_rollouts(step, rollout_rows(batches))
            if is_due(step, recipe.logging.checkpoint_every, settings.steps):
                run.save_checkpoint(step, policy)
            progress.advance(
                {"reward": row["reward/mean"], "kl": row["loss/kl"], "length": row["completion/length_mean"]}
            )
    for tracker in trackers:
        tracker.close()
    return run.last_checkpoint()
