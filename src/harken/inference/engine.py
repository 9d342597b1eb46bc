"""What samples the completions of a training step: the interface, and the policy itself behind it.

`grpo/sample_completions.py` gives an engine embedded prompts and gets `Completions`. Since prompts are embedded by the
policy, with their clips encoded by the policy's own tower, an engine is a language model alone and knows nothing about
audio. The other engine is `vllm_engine.py`.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from torch import Tensor

from harken.inference.completions import Completions
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.audio_lm import AudioLM


class RolloutEngine(Protocol):
    """Samples completions from the weights that a policy has at the moment."""

    splits_batches: bool
    """Whether the engine itself sees to it that what it decodes together fits into memory, so that it takes all prompts
    of a step at once."""

    def holding(self, policy: AudioLM) -> contextlib.AbstractContextManager[None]:
        """Inside the block `sample` draws from this policy as it was when the block began."""
        ...

    def sample(
        self,
        prompts: Sequence[Tensor],
        completions_per_prompt: int,
        sampling: Sampling,
        uniforms: Tensor,
        most_rows: int | None = None,
    ) -> Completions:
        """Sample G completions for each of P prompts.

        Args:
            prompts: P embedded prompts, [T, H] each; lengths may differ.
            uniforms: [P * G, max_completion_tokens] float64 in [0, 1): all randomness.
            most_rows: rows that are decoded at once; None = all, or as many as the engine thinks fit.
        """
        ...


class OwnEngine:
    """The policy itself, decoded by `rollout`: completions do not depend on which prompts are sampled together."""

    splits_batches = False

    def __init__(self) -> None:
        self._policy: AudioLM | None = None

    @contextlib.contextmanager
    def holding(self, policy: AudioLM) -> Iterator[None]:
        self._policy = policy
        try:
            yield
        finally:
            self._policy = None

    def sample(
        self,
        prompts: Sequence[Tensor],
        completions_per_prompt: int,
        sampling: Sampling,
        uniforms: Tensor,
        most_rows: int | None = None,
    ) -> Completions:
        if self._policy is None:
            raise RuntimeError("sample is called outside of holding")
        return rollout(self._policy, prompts, completions_per_prompt, sampling, uniforms, most_rows)
