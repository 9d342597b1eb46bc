"""Supervised fine-tuning on answers: the loop.

Takes the same recipe, prompts and data as GRPO, gives the folder of the last checkpoint. Cross-entropy on the tokens
of the answer, its end-of-sequence token included; a mean over all answer tokens of the step.
"""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Console

from harken.config import Recipe
from harken.inference.completions import as_completions
from harken.inference.log_probabilities import score_packed
from harken.inference.prompt_inputs import PromptInputs
from harken.models.audio_lm import AudioLM
from harken.models.policy import mixed_precision
from harken.models.sharding import drop_audio_gradients, silent_input
from harken.questions.prompt import Prompt
from harken.system.console import print_line
from harken.system.distributed_run import distributed_run
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.training.optimizer import apply_update, set_learning_rate
from harken.training.progress_table import OnRow, sft_columns
from harken.training.schedule import learning_rate_at
from harken.training.session import Session, open_session
from harken.training.step_cost import step_cost
from harken.types import Question


@distributed_run
def sft(recipe: Recipe, out: Path, console: Console, *, resume: bool = False, on_row: OnRow | None = None) -> Path:
    """Run the `sft` section of a recipe. Raises and resumes as `harken.grpo.loop.train` does."""
    settings = recipe.sft
    session = open_session(recipe, settings, out, console, resume=resume)
    policy, ranks = session.policy, session.ranks
    steps = settings.steps or math.ceil(settings.epochs * len(session.questions) / settings.prompts_per_step)
    shown = sft_columns(dev=bool(session.dev), probe=session.probe is not None)
    with session.table("sft", shown, steps, on_row) as table:
        stopped = ranks.broadcast(ranks.is_main and _stopped(session, settings.stop_at_dev_accuracy))
        last = session.start if stopped else steps
        for step in range(session.start + 1, last + 1):
            started = time.perf_counter()
            chosen = session.questions_at(step, settings.prompts_per_step, steps)
            rate = learning_rate_at(step - 1, steps, settings.learning_rate, settings.schedule, settings.warmup_share)
            set_learning_rate(session.optimizer, rate)
            with mixed_precision(policy, recipe.model.precision):
                size = settings.prompts_per_micro_batch
                loss, tokens = accumulate(policy, chosen, session.inputs, session.prompt, size, ranks)
            norm = apply_update(session.optimizer, rate, settings.max_grad_norm)
            row = {"loss/sft": loss, "policy/grad_norm": norm, "optim/learning_rate": rate}
            row |= step_cost(tokens, time.perf_counter() - started)
            row |= session.development(step, steps)
            reached = _reached(row, settings.stop_at_dev_accuracy)
            row |= session.probed(step, steps, stop=reached)
            session.end_step(step, steps, row, stop=reached)
            table.advance(step, row, stop=reached)
            if reached:
                print_line(console, f"stopped after step {step}: development accuracy {row['dev/accuracy']:.3f}")
                break
    return session.close()


def _reached(row: Mapping[str, float], accuracy: float | None) -> bool:
    return accuracy is not None and row.get("dev/accuracy", -1.0) >= accuracy


def _stopped(session: Session, accuracy: float | None) -> bool:
    """Whether the run that is resumed had stopped at its last checkpoint."""
    return any(row["step"] == session.start and _reached(row, accuracy) for row in session.run.metric_rows())


def accumulate(
    policy: AudioLM,
    questions: Sequence[Question],
    inputs: PromptInputs,
    prompt: Prompt,
    micro_batch: int,
    ranks: Ranks = SINGLE_PROCESS,
) -> tuple[float, int]:
    """Add up the gradients of one step; returns the mean negative log-likelihood per answer token, nats, and the number
    of those tokens.

    `questions` are this rank's; where it has fewer micro-batches than another it adds passes that count for nothing.
    """
    policy.module.train()
    answers = [policy.encode_answer(prompt.answer_text(question)) for question in questions]
    total = int(ranks.sum([sum(len(answer) for answer in answers)])[0])
    most = int(ranks.maximum([math.ceil(len(questions) / micro_batch)])[0])
    loss, clips = 0.0, 0
    for start in range(0, most * micro_batch, micro_batch):
        chunk = slice(start, start + micro_batch)
        said, counted = answers[chunk], 1.0
        read = inputs(questions[chunk]) if said else [silent_input(policy)]
        if not said:
            said, counted = [torch.tensor([policy.eos_token_ids[0]])], 0.0
        clips += sum(one.features is not None for one in read) if counted else 0
        embedded = policy.embed(read, policy.encode_audio(read))
        scores = score_packed(policy, embedded, as_completions(said, policy.device))
        part = -scores.logp.sum() / total * counted
        if part.requires_grad:  # not where only the tower trains and no question here has a clip
            part.backward()
        loss += float(part.detach())
    loss, clips = ranks.sum([loss, clips])
    if clips == 0:
        drop_audio_gradients(policy)
    return loss, total
