"""A training recipe: all its sections, and the combinations of settings that contradict each other."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from harken.config.data import DataConfig
from harken.config.judge import JudgeConfig
from harken.config.logging import LoggingConfig
from harken.config.memory import MemoryConfig
from harken.config.model import ModelConfig
from harken.config.probe import ProbeConfig
from harken.config.prompt import PromptConfig
from harken.config.published import PublishedRow
from harken.config.reward import RewardConfig
from harken.config.section import Section
from harken.config.training import GrpoConfig, SftConfig


class Recipe(Section):
    """One run. `harken train` reads the section `grpo`, `harken sft` the section `sft`; they share the others."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The name of the run, and of its folder where `--out` names no other."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """The seed of everything that is drawn at random."""
    model: ModelConfig
    data: DataConfig
    prompt: PromptConfig = PromptConfig()
    reward: RewardConfig = RewardConfig()
    judge: JudgeConfig | None = None
    """The judge that the reward part quality needs, and the part adaptive with `reward.adaptive.consistency`."""
    grpo: GrpoConfig = GrpoConfig()
    sft: SftConfig = SftConfig()
    memory: MemoryConfig = MemoryConfig()
    probe: ProbeConfig | None = None
    logging: LoggingConfig = LoggingConfig()
    import_from: tuple[Path, ...] = ()
    """Folders in which modules of `module:object` names are looked for, beside what is installed. Default, where the
    recipe names such an object: the folder of the recipe file and of each that it extends."""
    published: tuple[PublishedRow, ...] = ()
    """The rows of papers that this recipe reproduces, one for each table."""

    @model_validator(mode="after")
    def development_part_exists(self) -> "Recipe":
        if self.logging.evaluate_every is not None and self.data.dev_share == 0:
            raise ValueError("logging.evaluate_every needs a development part: set data.dev_share, for example 0.1")
        if self.sft.stop_at_dev_accuracy is not None and self.logging.evaluate_every is None:
            raise ValueError("sft.stop_at_dev_accuracy needs evaluations on the way: set logging.evaluate_every")
        return self

    @model_validator(mode="after")
    def encoded_clips_need_a_frozen_tower(self) -> "Recipe":
        if self.data.encoded_cache is not None and self.model.train_audio_tower:
            raise ValueError(
                "data.encoded_cache: the tower's output changes with every step: set model.train_audio_tower: false"
            )
        return self

    @model_validator(mode="after")
    def continued_excludes_checkpointing(self) -> "Recipe":
        if self.grpo.policy_pass == "continued" and self.model.gradient_checkpointing:
            raise ValueError(
                "grpo.policy_pass: continued keeps what model.gradient_checkpointing drops: set policy_pass: packed"
            )
        return self

    @model_validator(mode="after")
    def resampling_draws_from_a_shuffled_order(self) -> "Recipe":
        if self.grpo.resample_equal_groups and self.data.order == "pass_rate":
            raise ValueError(
                "grpo.resample_equal_groups: data.order: pass_rate says which prompt comes when and drops those that "
                "are always or never right: set resample_equal_groups: 0, or order: shuffled"
            )
        return self

    @model_validator(mode="after")
    def memory_modes_fit_the_model(self) -> "Recipe":
        memory = self.memory
        if memory.weights != "float32" and self.model.precision != "bf16_mixed":
            raise ValueError(f"memory.weights: {memory.weights} needs model.precision: bf16_mixed")
        if memory.weights != "float32" and self.model.lora is not None:
            raise ValueError(
                f"memory.weights: {memory.weights} is for full fine-tuning, adapters are small: remove it, and set "
                "model.frozen_dtype: bfloat16"
            )
        if memory.reference != "copy" and self.model.lora is not None:
            raise ValueError(
                f"memory.reference: {memory.reference}: with lora the reference shares the base's weights: set copy"
            )
        # Each loop checks its own section when it starts, so a recipe for one of them need not fit the other.
        refusals = [memory.refusal(self.grpo), memory.refusal(self.sft)]
        if all(refusals):
            raise ValueError("; or, for harken sft: ".join(reason for reason in refusals if reason))
        return self

    @model_validator(mode="after")
    def a_price_is_not_scaled(self) -> "Recipe":
        adaptive = self.reward.adaptive_options
        if adaptive is None or adaptive.thinking_price is None:
            return self
        if self.grpo.advantage == "gdpo" or (self.grpo.advantage == "group" and self.grpo.scale_rewards is True):
            raise ValueError(
                "reward.adaptive.thinking_price: divided by the standard deviation of a group that is all right, the "
                "price counts as much as an answer: set grpo.scale_rewards: false, or grpo.advantage: rloo"
            )
        return self

    @model_validator(mode="after")
    def rewards_fit_the_prompt(self) -> "Recipe":
        style, names = self.prompt.style, self.reward.names
        if "format" in names and style not in ("r1_aqa", "r1_aqa_think", "adaptive"):
            raise ValueError(f"reward.parts: format: prompt.style {style} asks for no tags: remove it or set r1_aqa")
        if "adaptive" in names and style != "adaptive":
            raise ValueError(
                f"reward.parts: adaptive: prompt.style {style} leaves no choice: set prompt.style: adaptive"
            )
        if "quality" in names and style not in ("r1_aqa_think", "adaptive"):
            raise ValueError(
                f"reward.parts: quality: prompt.style {style} asks for no reasoning: set adaptive or r1_aqa_think"
            )
        if "listening" in names and all(source.audio == "none" for source in self.data.train):
            raise ValueError("reward.parts: listening: no source of data.train has its clips (audio: none): remove it")
        overlong, longest = self.reward.overlong, self.grpo.max_completion_tokens
        if overlong is not None and overlong.buffer_tokens > longest:
            raise ValueError(
                f"reward.overlong.buffer_tokens: {overlong.buffer_tokens} is more than grpo.max_completion_tokens, "
                f"{longest}: set it lower"
            )
        if self.reward.judged and self.judge is None:
            judgements = ", ".join(sorted(self.reward.judged))
            raise ValueError(f"reward.parts: {judgements}: this needs a judge: add a judge section")
        return self
