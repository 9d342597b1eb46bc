"""Measures how often a prompt gets other samples when it is decoded beside other prompts, which changes only rounding.

Its figures stand in docs/design.md.

    python benchmarks/batch_rounding.py

A tiny random Qwen2.5-Omni samples completions of prompts of different lengths, one prompt at a time, and again three
prompts at a time, where the shorter ones are padded. Random numbers are the same. In float32 and in bfloat16 (autocast)
the program prints by how much the log-probability of a token moved, and how many completions got another token.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harken.data.audio import SAMPLE_RATE_HZ
from harken.inference.completions import Completions
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.audio_lm import AudioLM
from harken.models.loading import load_model
from harken.models.tiny_checkpoint import write_tiny
from harken.system.random import uniforms

WORDS = ["which digit is spoken in the audio", "one two three four five six seven eight nine"]
BATCHES, PROMPTS, GROUP, TOKENS = 16, 3, 4, 24
"""Batches, prompts in one, completions of a prompt, tokens of a completion."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Attributes:
    gaps: how far the log-probability of each token moved, over the tokens before the first other one.
    n_other: completions that got another token.
    n: completions.
    """

    gaps: Tensor
    n_other: int
    n: int


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_tiny("qwen2_5_omni", Path(folder) / "tiny", WORDS, seed=0)
        model = load_model(Path(folder) / "tiny", device="cpu")
    for name, mixed in (("float32", False), ("bfloat16", True)):
        moved = measure(model, mixed=mixed)
        print(
            f"{name}: {moved.gaps.max():.1e} nats at most, {moved.gaps.mean():.1e} in the mean of {len(moved.gaps)} "
            f"tokens; {moved.n_other} of {moved.n} completions with another token"
        )


@torch.no_grad()
def measure(model: AudioLM, *, mixed: bool, batches: int = BATCHES) -> Moved:
    gaps: list[Tensor] = []
    n_other = 0
    for batch in range(batches):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            prompts = embedded_prompts(model, batch)
            alone, together = (sampled(model, prompts, batch, most) for most in (GROUP, None))
        for row in range(PROMPTS * GROUP):
            same = common_tokens(alone, together, row)
            gaps.append((alone.logp[row, :same] - together.logp[row, :same]).abs())
            n_other += same < int(alone.lengths[row])
    return Moved(torch.cat(gaps), n_other, batches * PROMPTS * GROUP)


def embedded_prompts(model: AudioLM, batch: int) -> list[Tensor]:
    """[T, H] of each prompt of a batch: noise of 0.3 to 3 s and a question, so that lengths differ."""
    draw = np.random.default_rng(batch)
    inputs = []
    for seconds in draw.uniform(0.3, 3.0, PROMPTS):
        clip = 0.1 * draw.standard_normal(round(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
        content = [{"type": "audio"}, {"type": "text", "text": f"{WORDS[0]} {WORDS[1]}"}]
        inputs.append(model.render([{"role": "user", "content": content}], clip))
    return model.embed(inputs, model.encode_audio(inputs))


def sampled(model: AudioLM, prompts: list[Tensor], batch: int, most_rows: int | None) -> Completions:
    numbers = [uniforms(0, batch, str(p), g, TOKENS) for p in range(PROMPTS) for g in range(GROUP)]
    return rollout(model, prompts, GROUP, Sampling(1.0, TOKENS), torch.from_numpy(np.stack(numbers)), most_rows)


def common_tokens(one_side: Completions, other: Completions, row: int) -> int:
    """How many tokens both have in common before the first that differs."""
    length = min(int(one_side.lengths[row]), int(other.lengths[row]))
    differs = (one_side.tokens[row, :length] != other.tokens[row, :length]).nonzero()
    return int(differs[0]) if len(differs) else length


if __name__ == "__main__":
    main()
