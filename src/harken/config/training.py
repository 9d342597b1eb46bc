"""`grpo` and `sft`: the settings of the two loops. docs/method.md says whose each default is."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harken.config.section import PositiveInt, Section, Share


class GrpoConfig(Section):
    steps: PositiveInt = 1000  # [P]
    prompts_per_step: PositiveInt = 8
    """Omni-R1: 4 GPUs x 1 x 2 = 8, read as prompts [P, reading O]."""
    completions_per_prompt: Annotated[int, Field(ge=2)] = 4  # [P]
    prompts_per_micro_batch: PositiveInt = 1
    """Whole groups only; memory is bounded by this, results are not changed by it."""
    num_iterations: PositiveInt = 1
    """Updates per rollout; above 1 the ratio is clipped."""
    temperature: Annotated[float, Field(gt=0)] = 1.2  # [P]
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0  # [O]
    top_k: Annotated[int, Field(ge=0)] = 0
    """0 = off [O]."""
    max_completion_tokens: PositiveInt = 64
    """64 for direct answers, 512 with reasoning [O]."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-6  # [P]
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """linear: to 0, no warm-up [S]."""
    warmup_share: Share = 0.0
    betas: tuple[float, float] = (0.9, 0.999)  # [S]
    weight_decay: Annotated[float, Field(ge=0)] = 0.0  # [S]
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Of all gradients together [S]; null = not clipped."""
    beta: Annotated[float, Field(ge=0)] = 0.04
    """Weight of the KL term (k3 against the starting policy) [P]; 0 keeps no reference in memory."""
    clip_low: Annotated[float, Field(gt=0, lt=1)] = 0.2  # [O]
    clip_high: Annotated[float, Field(gt=0)] = 0.2
    """Upper clip range [O]; DAPO's is 0.28."""
    normalization: Literal["grpo", "dr_grpo", "dapo"] = "grpo"
    """grpo: mean over the tokens of an output, then over outputs. dr_grpo: sum over tokens divided by
    max_completion_tokens (arXiv 2503.20783). dapo: one mean over all tokens of the step (arXiv 2503.14476)."""
    scale_rewards: bool = True
    """Divide the advantage by the group's standard deviation; dr_grpo goes with false."""
    mask_truncated: bool = False
    """Leave completions that were cut at the maximum out of the loss [O]; they keep their reward and are counted."""
    temperature_in_loss: bool = False
    """Log-probabilities of logits / temperature instead of the untempered policy [O]."""
    policy_pass: Literal["packed", "continued", "repeated"] = "packed"
    """packed: one row [prompt | c1 | ... | cG]. continued: the rollout's pass over the prompts is kept with its graph
    and only the completions are computed; faster, and holds the activations of all prompts of a step while sampling.
    repeated: G plain rows, for checking."""
    cuda_graph: bool = False
    """Sample with keys and values of full length from the start and all kernels of a token launched at once: for
    completions of 100 tokens and more on one GPU. No sample's distribution changes. Not yet run on a GPU."""

    @model_validator(mode="after")
    def dr_grpo_does_not_scale(self) -> "GrpoConfig":
        if self.normalization == "dr_grpo" and self.scale_rewards:
            raise ValueError("normalization: dr_grpo goes without division by std: set scale_rewards: false")
        return self


class SftConfig(Section):
    steps: PositiveInt | None = None
    """Default: `epochs` passes over the data."""
    epochs: Annotated[float, Field(gt=0)] = 1.0  # [O]
    stop_at_dev_accuracy: Share | None = None
    """Stop early once greedy accuracy on the development part reaches this: a warm start for GRPO [O]."""
    prompts_per_step: PositiveInt = 32  # [O]
    prompts_per_micro_batch: PositiveInt = 8
    learning_rate: Annotated[float, Field(gt=0)] = 1e-5  # [O]
    schedule: Literal["linear", "cosine", "constant"] = "cosine"  # [O]
    warmup_share: Share = 0.03  # [O]
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """null = not clipped."""
