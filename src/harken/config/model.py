"""`model`: which checkpoint, what of it trains, in which precision."""

from typing import Any, Literal

from pydantic import model_validator

from harken.config.section import PositiveInt, Section


class LoraConfig(Section):
    """Low-rank adapters on every linear layer of the parts that train."""

    rank: PositiveInt = 8
    """An unconfirmed note on Audio-Thinker says 8, with alpha 32, on all linear layers [S]."""
    alpha: PositiveInt = 32


class ModelConfig(Section):
    path: str
    """Local folder, run folder (its newest checkpoint) or Hub id of a checkpoint in Hugging Face layout. An adapter is
    merged into its base first."""
    lora: LoraConfig | None = None
    """Train adapters instead of the weights. Then the tower and the projector are frozen unless asked for; a tower
    that trains has adapters, a projector that trains does so in full."""
    train_audio_tower: bool = True
    """R1-AQA trained everything, the tower too [S]; Omni-R1 says "full fine-tuning" [P]. With lora: false."""
    train_projector: bool = True
    """With lora: false."""
    train_language_model: bool = True
    precision: Literal["float32", "bf16_mixed"] = "float32"
    """bf16_mixed: matrix products in bfloat16 under autocast. Trained weights stay float32 in both: at learning rate
    1e-6 rounding to bfloat16 drops nearly every update."""
    frozen_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of weights that do not train; bfloat16 halves their memory and goes with precision: bf16_mixed."""
    gradient_checkpointing: bool = False
    device: str = "auto"
    """auto = cuda where there is one, else cpu; or a torch device such as cuda:1."""

    @model_validator(mode="before")
    @classmethod
    def lora_freezes_what_is_not_asked_for(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("lora") is not None:
            return {"train_audio_tower": False, "train_projector": False, **values}
        return values

    @model_validator(mode="after")
    def adapters_have_a_place(self) -> "ModelConfig":
        if self.lora is not None and not (self.train_language_model or self.train_audio_tower):
            raise ValueError("lora has no part to adapt: set train_language_model or train_audio_tower")
        if self.frozen_dtype == "bfloat16" and self.precision != "bf16_mixed":
            raise ValueError("frozen_dtype: bfloat16 beside float32 weights needs precision: bf16_mixed")
        return self

    @model_validator(mode="after")
    def something_trains(self) -> "ModelConfig":
        if not (self.train_audio_tower or self.train_projector or self.train_language_model):
            raise ValueError("nothing would train: set one of train_audio_tower, train_projector, train_language_model")
        return self
