"""The section `memory`: what is kept where, so that a run fits a smaller card."""

from typing import Literal

from pydantic import model_validator

from harken.config.section import PositiveInt, Section
from harken.config.training import GrpoConfig, SftConfig

Weights = Literal["float32", "bf16_corrected", "bf16_stochastic"]
Moments = Literal["adamw", "adamw_8bit", "offloaded"]
ReferenceForm = Literal["copy", "streamed", "int8"]
"""How weights that train, AdamW's moments and the reference are kept; `MemoryConfig` says what each gives up."""


class MemoryConfig(Section):
    """What is kept where. Every value but the defaults gives something up, and says what.

    docs/memory.md compares the values, and `harken plan` computes the memory of a recipe.
    """

    weights: Weights = "float32"
    """How weights that train are kept. float32: 4 bytes a weight. bf16_corrected: 2 bytes, and beside the optimizer's
    state the 16 bits that make them float32 again; updates are made in float32 and passes see bfloat16. It gives up 16
    bits of the gradients. bf16_stochastic: 2 bytes, rounded up or down at random so that the mean is right. It gives up
    the bits below bfloat16; the random numbers follow from the seed, the update and the weight, so that a resumed run
    rounds alike. Both keep frozen parts in bfloat16 and need precision: bf16_mixed. What trains starts from the bits of
    the checkpoint's file in the first two; bf16_stochastic rounds a finer file at random when it is loaded, and says
    so. Checkpoints of bf16_corrected hold float32."""
    optimizer: Moments = "adamw"
    """How AdamW's two moments of each weight are kept. adamw: in float32. adamw_8bit: in 8 bits with a scale for each
    256 (arXiv 2110.02861); it gives up their precision. offloaded: in host memory with a float32 form of the weights,
    12 bytes a weight; torch's fused AdamW updates them there, and with step_in_backward it does so beside the backward
    pass. It gives up speed alone. Because it keeps float32, bfloat16 weights are then bf16_corrected."""
    step_in_backward: bool = False
    """Update each weight as soon as its gradient is complete, so that the gradients of two layers are never in memory
    together. It gives up the sum over micro-batches, so that a step has one, and the norm of all gradients, so that
    `max_grad_norm` must be null. A gradient that is not finite ends the run after some weights have moved."""
    reference: ReferenceForm = "copy"
    """How the reference policy of the KL term is kept. copy: the trained weights once more; with lora the adapters
    alone. streamed: blocks are in host memory and are brought in one by one. It gives the same numbers and gives up
    speed if a pass is short; on several ranks each has its part of every block in host memory. int8: linear layers in 8
    bits with one scale a row. It gives up exactness: how far the KL is off is measured and printed at the start. With
    precision: bf16_mixed the weights of copy and streamed are kept in bfloat16, which changes no bit of a
    log-probability."""
    rollout_rows: PositiveInt | None = None
    """The most completions that are decoded together; null decodes all of a rank's step together, or as many as the
    card has memory for. It gives up speed and changes no random number; in bfloat16 a row may round differently
    beside other rows, so a sample may be another."""

    @model_validator(mode="after")
    def nothing_is_rounded_at_random_beside_float32(self) -> "MemoryConfig":
        if self.weights == "bf16_stochastic" and self.optimizer == "offloaded":
            raise ValueError(
                "optimizer: offloaded keeps every weight in float32 in host memory, so weights: bf16_stochastic would "
                "lose bits for nothing: set weights: bf16_corrected"
            )
        return self

    def refusal(self, settings: GrpoConfig | SftConfig, ranks: int = 1) -> str | None:
        """Why the settings cannot run with these memory modes on so many ranks; None where they can."""
        if ranks > 1 and (refusal := self._refusal_on_several_ranks(settings)):
            return refusal
        if not self.step_in_backward:
            return None
        name = "sft" if isinstance(settings, SftConfig) else "grpo"
        if settings.max_grad_norm is not None:
            return (
                f"memory.step_in_backward: the norm of all gradients is never known, and {name}.max_grad_norm is "
                f"{settings.max_grad_norm}: set {name}.max_grad_norm: null"
            )
        if settings.tokens_per_micro_batch is not None:
            return (
                "memory.step_in_backward: gradients of several micro-batches cannot be added up, so a step has one, "
                f"and {name}.tokens_per_micro_batch is {settings.tokens_per_micro_batch}: set "
                f"{name}.tokens_per_micro_batch: null"
            )
        return None

    def _refusal_on_several_ranks(self, settings: GrpoConfig | SftConfig) -> str | None:
        """Options that work on one process only."""
        if isinstance(settings, GrpoConfig) and settings.policy_pass == "continued":
            return "grpo.policy_pass: continued is for one process: set grpo.policy_pass: packed"
        return None
