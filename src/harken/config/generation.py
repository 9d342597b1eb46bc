"""Recipes of `harken generate`: which model writes, from which facts, and what is kept."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, model_validator

from harken.config.judge import EndpointConfig
from harken.config.section import CheckpointName, NonNegativeInt, PositiveInt, Section


class SamplingConfig(Section):
    """How the model that writes is sampled. The papers do not state these settings [O]."""

    temperature: Annotated[float, Field(ge=0)] = 0.7
    max_tokens: PositiveInt = 1024
    """The longest reply. A reply that is cut there cannot be used."""
    tries: PositiveInt = 2
    """The number of requests for one reply. If a reply cannot be used, the next request shows it to the model together
    with its fault."""


class PricesConfig(Section):
    """Prices of a million tokens in any currency, from which the printed cost is computed."""

    prompt: Annotated[float, Field(ge=0)]
    """The price of a million tokens of prompts."""
    completion: Annotated[float, Field(ge=0)]
    """The price of a million tokens of replies."""


class GenerationRecipe(Section):
    """What every `harken generate` command reads, from a file, from its options, or from both."""

    endpoint: EndpointConfig
    """The served model that writes."""
    sampling: SamplingConfig = SamplingConfig()
    """How that model is sampled."""
    prompt_file: Path | None = None
    """A text with the placeholders of docs/generate.md, which replaces our wording."""
    prices: PricesConfig | None = None
    """Prices of tokens. Without them tokens are counted and no cost is printed."""

    @model_validator(mode="after")
    def endpoint_takes_chat(self) -> "GenerationRecipe":
        if self.endpoint.api != "chat":
            raise ValueError("endpoint.api: generation asks chat models: set it to chat")
        return self


GenerationT = TypeVar("GenerationT", bound=GenerationRecipe)


class QuestionFilters(Section):
    """Filters of written questions. Each is off by default."""

    max_words: PositiveInt | None = None
    """The most words of a question and its choices together, split at white space."""
    max_tokens: PositiveInt | None = None
    """The most tokens of a question and its choices together, by `tokenizer`. VGGS-GPT kept 54k of 182k questions by
    their length [P]; the paper does not state the limit."""
    tokenizer: CheckpointName | None = None
    """A checkpoint folder or Hub id whose tokenizer counts for `max_tokens`."""
    music_stated: bool = False
    """Drop a question about music if the facts about its clip state no music [O]."""
    needs_audio: NonNegativeInt = 0
    """With K > 0, drop a question that the model answers right K times out of K without the clip [O]."""

    @model_validator(mode="after")
    def max_tokens_needs_a_tokenizer(self) -> "QuestionFilters":
        if (self.max_tokens is None) != (self.tokenizer is None):
            raise ValueError("max_tokens and tokenizer go together: set both, or neither")
        return self


class QuestionRecipe(GenerationRecipe):
    """`harken generate questions` writes a manifest of questions from facts about clips."""

    captions: Path
    """Facts about clips as JSON lines, one clip a line (docs/generate.md)."""
    filters: QuestionFilters = QuestionFilters()
    """Which of the written questions are dropped."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """The seed of the positions of the right answers."""


class ReasoningRecipe(GenerationRecipe):
    """`harken generate reasoning` adds reasoning to the questions of a manifest, from facts about their clips."""

    manifest: Path
    """The questions, as harken's own JSON lines."""
    captions: Path
    """Facts about clips as JSON lines, one clip a line (docs/generate.md)."""


class CaptionRecipe(GenerationRecipe):
    """`harken generate captions` has a served audio model write facts about the clips of a manifest."""

    manifest: Path
    """The questions whose clips are described, as harken's own JSON lines."""
    audio_root: Path | None = None
    """The folder that clip names are relative to. Default: the folder of the manifest."""


class ParaphraseRecipe(GenerationRecipe):
    """`harken generate paraphrases` writes each question of a manifest in other words."""

    manifest: Path
    """The questions, as harken's own JSON lines."""
    wordings: PositiveInt = 3
    """The number of other wordings of each question."""
