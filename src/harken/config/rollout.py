"""The section `grpo.rollout`: what samples the completions, and how training corrects for it."""

from typing import Annotated, Literal

from pydantic import Field

from harken.config.section import Section


class RolloutConfig(Section):
    """Which engine samples the completions of `harken train`, and the importance weights of what it sampled."""

    engine: Literal["harken", "vllm"] = "harken"
    """The program that samples the completions. harken: the policy itself, with harken's own decoder. vllm: vLLM
    (`pip install 'harken[vllm]'`) in the same process, one on each GPU, which takes over the language model's weights
    in every step. It is for long completions; docs/scale.md says for which rows it pays. It gives up that samples do
    not depend on how prompts are batched, and with it that a resumed run equals an uninterrupted one bit for bit."""
    importance: Literal["none", "truncate"] = "none"
    """How the loss corrects that the engine's log-probabilities are not quite those of the policy. none: it does not.
    truncate: each token's policy term is multiplied by exp(policy's log-probability - engine's), at most
    `importance_cap` (TRL 1.16's token_truncate, verl's rollout_is: token)."""
    importance_cap: Annotated[float, Field(ge=1)] = 2.0
    """The largest importance weight: 2 in verl and ms-swift, 3 in TRL 1.16."""
    kv_cache_gib: Annotated[float, Field(gt=0)] = 8.0
    """Memory for the keys and values of the vLLM engine, in GiB on each GPU. 8 GiB hold 146,000 tokens of
    Qwen2.5-Omni-7B and 16,000 of Qwen2-Audio-7B in bfloat16. What does not fit waits its turn. On a GPU the memory is
    given back for the update."""
