"""Supervised fine-tuning on the right answers: the training loop.

It takes the recipe, prompts and data that GRPO takes. The loss of a step is the cross-entropy of the answers' tokens,
the end-of-sequence token included, as one mean over all answer tokens of the step.
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
from harken.models.sharding import audio_parameters, silent_input
from harken.planning.step_sizes import step_sizes
from harken.questions.prompt import Prompt
from harken.system.console import print_line
from harken.system.distributed_run import distributed_run
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.system.stop_signals import defer_stop
from harken.training.micro_batches import cut_by_tokens
from harken.training.open_session import open_session
from harken.training.optimizer import apply_update, left_alone, set_learning_rate
from harken.training.progress_columns import sft_columns
from harken.training.run_folder import how_to_resume
from harken.training.schedule import learning_rate_at
from harken.training.session import Session
from harken.training.step_cost import step_cost
from harken.training.training_step import OnStep
from harken.types import Question


@distributed_run(how_to_resume)
def sft(
    recipe: Recipe,
    out: Path,
    console: Console,
    *,
    resume: bool = False,
    accept_changes: bool = False,
    on_step: OnStep | None = None,
) -> Path:
    """Run the `sft` section of a recipe. Arguments, result and errors are those of `harken.grpo.loop.train`."""
    settings = recipe.sft
    session = open_session(recipe, settings, out, console, resume=resume, accept_changes=accept_changes)
    last_step = settings.steps or math.ceil(settings.epochs * len(session.questions) / settings.prompts_per_step)
    sizes = step_sizes(recipe, settings, session.ranks.size)
    columns = sft_columns(development=bool(session.development), probe=session.probe is not None)
    with defer_stop(), session.progress_table("sft", columns, last_step) as table:
        steps = range(session.steps_done + 1, last_step + 1)
        if session.ranks.broadcast(session.ranks.is_main and _had_stopped(session, settings.stop_at_dev_accuracy)):
            steps = range(0)
        for step in steps:
            metrics = _train_step(session, step, last_step, sizes.tokens_per_micro_batch)
            metrics |= session.measure_development(step, last_step)
            reached = _has_reached(metrics, settings.stop_at_dev_accuracy)
            metrics |= session.measure_probe(step, last_step, stop=reached)
            stop = session.hand_to_caller(on_step, step, last_step, metrics) or reached
            session.end_step(step, last_step, metrics, stop=stop)
            table.advance(step, metrics, stop=stop)
            if reached:
                print_line(console, f"stopped after step {step}: development accuracy {metrics['dev/accuracy']:.3f}")
            if stop:
                break
    return session.close()


def _train_step(session: Session, step: int, last_step: int, most_tokens: int) -> dict[str, float]:
    """One update. Returns its metrics."""
    settings, policy = session.recipe.sft, session.policy
    started = time.perf_counter()
    questions = session.questions_of(step, settings.prompts_per_step, last_step)
    learning_rate = learning_rate_at(
        step - 1, last_step, settings.learning_rate, settings.schedule, settings.warmup_share
    )
    set_learning_rate(session.optimizer, learning_rate)
    with mixed_precision(policy, session.recipe.model.precision):
        loss, tokens = accumulate_gradients(
            policy, questions, session.inputs, session.prompt, most_tokens, session.ranks, session.optimizer
        )
    norm = apply_update(session.optimizer, learning_rate, settings.max_grad_norm)
    metrics = {"loss/sft": loss, "policy/grad_norm": norm, "optim/learning_rate": learning_rate}
    return metrics | step_cost(tokens, time.perf_counter() - started)


def _has_reached(metrics: Mapping[str, float], accuracy: float | None) -> bool:
    return accuracy is not None and metrics.get("dev/accuracy", -1.0) >= accuracy


def _had_stopped(session: Session, accuracy: float | None) -> bool:
    """Whether the run that is resumed had reached the accuracy at its last checkpoint."""
    last_step = session.steps_done
    return any(row["step"] == last_step and _has_reached(row, accuracy) for row in session.run.metric_rows())


def accumulate_gradients(
    policy: AudioLM,
    questions: Sequence[Question],
    inputs: PromptInputs,
    prompt: Prompt,
    most_tokens: int,
    ranks: Ranks = SINGLE_PROCESS,
    optimizer: torch.optim.Optimizer | None = None,
) -> tuple[float, int]:
    """Add up the gradients of one step. Returns (mean negative log-likelihood of an answer token in nats, number of
    answer tokens), both over all ranks.

    Args:
        questions: this rank's. A rank with fewer micro-batches than another makes more passes, which count for nothing.
        most_tokens: tokens of a micro-batch, padding included.
        optimizer: one that may update weights during the backward pass.
    """
    policy.module.train()
    pairs = [
        (model_input, policy.encode_answer(prompt.answer_text(question)))
        for model_input, question in zip(inputs(questions), questions, strict=True)
    ]
    pairs.sort(key=lambda pair: pair[0].length + len(pair[1]))  # so that little of a micro-batch is padding
    own_clips = sum(model_input.features is not None for model_input, _ in pairs)
    tokens, clips = map(int, ranks.sum([sum(len(answer) for _, answer in pairs), own_clips]))
    parts = cut_by_tokens([model_input.length + len(answer) - 1 for model_input, answer in pairs], most_tokens)
    n_micro_batches = int(ranks.maximum([len(parts)])[0])
    loss = 0.0
    with left_alone(optimizer, [] if clips else audio_parameters(policy)):
        for i in range(n_micro_batches):
            chunk = pairs[parts[i]] if i < len(parts) else []
            prompts, targets, weight = [pair[0] for pair in chunk], [pair[1] for pair in chunk], 1.0
            if not targets:
                targets, prompts, weight = [torch.tensor([policy.eos_token_ids[0]])], [silent_input(policy)], 0.0
            embedded = policy.embed(prompts, policy.encode_audio(prompts))
            scores = score_packed(policy, embedded, as_completions(targets, policy.device))
            part = -scores.logp.sum() / tokens * weight
            if part.requires_grad:  # it does not where only the tower trains and no question here has a clip
                part.backward()
            loss += float(part.detach())
    return ranks.sum([loss])[0], tokens
