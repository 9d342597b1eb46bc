"""A training recipe: its sections together, what is measured and kept on the way, and what contradicts what."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from harken.config.data import DataConfig
from harken.config.judge import JudgeConfig
from harken.config.memory import MemoryConfig
from harken.config.model import ModelConfig
from harken.config.prompt import PromptConfig
from harken.config.published import PublishedRow
from harken.config.reward import RewardConfig
from harken.config.section import PositiveInt, Section
from harken.config.training import GrpoConfig, SftConfig


class ProbeConfig(Section):
    """A fixed set of clips with transcripts, measured before the first step, on the way and after the last: what
    training costs elsewhere. docs/probe.md describes it."""

    file: Path
    """JSON lines: id, audio, text, and prompt where a record has its own. All must be good."""
    audio_root: Path | None = None
    """Folder that clip names are relative to; default: the file's own folder."""
    prompt: Annotated[str, Field(min_length=1)] | None = None
    """Instruction of records that bring none; default: `TRANSCRIBE` of harken/questions/prompt.py [O]."""
    every: PositiveInt = 100
    """Steps between measurements [O]."""
    max_completion_tokens: PositiveInt = 128
    """Longest transcript; a reference must fit."""


class LoggingConfig(Section):
    every: PositiveInt = 10
    """Steps between metric rows on screen and kept rollouts; metrics.jsonl has every step."""
    checkpoint_every: PositiveInt | None = None
    """Steps between checkpoints; the last step always has one."""
    keep_checkpoints: PositiveInt = 2
    """The newest so many are kept, and the best on the development part; never chosen on a test set."""
    evaluate_every: PositiveInt | None = None
    """Steps between greedy evaluations on the development part of the training data (`data.dev_share`)."""
    trackers: tuple[Literal["tensorboard", "wandb", "trackio"], ...] = ()
    project: str = "harken"
    """Project name given to W&B and trackio."""


class Recipe(Section):
    """One run. `harken train` reads the `grpo` section, `harken sft` the `sft` section; the rest they share."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    model: ModelConfig
    data: DataConfig
    prompt: PromptConfig = PromptConfig()
    reward: RewardConfig = RewardConfig()
    judge: JudgeConfig | None = None
    """Needed where the reward has the part quality, or adaptive with `options.consistency`."""
    grpo: GrpoConfig = GrpoConfig()
    sft: SftConfig = SftConfig()
    memory: MemoryConfig = MemoryConfig()
    probe: ProbeConfig | None = None
    logging: LoggingConfig = LoggingConfig()
    published: tuple[PublishedRow, ...] = ()
    """The rows of the papers that this recipe is for, one a table."""

    @model_validator(mode="after")
    def development_part_exists(self) -> "Recipe":
        if self.logging.evaluate_every is not None and self.data.dev_share == 0:
            raise ValueError("logging.evaluate_every needs a development part: set data.dev_share, for example 0.1")
        if self.sft.stop_at_dev_accuracy is not None and self.logging.evaluate_every is None:
            raise ValueError("sft.stop_at_dev_accuracy needs evaluations on the way: set logging.evaluate_every")
        return self

    @model_validator(mode="after")
    def encoded_clips_are_kept_of_a_frozen_tower(self) -> "Recipe":
        trains = [part for part in ("train_audio_tower", "train_projector") if getattr(self.model, part)]
        if self.data.encoded_cache is not None and trains:
            raise ValueError(
                f"data.encoded_cache: what is encoded changes with every step: set model.{trains[0]}: false"
            )
        return self

    @model_validator(mode="after")
    def continued_goes_without_checkpointing(self) -> "Recipe":
        if self.grpo.policy_pass == "continued" and self.model.gradient_checkpointing:
            raise ValueError(
                "grpo.policy_pass: continued keeps what model.gradient_checkpointing drops: set policy_pass: packed"
            )
        return self

    @model_validator(mode="after")
    def memory_keeps_what_is_needed(self) -> "Recipe":
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
        # Each loop asks for its own section again: a recipe for one of them need not fit the other.
        refusals = [memory.refusal(self.grpo), memory.refusal(self.sft)]
        if all(refusals):
            raise ValueError("; or, for harken sft: ".join(reason for reason in refusals if reason))
        return self

    @model_validator(mode="after")
    def rewarded_form_is_asked_for(self) -> "Recipe":
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
        if self.reward.judged and self.judge is None:
            asked = ", ".join(sorted(self.reward.judged))
            raise ValueError(f"reward.parts: {asked}: a judge is asked for it: add a judge section")
        return self
