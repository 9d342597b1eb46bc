"""`data`: files of questions, and how training walks through them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from harken.config.section import PositiveInt, Section, Share


class SourceConfig(Section):
    """One file of questions."""

    reader: str = "mmau"
    """Whose records the file holds: the name of a benchmark (docs/benchmarks.md; mmau also for data in its form),
    `module:object` for a benchmark of yours (docs/extending.md), or manifest for harken's own JSON lines."""
    file: Path
    audio_root: Path | None = None
    """Folder that clip names are relative to; default: the file's own folder."""
    audio: Literal["real", "none", "silence", "noise", "shuffled"] = "real"
    """real: the clip. none: the audio element is left out of the conversation, so no audio token appears at all. For
    evaluation alone [O], see `harken/data/audio_modes.py`: silence (zeros of the clip's length), noise (white noise of
    its length and level), shuffled (another question's clip)."""


class DataConfig(Section):
    train: tuple[SourceConfig, ...] = Field(min_length=1)
    """Several sources are mixed: one shuffled order over all records."""
    dev_share: Share = 0.0
    """Part of the clips of `train`, chosen by a hash of the clip, kept out of training for `evaluate_every`. A clip
    is never on both sides."""
    max_rejected_share: Share = 0.05
    """Above this share of bad records training stops and says how to go on."""
    max_prompt_tokens: PositiveInt = 4096
    """A longer prompt is left out, counted and listed; a prompt is never cut."""
    feature_cache_gib: Annotated[float, Field(ge=0)] = 2.0
    """Host memory for mel spectrograms that were computed already."""
    encoded_cache: Path | None = None
    """Folder where clips that a frozen tower encoded are kept across epochs and runs, by their content and the tower's
    weights; default: none are kept. Goes with train_audio_tower: false and train_projector: false."""
    order: Literal["shuffled", "pass_rate"] = "shuffled"
    """pass_rate: from the easiest question to the hardest, by `pass_rates`; those of 0 and of 1 teach GRPO nothing and
    are dropped (SARI, arXiv 2504.15900)."""
    pass_rates: Path | None = None
    """JSON lines of id and pass_rate, the share of the base model's samples that were right."""

    @model_validator(mode="after")
    def an_order_by_pass_rate_has_them(self) -> "DataConfig":
        if (self.order == "pass_rate") != (self.pass_rates is not None):
            raise ValueError("order: pass_rate and pass_rates: FILE go together: set both or neither")
        return self

    @model_validator(mode="after")
    def training_hears_the_clip_or_nothing(self) -> "DataConfig":
        for number, source in enumerate(self.train):
            if source.audio not in ("real", "none"):
                raise ValueError(f"train.{number}.audio: {source.audio} is for evaluation; training takes real or none")
        return self
