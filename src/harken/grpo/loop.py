"""GRPO on audio questions: the loop.

Takes a recipe and a run folder's path, gives the folder of the last checkpoint. Each step: sample G completions for
each of P questions (audio encoded once, prompt computed once), score them with the reference, reward them over the
whole step, compare each with its siblings, update. Several ranks share the questions of a step.
"""

import contextlib
import time
from pathlib import Path

import torch
from rich.console import Console

from harken.config import GrpoConfig, Recipe
from harken.grpo.batch import MicroBatch, rollout_rows, sample, stand_in
from harken.grpo.metrics import step_metrics
from harken.grpo.rewarding import open_rewarding
from harken.grpo.update import score_with_reference, update
from harken.inference.encoded_audio_cache import EncodedAudioCache
from harken.models.policy import mixed_precision
from harken.models.sharding import gathered
from harken.system.console import print_warning
from harken.system.distributed_run import distributed_run
from harken.training.progress_table import OnRow, grpo_columns
from harken.training.schedule import is_due, learning_rate_at
from harken.training.session import Session, open_session


@distributed_run
def train(recipe: Recipe, out: Path, console: Console, *, resume: bool = False, on_row: OnRow | None = None) -> Path:
    """Run the `grpo` section of a recipe; `resume` goes on with the run in `out`, bit for bit on a CPU.

    Raises HarkenError before the first step where the recipe, the data or the checkpoint cannot be used.
    """
    settings = recipe.grpo
    session = open_session(recipe, settings, out, console, resume=resume, beta=settings.beta)
    policy, ranks = session.policy, session.ranks
    if session.reference is not None and recipe.memory.reference == "int8" and session.start == 0:
        kl, tokens = bias_of_reference(session, settings)
        session.note(
            f"reference in 8 bits: KL of {kl:.3g} nats a token where the policy has not moved, on {tokens} tokens"
        )
    folder = recipe.data.encoded_cache
    encode = policy.encode_audio if folder is None else EncodedAudioCache(policy, folder)
    steps = range(session.start + 1, settings.steps + 1)
    chosen = [session.questions_at(step, settings.prompts_per_step, settings.steps) for step in steps]
    shown = grpo_columns(recipe.reward.names, dev=bool(session.dev), probe=session.probe is not None)
    with (
        open_rewarding(recipe, session.run.judge, ranks) as rewarding,
        contextlib.closing(session.inputs.prefetch(chosen)) as ahead,
        session.table("grpo", shown, settings.steps, on_row) as table,
    ):
        for step, questions in zip(steps, chosen, strict=True):
            started = time.perf_counter()
            inputs = next(ahead)
            rate = learning_rate_at(
                step - 1, settings.steps, settings.learning_rate, settings.schedule, settings.warmup_share
            )
            with mixed_precision(policy, recipe.model.precision):
                batches: list[MicroBatch] = []
                with gathered(policy):
                    for batch in sample(
                        policy,
                        questions,
                        inputs,
                        session.prompt,
                        settings,
                        seed=recipe.seed,
                        step=step,
                        encode=encode,
                        most_rows=recipe.memory.rollout_rows,
                        note=session.note,
                    ):
                        rewarding.ask(batch)
                        batches.append(batch)
                    most = int(ranks.maximum([len(batches)])[0])
                    batches += [stand_in(policy) for _ in range(most - len(batches))]
                sampled = time.perf_counter()
                score_with_reference(policy, session.reference, batches, settings, session.note, ranks)
                earned = rewarding(batches, progress=(step - 1) / settings.steps)
                figures = update(policy, batches, settings, session.optimizer, rate, session.note, ranks)
            fitting = max(1, *(len(batch.questions) for batch in batches))
            settings = settings.model_copy(update={"prompts_per_micro_batch": fitting})
            for line in earned.warnings if ranks.is_main else []:
                print_warning(console, line)
            ended = time.perf_counter()
            said = [one for part in ranks.gather(rollout_rows(batches)) for one in part]
            said.sort(key=lambda one: one["id"])  # the same order on any number of ranks
            took = {"rollout_s": sampled - started, "step_s": ended - started}
            row = step_metrics(said, settings.completions_per_prompt, earned, figures, rate, **took)
            row |= session.development(step, settings.steps)
            row |= session.probed(step, settings.steps)
            if ranks.is_main and is_due(step, recipe.logging.every, settings.steps):
                session.run.write_rollouts(step, said)
            session.end_step(step, settings.steps, row)
            table.advance(step, row)
    return session.close()


@torch.no_grad()
def bias_of_reference(session: Session, settings: GrpoConfig) -> tuple[float, int]:
    """(mean of the KL estimate, tokens) between the policy that the run starts from and its reference, which would be 0
    if that were exact: on a micro-batch of completions that no step samples."""
    policy, recipe = session.policy, session.recipe
    chosen = session.questions_at(1, settings.prompts_per_micro_batch, settings.steps)
    with mixed_precision(policy, recipe.model.precision):
        batches = list(
            sample(policy, chosen, session.inputs(chosen), session.prompt, settings, seed=recipe.seed, step=0)
        )
        score_with_reference(policy, session.reference, batches, settings, session.note)
    gaps = [
        (batch.reference_logp - batch.completions.logp)[batch.completions.mask]
        for batch in batches
        if batch.reference_logp is not None
    ]
    gap = torch.cat(gaps).double()
    return float((gap.exp() - gap - 1).mean()), len(gap)
