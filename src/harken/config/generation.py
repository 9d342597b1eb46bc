"""Recipes of `harken generate`: who writes, from what, and what is kept."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, model_validator

from harken.config.judge import EndpointConfig
from harken.config.section import PositiveInt, Section


class SamplingConfig(Section):
    """How a generator is asked. The papers state none of it [O]."""

    temperature: Annotated[float, Field(ge=0)] = 0.7
    max_tokens: PositiveInt = 1024
    """Of one reply; a reply that is cut there is a bad one."""
    tries: PositiveInt = 2
    """First request and repairs: a reply that cannot be used is shown to the model with what is wrong with it."""


class PricesConfig(Section):
    """What a million tokens cost, in any currency, for the account that is printed."""

    prompt: Annotated[float, Field(ge=0)]
    completion: Annotated[float, Field(ge=0)]


class GenerationRecipe(Section):
    """What all `harken generate` commands read, from a file, from their options, or both."""

    endpoint: EndpointConfig
    sampling: SamplingConfig = SamplingConfig()
    prompt_file: Path | None = None
    """A text with the placeholders of docs/generate.md to use instead of our wording."""
    prices: PricesConfig | None = None
    """Default: tokens are counted, no cost is stated."""

    @model_validator(mode="after")
    def endpoint_takes_chat(self) -> "GenerationRecipe":
        if self.endpoint.api != "chat":
            raise ValueError("endpoint.api: generation asks chat models: set it to chat")
        return self


GenerationT = TypeVar("GenerationT", bound=GenerationRecipe)


class QuestionFilters(Section):
    """Each is off unless the recipe says so."""

    max_words: PositiveInt | None = None
    """Of question and choices together, split at white space."""
    max_tokens: PositiveInt | None = None
    """The same in tokens of `tokenizer`. VGGS-GPT kept 54k of 182k by length [P]; the limit is not stated."""
    tokenizer: str | None = None
    """Checkpoint folder or Hub id."""
    music_stated: bool = False
    """Drop a question about music where the clip's facts state no music [O]."""
    needs_audio: Annotated[int, Field(ge=0)] = 0
    """K > 0: drop a question that the generator itself answers right K times out of K, asked without the clip [O]."""

    @model_validator(mode="after")
    def tokens_have_a_tokenizer(self) -> "QuestionFilters":
        if (self.max_tokens is None) != (self.tokenizer is None):
            raise ValueError("max_tokens and tokenizer go together: set both, or neither")
        return self


class QuestionRecipe(GenerationRecipe):
    """`harken generate questions`: facts about clips -> a manifest."""

    captions: Path
    """JSON lines, one clip a line: docs/generate.md."""
    filters: QuestionFilters = QuestionFilters()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of the right answers' positions."""


class ReasoningRecipe(GenerationRecipe):
    """`harken generate reasoning`: a manifest and facts about its clips -> the manifest with reasoning."""

    manifest: Path
    captions: Path


class CaptionRecipe(GenerationRecipe):
    """`harken generate captions`: a manifest's clips, heard by a served audio model -> facts about them."""

    manifest: Path
    audio_root: Path | None = None
    """Folder that clip names are relative to; default: the manifest's own folder."""
