"""`memory`: what is kept where, to fit a smaller card."""

from typing import Literal

from harken.config.section import PositiveInt, Section
from harken.config.training import GrpoConfig, SftConfig


class MemoryConfig(Section):
    """What is kept where, to fit a smaller card. Every key but the defaults drops something and says what;
    docs/memory.md has the account, `harken plan` that of a recipe."""

    weights: Literal["float32", "bf16_corrected", "bf16_stochastic"] = "float32"
    """Of what trains. float32: 4 bytes. bf16_corrected: 2, and the 16 bits that make them float32 again beside the
    optimizer's state: the update is that of float32, passes see bfloat16; drops 16 bits of gradients. bf16_stochastic:
    2 bytes, rounded up or down at random so that the mean is right (by seed, update and weight: a resumed run rounds
    alike); drops the bits below bfloat16. Both load the whole checkpoint in bfloat16, frozen parts too, and go with
    precision: bf16_mixed."""
    optimizer: Literal["adamw", "adamw_8bit", "offloaded"] = "adamw"
    """adamw: two float32 numbers a weight. adamw_8bit: two of 8 bits with a scale for each 256 (arXiv 2110.02861);
    drops their precision. offloaded: both in host memory, where the update is made; drops speed alone."""
    step_in_backward: bool = False
    """Update each weight as soon as its gradient is there, so that no two layers' gradients are in memory. Drops the
    sum over micro-batches (a step is one) and the norm of all gradients (`max_grad_norm: null`); a gradient that is
    not finite ends the run after some weights of that step have moved."""
    reference: Literal["copy", "streamed", "int8"] = "copy"
    """Of the KL term. copy: the trained weights once more; with lora the adapters alone. streamed: the blocks in
    host memory, each brought in for its turn; the same numbers, drops speed where a pass is short. int8: linear layers
    in 8 bits, one scale a row; drops exactness: the KL is off by what is measured and printed at the start."""
    rollout_rows: PositiveInt | None = None
    """At most so many completions are decoded at once; null = all of a micro-batch. Drops speed, changes no sample."""

    def refusal(self, settings: GrpoConfig | SftConfig, ranks: int = 1) -> str | None:
        """Why a section cannot be run with what is dropped, or not on so many ranks; None where it can."""
        if ranks > 1 and (refusal := self._refusal_on_several(settings)):
            return refusal
        if not self.step_in_backward:
            return None
        name = "sft" if isinstance(settings, SftConfig) else "grpo"
        if settings.max_grad_norm is not None:
            return (
                f"memory.step_in_backward: the norm of all gradients is never known, and {name}.max_grad_norm is "
                f"{settings.max_grad_norm}: set {name}.max_grad_norm: null"
            )
        if settings.prompts_per_micro_batch < settings.prompts_per_step:
            return (
                "memory.step_in_backward: gradients of several micro-batches cannot be added up, and "
                f"{name}.prompts_per_micro_batch is {settings.prompts_per_micro_batch} of {settings.prompts_per_step}: "
                f"set {name}.prompts_per_micro_batch: {settings.prompts_per_step}"
            )
        return None

    def _refusal_on_several(self, settings: GrpoConfig | SftConfig) -> str | None:
        """Parameters that lie in parts on all ranks are kept in one way."""
        for key, default in (("weights", "float32"), ("optimizer", "adamw"), ("reference", "copy")):
            if (value := getattr(self, key)) != default:
                return f"memory.{key}: {value} is for one process: set memory.{key}: {default}"
        if self.step_in_backward:
            return "memory.step_in_backward is for one process: set memory.step_in_backward: false"
        if isinstance(settings, GrpoConfig) and settings.policy_pass == "continued":
            return "grpo.policy_pass: continued is for one process: set grpo.policy_pass: packed"
        if isinstance(settings, GrpoConfig) and settings.cuda_graph:
            return "grpo.cuda_graph is for one process: set grpo.cuda_graph: false"
        return None
