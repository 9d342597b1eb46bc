"""Supervised fine-tuning on answers: the loop.

Takes the same recipe, prompts and data as GRPO, gives the folder of the last checkpoint. Cross-entropy on the tokens
of the answer, its end-of-sequence token included; a mean over all answer tokens of the step.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from harken.config import Recipe
from harken.data.stream import batch_at
from harken.evaluate import accuracy_on
from harken.inputs import PromptInputs
from harken.metrics import is_due
from harken.models.base import AudioLM
from harken.models.loading import load_policy, mixed_precision
from harken.optim import apply_update, build_optimizer, learning_rate_at
from harken.progress import StepProgress
from harken.prompt import Prompt
from harken.rollout import Completions
from harken.run_folder import RunFolder
from harken.shared_prefix import score_packed
from harken.tracking import log_all, open_trackers
from harken.training_data import load_training_data
from harken.types import Question


def sft(recipe: Recipe, out: Path, console: Console) -> Path:
    """Run the `sft` section of a recipe. Raises as `harken.train.train` does."""
    settings = recipe.sft
    run = RunFolder.create(out, recipe)
    prompt = Prompt.from_config(recipe.prompt)
    policy = load_policy(recipe.model)
    questions, dev = load_training_data(recipe, policy, prompt, run, console)
    inputs = PromptInputs(policy, prompt, recipe.data.feature_cache_gib)
    optimizer = build_optimizer(
        policy.module,
        learning_rate=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
    )
    steps = settings.steps or math.ceil(settings.epochs * len(questions) / settings.questions_per_step)
    trackers = open_trackers(run, recipe)
    with StepProgress(console, "sft", steps, recipe.logging.every) as progress:
        for step in range(1, steps + 1):
            started = time.perf_counter()
            order = batch_at(len(questions), settings.questions_per_step, step - 1, recipe.seed)
            with mixed_precision(policy, recipe.model.precision):
                loss = accumulate(
                    policy, [questions[i] for i in order], inputs, prompt, settings.questions_per_micro_batch
                )
                rate = learning_rate_at(
                    step - 1, steps, settings.learning_rate, settings.schedule, settings.warmup_share
                )
                norm = apply_update(optimizer, rate, settings.max_grad_norm)
            row = {"loss/sft": loss, "policy/grad_norm": norm, "optim/learning_rate": rate}
            row["time/step_s"] = time.perf_counter() - started
            if is_due(step, recipe.logging.evaluate_every, steps) and dev:
                row |= accuracy_on(policy, dev, inputs, prompt, recipe.grpo.max_completion_tokens)
            reached = (
                settings.stop_at_dev_accuracy is not None
                and row.get("dev/accuracy", 0) >= settings.stop_at_dev_accuracy
            )
            log_all(trackers, step, row)
            if reached or is_due(step, recipe.logging.checkpoint_every, steps):
                run.save_checkpoint(step, policy)
            progress.advance({name: row[name] for name in ("loss/sft", "dev/accuracy") if name in row})
            if reached:
                console.print(
                    f"stopped at step {step}: development accuracy {row['dev/accuracy']:.3f}", highlight=False
                )
                break
    for tracker in trackers:
        tracker.close()
    return run.last_checkpoint()


def accumulate(
    policy: AudioLM, questions: Sequence[Question], inputs: PromptInputs, prompt: Prompt, micro_batch: int
) -> float:
    """Add up the gradients of one step; returns the mean negative log-likelihood per answer token, nats."""
    policy.module.train()
    answers = [policy.encode_answer(prompt.answer_text(question)) for question in questions]
    total = sum(len(answer) for answer in answers)
    loss = 0.0
    for start in range(0, len(questions), micro_batch):
        chunk = slice(start, start + micro_batch)
        read = inputs(questions[chunk])
        embedded = policy.embed(read, policy.encode_audio(read))
        scores = score_packed(policy, embedded, as_completions(answers[chunk], policy.device))
        part = -scores.logp.sum() / total
        part.backward()
        loss += float(part.detach())
    return loss


def as_completions(answers: Sequence[Tensor], device: torch.device) -> Completions:
    """Known answers in the place of sampled rows."""
    tokens = pad_sequence(list(answers), batch_first=True).to(device)
    lengths = torch.tensor([len(answer) for answer in answers], device=device)
    mask = torch.arange(tokens.shape[1], device=device) < lengths[:, None]
    return Completions(
        tokens, mask, torch.zeros(tokens.shape, device=device), torch.ones_like(lengths, dtype=torch.bool)
    )
