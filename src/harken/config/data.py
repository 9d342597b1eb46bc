"""The section `data`: which files of questions are read, and in which order training goes through them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from harken.config.section import PositiveInt, Section, Share

AUDIO_MODES = ("real", "none", "silence", "noise", "shuffled")


def fragment_share(mode: str) -> float | None:
    """The share of the clip that a mode such as fragment:0.25 keeps; None for every other mode."""
    name, colon, share = mode.partition(":")
    if name != "fragment" or not colon:
        return None
    try:
        value = float(share)
    except ValueError:
        return None
    return value if 0 < value < 1 else None


def _known_audio_mode(mode: str) -> str:
    if mode not in AUDIO_MODES and fragment_share(mode) is None:
        known = ", ".join(map(repr, AUDIO_MODES))
        raise ValueError(f"expected one of {known}, or fragment: and a share of the clip, such as 'fragment:0.25'")
    return mode


class SourceConfig(Section):
    """One file of questions."""

    reader: str = "mmau"
    """The format of the file: manifest for harken's own JSON lines, the name of a benchmark for the records that it
    publishes (docs/benchmarks.md; mmau also reads other data in the same format), or `module:object` for a benchmark of
    yours (docs/extending.md)."""
    file: Path
    """The file of questions."""
    audio_root: Path | None = None
    """The folder that clip names are relative to. Default: the folder of the file."""
    audio: Annotated[str, AfterValidator(_known_audio_mode)] = "real"
    """What the model hears. real: the clip. none: the audio element is left out of the conversation, so that no audio
    token appears at all. The others are for evaluation [O] (`harken/data/audio_modes.py`): silence (zeros of the clip's
    length), noise (white noise of its length and level), shuffled (the clip of another question), and fragment:0.25 (a
    quarter of the clip, or another share, at a random place that `seed` and the clip decide)."""
    truncated: Literal["refuse", "accept"] = "refuse"
    """What happens to a clip whose file is cut short or damaged. refuse: its record is rejected, with the length that
    the file states and the length that decodes. accept: what decodes is used, and the clip is counted [O]."""


class TrainingSource(SourceConfig):
    """One file of questions to train on."""

    weight: Annotated[float, Field(gt=0)] | None = None
    """The share of the prompts that come from this file, relative to the weights of the other files: with 3 and 1
    three quarters and one quarter, from the first step on, however many questions the files have. A file with few
    questions is gone through more often. All files have a weight or none; without, each question of all files is
    equally frequent."""


class DataConfig(Section):
    """The training data."""

    train: tuple[TrainingSource, ...] = Field(min_length=1)
    """The files of questions. The records of several files are mixed into one shuffled order, or by their weights."""
    dev_share: Share = 0.0
    """The share of the clips of `train` that forms the development part, which is kept out of training for
    `logging.evaluate_every`. A hash of the clip decides, so that a clip is never in both parts."""
    max_rejected_share: Share = 0.05
    """Training stops and says how to go on if more than this share of the records cannot be used."""
    max_prompt_tokens: PositiveInt = 4096
    """A question whose prompt is longer is left out, counted and listed. A prompt is never cut."""
    hash_clips: bool = False
    """Bind a run to the SHA-256 of every clip and of the base checkpoint's weights, which reads all of them when it
    starts and when it is resumed. Clips and weights may then be copied. With false a run is bound to their sizes and
    times of change, and hashes that were recorded earlier count where the times differ."""
    feature_cache_gib: Annotated[float, Field(ge=0)] = 2.0
    """Host memory, in GiB, in which computed mel spectrograms are kept."""
    encoded_cache: Path | None = None
    """A folder in which the output of a frozen audio tower, before the projector, is kept for later epochs and runs, by
    the content of the clip and the weights of the tower. Default: nothing is kept. It needs train_audio_tower: false;
    on several ranks also train_projector: false, and `harken train`."""
    order: Literal["shuffled", "pass_rate"] = "shuffled"
    """shuffled: a new random order in every epoch. pass_rate: from the easiest question to the hardest, by
    `pass_rates`; questions with a rate of 0 or 1 teach GRPO nothing and are dropped (SARI, arXiv 2504.15900)."""
    pass_rates: Path | None = None
    """JSON lines with the keys id and pass_rate: the share of the base model's samples that were right."""

    @model_validator(mode="after")
    def pass_rates_go_with_their_order(self) -> "DataConfig":
        if (self.order == "pass_rate") != (self.pass_rates is not None):
            raise ValueError("order: pass_rate and pass_rates: FILE go together: set both or neither")
        return self

    @model_validator(mode="after")
    def every_file_has_a_weight_or_none(self) -> "DataConfig":
        without = [number for number, source in enumerate(self.train) if source.weight is None]
        if 0 < len(without) < len(self.train):
            raise ValueError(f"train.{without[0]}.weight: other files have a weight: set one for each file or for none")
        if self.order == "pass_rate" and not without:
            raise ValueError("train.0.weight: order: pass_rate goes through all files by rate: remove the weights")
        return self

    @model_validator(mode="after")
    def training_takes_real_audio_or_none(self) -> "DataConfig":
        for number, source in enumerate(self.train):
            if source.audio not in ("real", "none"):
                raise ValueError(f"train.{number}.audio: {source.audio} is for evaluation; training takes real or none")
        return self
