"""The sections `grpo` and `sft`: the settings of the two training loops (docs/method.md has their sources)."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harken.config.rollout import RolloutConfig
from harken.config.section import NonNegativeInt, PositiveInt, Section, Share
from harken.types import Estimator, Normalization, Objective

Schedule = Literal["linear", "cosine", "constant"]
"""How a learning rate goes on after warm-up."""


class GrpoConfig(Section):
    """The settings of `harken train`. The defaults are Omni-R1's."""

    steps: PositiveInt = 1000
    """The number of steps; one step samples completions and updates the weights [P]."""
    prompts_per_step: PositiveInt = 8
    """The number of prompts of a step. Omni-R1 states 4 GPUs x 1 x 2 = 8 [P], which we read as prompts [O]."""
    completions_per_prompt: Annotated[int, Field(ge=2, le=2**16)] = 4
    """G, the number of completions that are sampled for each prompt [P]."""
    tokens_per_micro_batch: PositiveInt | None = None
    """The most tokens whose gradients are computed together. A prompt with its completions is one row [prompt | c1 |
    ... | cG], and the rows of a micro-batch are as long as its longest; a row that is longer by itself is computed
    alone. null takes as many as the card has memory for, and 4096 without a GPU. It bounds memory and does not change
    results. Sampling is as wide as `memory.rollout_rows` says."""
    num_iterations: PositiveInt = 1
    """The number of updates for each rollout. Above 1 the ratio to the sampling policy is clipped."""
    temperature: Annotated[float, Field(gt=0)] = 1.2
    """The temperature of sampling [P]."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Sample from the most likely tokens that have this probability together [O]; Audio-Thinker's recipes have 0.9 [S].
    It changes no log-probability in the loss."""
    top_k: NonNegativeInt = 0
    """Sample from this many of the most likely tokens; 0 means from all [O]. The papers' recipes have 50 [S].
    It changes no log-probability in the loss."""
    max_completion_tokens: PositiveInt = 64
    """The longest completion: 64 for direct answers, 512 with reasoning [O]."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-6
    """The highest learning rate [P]."""
    schedule: Schedule = "linear"
    """How the learning rate goes on after warm-up: linear and cosine fall to 0 [S]."""
    warmup_share: Share = 0.0
    """The share of the steps in which the learning rate rises from 0 [S]."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's decay rates of the two moments [S]."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's weight decay [S]."""
    decay_norms_and_biases: bool = False
    """Apply weight decay to norms and biases (all weights of one dimension) too [O]."""
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """The norm of all gradients together is clipped to this [S]; null does not clip."""
    beta: Annotated[float, Field(ge=0)] = 0.04
    """The weight of the KL term (k3 against the starting policy) [P]. With 0 no reference is kept in memory."""
    objective: Objective = "clipped"
    """The policy term of the loss (docs/mathematics.md). clipped: the ratio of each token is clipped, as in GRPO [P].
    gspo: one ratio for a completion, the geometric mean of its tokens' (arXiv 2507.18071); it goes with normalization:
    grpo, since dapo and dr_grpo weigh a completion by its length. cispo: the capped ratio is a
    weight without a gradient, so that no token loses its gradient (arXiv 2506.13585). They differ from the second of
    `num_iterations` on."""
    clip_low: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The ratio is clipped below at 1 - clip_low [O]; GSPO has 3e-4. cispo has no lower bound."""
    clip_high: Annotated[float, Field(gt=0)] = 0.2
    """The ratio is clipped above at 1 + clip_high [O]; DAPO has 0.28, GSPO 4e-4; cispo in TRL's documentation 4."""
    advantage: Estimator = "group"
    """What a completion is compared with (docs/mathematics.md). group: the other completions of its prompt, as in GRPO
    [P]. rloo: their mean without its own reward, not scaled (arXiv 2402.14740). gdpo: as group for each reward part by
    itself, so that none is drowned by another; the weighted sum is normalised over the step (arXiv 2601.05242).
    reinforce_pp: the mean over all tokens of the step (arXiv 2501.03262), reinforce_pp_baseline: the same after the
    mean of the group is taken away."""
    normalization: Normalization = "grpo"
    """How the loss is averaged. grpo: over the tokens of each completion, then over completions. dr_grpo: the sum over
    tokens divided by max_completion_tokens (arXiv 2503.20783). dapo: one mean over all tokens of the step (arXiv
    2503.14476)."""
    scale_rewards: bool | Literal["step"] = True
    """Divide the advantage by the standard deviation of its group, with `advantage: group` [P]. step: by that of all
    rewards of the step, so that a group of nearly equal rewards is not scaled up (arXiv 2508.08221; `batch` in TRL).
    dr_grpo needs false."""
    resample_equal_groups: NonNegativeInt = 0
    """The most times that a step replaces prompts whose completions all earn the same by other prompts, as such groups
    teach nothing (DAPO's dynamic sampling, arXiv 2503.14476); 0 keeps them. It costs a rollout of the replaced prompts
    each time. The other prompts follow from the seed and the step; what is still missing after the last time is filled
    with the groups of equal rewards."""
    resample_by: Literal["reward", "accuracy"] = "reward"
    """Which groups `resample_equal_groups` replaces. reward: those whose completions all earn the same reward, and so
    have no advantage [O]. accuracy: those whose answers are all right or all wrong, as in DAPO, even if form or length
    make their rewards differ; for questions without choices the rewards are compared."""
    mask_truncated: bool = False
    """Leave completions that were cut at max_completion_tokens out of the loss [O]. They keep their reward and are
    counted."""
    temperature_in_loss: bool = False
    """Take log-probabilities of logits / temperature instead of those of the policy itself [O]."""
    policy_pass: Literal["packed", "continued", "repeated"] = "packed"
    """How the policy's log-probabilities are computed. packed: one row [prompt | c1 | ... | cG] for each prompt.
    continued: the rollout's pass over the prompts is kept with its graph, and only the completions are computed; this
    is faster, and holds the activations of all prompts of a step during sampling. repeated: G plain rows for each
    prompt, to check the other two."""
    cuda_graph: bool = False
    """Sample with a cache of keys and values that has its full length from the start, and launch all kernels of a token
    at once. It is for completions of 64 tokens and more on GPUs, shorter ones are decoded without it, and it changes
    no sample's distribution. Where recording fails, decoding goes on without it after a warning. It has not been run on
    a GPU yet."""

    rollout: RolloutConfig = RolloutConfig()
    """The engine that samples the completions."""

    @model_validator(mode="after")
    def the_engine_decodes_by_itself(self) -> "GrpoConfig":
        if self.rollout.engine == "vllm" and self.policy_pass == "continued":
            raise ValueError(
                "policy_pass: continued keeps the pass of harken's own rollout: with rollout.engine: vllm set packed"
            )
        if self.rollout.engine == "vllm" and self.cuda_graph:
            raise ValueError("cuda_graph is of harken's own decoder: with rollout.engine: vllm remove it")
        if self.rollout.importance == "truncate" and self.temperature_in_loss:
            raise ValueError(
                "rollout.importance: truncate compares log-probabilities at temperature 1: set temperature_in_loss: "
                "false, or importance: none"
            )
        return self

    @model_validator(mode="after")
    def resampling_keeps_no_pass(self) -> "GrpoConfig":
        if self.resample_equal_groups and self.policy_pass == "continued":
            raise ValueError(
                "resample_equal_groups: policy_pass: continued keeps the pass over prompts that may be replaced: set "
                "policy_pass: packed"
            )
        return self

    @model_validator(mode="after")
    def what_is_resampled_by_is_resampled(self) -> "GrpoConfig":
        if self.resample_by != "reward" and not self.resample_equal_groups:
            raise ValueError(
                f"resample_by: {self.resample_by}: nothing is resampled: set resample_equal_groups, for example 2, or "
                "remove it"
            )
        return self

    @model_validator(mode="after")
    def dr_grpo_does_not_scale(self) -> "GrpoConfig":
        if self.normalization == "dr_grpo" and self.advantage == "group" and self.scale_rewards:
            raise ValueError("normalization: dr_grpo goes without division by std: set scale_rewards: false")
        return self


class SftConfig(Section):
    """The settings of `harken sft`."""

    steps: PositiveInt | None = None
    """The number of steps. Default: as many as `epochs` passes over the data have."""
    epochs: Annotated[float, Field(gt=0)] = 1.0
    """The number of passes over the data [O]."""
    stop_at_dev_accuracy: Share | None = None
    """Stop early once greedy accuracy on the development part reaches this, for a warm start of GRPO [O]."""
    prompts_per_step: PositiveInt = 32
    """The number of prompts of a step, each with its answer [O]."""
    tokens_per_micro_batch: PositiveInt | None = None
    """The most tokens of prompts and answers that are computed together, as in the section `grpo`."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    """The highest learning rate [O]."""
    schedule: Schedule = "cosine"
    """How the learning rate goes on after warm-up: linear and cosine fall to 0 [O]."""
    warmup_share: Share = 0.03
    """The share of the steps in which the learning rate rises from 0 [O]."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's decay rates of the two moments."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's weight decay."""
    decay_norms_and_biases: bool = False
    """Apply weight decay to norms and biases (all weights of one dimension) too [O]."""
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """The norm of all gradients together is clipped to this; null does not clip."""
