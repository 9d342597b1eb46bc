"""The section `model`: which checkpoint is trained, which of its parts, and in which precision."""

from typing import Any, Literal

from pydantic import field_validator, model_validator

from harken.config.plugins import installed, is_object_name
from harken.config.section import CheckpointName, DeviceName, PositiveInt, Section


class LoraConfig(Section):
    """Low-rank adapters on every linear layer of the parts that train. The experts and the router of a mixture of
    experts (Qwen3-Omni) are no linear layers and stay as they are: adapters are on its attention."""

    rank: PositiveInt = 8
    """An unconfirmed note on Audio-Thinker gives rank 8 with alpha 32, on all linear layers [S]."""
    alpha: PositiveInt = 32


class ModelConfig(Section):
    """The model that is trained."""

    path: CheckpointName
    """A local folder, a run folder (its newest checkpoint is taken) or a Hub id, of a checkpoint in Hugging Face
    layout. An adapter is merged into its base in float32 first."""
    architecture: str | None = None
    """The class of a checkpoint whose `model_type` harken does not know: `module:class`, derived from ChatAudioModel,
    or the name that an installed package gives it (docs/extending.md). The class's `arch` is the `model_type`."""
    lora: LoraConfig | None = None
    """Train adapters instead of the weights. The audio tower and the projector are then frozen unless the recipe sets
    train_audio_tower or train_projector: a tower that trains gets adapters, a projector that trains does so in full."""
    train_audio_tower: bool = True
    """R1-AQA trained everything, the tower too [S]; Omni-R1 says "full fine-tuning" [P]. Default with lora: false."""
    train_projector: bool = True
    """Default with lora: false."""
    train_language_model: bool = True
    train_router: bool = False
    """Train the router of each block, which chooses the experts of a token, in a mixture of experts (Qwen3-Omni). With
    lora it cannot train. NeMo-RL freezes it in GRPO (freeze_moe_router: true), because a token whose experts change
    between sampling and update has another log-probability [S]."""
    precision: Literal["float32", "bf16_mixed"] = "float32"
    """bf16_mixed computes matrix products in bfloat16 under autocast. Weights that train stay float32 in both: at
    learning rate 1e-6, rounding to bfloat16 would drop nearly every update."""
    frozen_dtype: Literal["float32", "bfloat16"] = "float32"
    """The type of weights that do not train. bfloat16 halves their memory and needs precision: bf16_mixed; it is the
    default with lora and bf16_mixed, since float32 weights would be cast to it for every token. Weights that train are
    loaded in the precision of their file whatever this is."""
    gradient_checkpointing: bool = False
    """Keep only the input of each block, and compute the block again in the backward pass."""
    cudnn_attention: bool = False
    """Let torch take cuDNN's attention on CUDA. It plans anew for each shape, and so for each decoded token; see
    docs/hardware.md. Changes speed and rounding only."""
    device: DeviceName = "auto"
    """auto takes cuda if there is a GPU, else cpu. Otherwise a torch device, such as cuda:1."""

    @field_validator("architecture")
    @classmethod
    def architecture_is_a_name(cls, name: str | None) -> str | None:
        if name is not None and not is_object_name(name) and name not in installed("architecture"):
            raise ValueError(f"{name!r}: expected module:class, such as my_audio_lm:MyAudioLM")
        return name

    @model_validator(mode="before")
    @classmethod
    def lora_has_defaults_of_its_own(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("lora") is not None:
            frozen = {"frozen_dtype": "bfloat16"} if values.get("precision") == "bf16_mixed" else {}
            return {"train_audio_tower": False, "train_projector": False, **frozen, **values}
        return values

    @model_validator(mode="after")
    def adapters_have_a_place(self) -> "ModelConfig":
        if self.lora is not None and not (self.train_language_model or self.train_audio_tower):
            raise ValueError("lora has no part to adapt: set train_language_model or train_audio_tower")
        if self.train_router and (self.lora is not None or not self.train_language_model):
            raise ValueError("train_router needs the language model to train in full: no lora, train_language_model")
        if self.frozen_dtype == "bfloat16" and self.precision != "bf16_mixed":
            raise ValueError("frozen_dtype: bfloat16 beside float32 weights needs precision: bf16_mixed")
        return self

    @model_validator(mode="after")
    def something_trains(self) -> "ModelConfig":
        if not (self.train_audio_tower or self.train_projector or self.train_language_model):
            raise ValueError("nothing would train: set one of train_audio_tower, train_projector, train_language_model")
        return self
