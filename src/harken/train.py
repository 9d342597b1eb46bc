"""GRPO on audio questions: the loop.

Takes a recipe and a run folder's path, gives the folder of the last checkpoint. Each step: sample G completions for
each of P questions (audio encoded once, prompt computed once), score them with the reference, reward them over the
whole step, compare each with its siblings, update. Several ranks share the questions of a step.
"""

import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from harken.config import Recipe
from harken.distributed import over_ranks
from harken.experience import MicroBatch, rollout_rows, sample, stand_in
from harken.metrics import is_due, step_metrics
from harken.models.loading import mixed_precision
from harken.optim import learning_rate_at
from harken.progress import StepProgress
from harken.rewarding import open_rewarding
from harken.session import open_session
from harken.sharding import gathered
from harken.update import score_with_reference, update


@over_ranks
def train(recipe: Recipe, out: Path, console: Console, *, resume: bool = False) -> Path:
    """Run the `grpo` section of a recipe; `resume` goes on with the run in `out`, bit for bit on a CPU.

    Raises HarkenError before the first step where the recipe, the data or the checkpoint cannot be used.
    """
    settings = recipe.grpo
    session = open_session(recipe, settings, out, console, resume=resume, beta=settings.beta)
    policy, ranks = session.policy, session.ranks
    with (
        open_rewarding(recipe, session.run.judge, ranks) as rewarding,
        StepProgress(console, "grpo", settings.steps, recipe.logging.every, done=session.start) as progress,
    ):
        for step in range(session.start + 1, settings.steps + 1):
            started = time.perf_counter()
            chosen = session.questions_at(step, settings.prompts_per_step, settings.steps)
            rate = learning_rate_at(
                step - 1, settings.steps, settings.learning_rate, settings.schedule, settings.warmup_share
            )
            with mixed_precision(policy, recipe.model.precision):
                batches: list[MicroBatch] = []
                with gathered(policy):
                    for batch in sample(
                        policy, chosen, session.inputs, session.prompt, settings, seed=recipe.seed, step=step
                    ):
                        rewarding.ask(batch)
                        batches.append(batch)
                    most = int(ranks.largest([len(batches)])[0])
                    passes = batches + [stand_in(policy) for _ in range(most - len(batches))]
                sampled = time.perf_counter()
                score_with_reference(policy, session.reference, passes, settings)
                earned = rewarding(batches, progress=(step - 1) / settings.steps)
                figures = update(policy, passes, settings, session.optimizer, rate, ranks)
            for line in earned.warnings:
                console.print(f"[bold yellow]warning:[/] {escape(line)}", highlight=False, soft_wrap=True)
            ended = time.perf_counter()
            said = [one for part in ranks.gather(rollout_rows(batches)) for one in part]
            took = {"rollout_s": sampled - started, "step_s": ended - started}
            row = step_metrics(said, settings.completions_per_prompt, earned, figures, rate, **took)
            row |= session.development(step, settings.steps)
            row |= session.probed(step, settings.steps)
            if ranks.main and is_due(step, recipe.logging.every, settings.steps):
                session.run.write_rollouts(step, said)
            session.end_step(step, settings.steps, row)
            progress.advance({short: row[name] for short, name in SHOWN.items() if name in row})
    return session.close()


SHOWN = {
    **{"reward": "reward/mean", "kl": "loss/kl", "entropy": "policy/entropy"},
    **{"dev": "dev/accuracy", "wer": "probe/wer"},
}
