"""GRPO steps of whichever version of harken is on PYTHONPATH, for counts.py.

    own_step_side.py KIND CHECKPOINT PROMPTS GROUP TOKENS FORM

KIND is text (a checkpoint of text_model.py, prompts of 300 tokens), audio (everything trains, in float32) or lora
(adapters, under bf16_mixed). FORM is a value of `grpo.policy_pass`, or rollout for the completions alone, with clips
encoded and prompts computed. Clips are noise of 10 s, or as long as the model takes. It uses only what has the same
name in all versions since commit 1845dae. Which rows have ended is looked at as often as on a GPU.
"""

import functools
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rollout_side import sample
from turns import Turns

from harken.config import ModelConfig
from harken.types import Question
from own_step import PROMPT, OwnStep, settings

try:
    from harken.grpo import sample_completions
    from harken.inference.decode import STOP_CHECK_EVERY
    from harken.models.policy import load_policy, mixed_precision

    sample_completions.Sampling = functools.partial(sample_completions.Sampling, stop_check_every=STOP_CHECK_EVERY)
except ImportError:
    from harken.models.loading import load_policy, mixed_precision  # pyright: ignore

TEXT_TOKENS = 300
CLIP_SAMPLES = 160_000
TEXT = "Which sound is heard in the audio?"


def questions(prompts: int, step: int) -> list[Question]:
    return [Question(f"{step}-{i}", TEXT, ("one", "two"), 0, Path(f"{i}")) for i in range(prompts)]


def part_of(step: OwnStep, form: str) -> Callable[[], Any]:
    """The step, or the sampling of its completions alone."""
    if form != "rollout":
        return step
    numbers = itertools.count(1)

    def rollout() -> None:
        number = next(numbers)
        questions = step._questions(number)
        for _ in sample(step._policy, questions, step._read(questions), PROMPT, step._config, seed=0, step=number):
            pass

    return rollout


def text_side(checkpoint: Path, prompts: int, group: int, tokens: int, form: str) -> Callable[[], Any]:
    from text_step import own_side

    policy_pass = "packed" if form == "rollout" else form
    return part_of(own_side(checkpoint, TEXT_TOKENS, tokens, group, policy_pass, prompts), form)


def audio_side(checkpoint: Path, prompts: int, group: int, tokens: int, form: str, lora: bool) -> Callable[[], Any]:
    values = {"path": str(checkpoint), "device": "cpu"}
    adapters = {"lora": {"rank": 8, "alpha": 32}, "precision": "bf16_mixed"} if lora else {}
    policy = load_policy(ModelConfig.model_validate({**values, **adapters}))
    policy.eos_token_ids = (-1,)  # no token ends a completion
    samples = min(CLIP_SAMPLES, policy.max_samples)

    def read(batch):
        clips = [np.random.default_rng(i).normal(scale=0.1, size=samples).astype(np.float32) for i in range(len(batch))]
        return [policy.render(PROMPT.conversation(question), clip) for question, clip in zip(batch, clips, strict=True)]

    config = settings(prompts, group, tokens, policy_pass="packed" if form == "rollout" else form)
    make_step = part_of(OwnStep(policy, lambda step: questions(prompts, step), read, config), form)

    def run():
        with mixed_precision(policy, "bf16_mixed" if lora else "float32"):
            return make_step()

    return run


def main() -> None:
    kind, checkpoint, (prompts, group, tokens), form = (
        *(sys.argv[1], Path(sys.argv[2])),
        map(int, sys.argv[3:6]),
        sys.argv[6],
    )
    torch.set_num_threads(1)
    if kind == "text":
        make_step = text_side(checkpoint, prompts, group, tokens, form)
    else:
        make_step = audio_side(checkpoint, prompts, group, tokens, form, kind == "lora")
    turns = Turns()
    while True:
        turns()
        make_step()


if __name__ == "__main__":
    main()
