"""The rollout of a step in whichever version of harken is on PYTHONPATH.

    rollout_side.py CHECKPOINT PROMPTS GROUP TOKENS SECONDS

`rollout_width.py --before FOLDER` runs it with the sources and benchmarks of an earlier commit. It uses only what has
the same name in all versions since commit 1845dae, whose recipes sampled one prompt at a time.
"""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from harken.models.qwen_omni import QwenOmni
from harken.types import Question
from own_step import PROMPT, settings

try:
    from harken.grpo.sample_completions import sample_completions as sample
except ImportError:
    from harken.experience import sample  # pyright: ignore[reportMissingImports]


def questions_of(prompts: int) -> list[Question]:
    """Questions of different lengths, each about a clip of its own."""
    texts = ["Which sound is heard in the audio? " + "Listen closely. " * (i % 4) for i in range(prompts)]
    return [Question(f"q{i}", text, ("one", "two"), 0, Path(f"{i}")) for i, text in enumerate(texts)]


def clip(number: int, seconds: float) -> np.ndarray:
    """[S] noise that belongs to the question of this number."""
    noise = np.random.default_rng(number).normal(size=int(16_000 * seconds))
    return (0.1 * noise).astype(np.float32)


def rollout_step(checkpoint: str, prompts: int, group: int, tokens: int, seconds: float) -> Callable[[], None]:
    """A function that samples the completions of one more step."""
    model = QwenOmni.load(checkpoint, torch.float32)
    model.module.eval().requires_grad_(False)
    model.eos_token_ids = (-1,)
    questions = questions_of(prompts)
    inputs = [model.render(PROMPT.conversation(question), clip(i, seconds)) for i, question in enumerate(questions)]
    config = settings(prompts, group, tokens, policy_pass="packed").model_copy(update={"temperature": 1.0})
    steps = itertools.count()

    def run() -> None:
        for _ in sample(model, questions, inputs, PROMPT, config, seed=0, step=next(steps)):
            pass

    return run


def main() -> None:
    from turns import Turns  # beside this file, and only there when it runs as a program

    checkpoint, (prompts, group, tokens), seconds = sys.argv[1], map(int, sys.argv[2:5]), float(sys.argv[5])
    torch.set_num_threads(1)
    run, turns = rollout_step(checkpoint, prompts, group, tokens, seconds), Turns()
    while True:
        turns()
        run()


if __name__ == "__main__":
    main()
