"""An evaluation recipe: which model answers what, how."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from harken.config.data import SourceConfig
from harken.config.judge import EndpointConfig, JudgeConfig
from harken.config.prompt import PromptConfig
from harken.config.published import PublishedRow
from harken.config.section import PositiveInt, Section


class SubsetConfig(Section):
    """Only questions with one of the values, under every key given. Records that cannot be read stay in."""

    task: tuple[str, ...] = ()
    difficulty: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    subcategory: tuple[str, ...] = ()
    dataset: tuple[str, ...] = ()


class EvaluationRecipe(Section):
    """One evaluation: what `harken evaluate` reads, from a file, from its options, or both. docs/evaluation.md."""

    name: str = Field(default="evaluation", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of samples, choice orders, noise and shuffled clips."""
    model: str | None = None
    """Checkpoint folder, run folder (its newest checkpoint) or Hub id; or random-guess, most-frequent-choice
    (harken/evaluation/baselines.py); or `endpoint`."""
    endpoint: EndpointConfig | None = None
    """A served model that takes `input_audio`, in the place of `model`."""
    data: SourceConfig
    subset: SubsetConfig = SubsetConfig()
    limit: PositiveInt | None = None
    """Only the first so many questions."""
    allow_missing: bool = False
    """Go on where clips are not there; their questions count as wrong. Without it that is an error."""
    prompt: PromptConfig = PromptConfig()
    temperature: Annotated[float, Field(ge=0)] = 0.0
    """0 = greedy [O]."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    samples: PositiveInt = 1
    """Answers to each question; above 1 with a temperature above 0."""
    permute: PositiveInt = 1
    """Orders in which the choices of each question are shown, the first as in the file, the others by `seed`."""
    max_completion_tokens: PositiveInt = 64
    """64 for direct answers, 512 with reasoning [O]."""
    batch_size: PositiveInt = 32
    """Rows decoded together by a local model, samples counted."""
    long_audio: Literal["crop", "wrong"] = "crop"
    """A clip longer than the model hears is cut to its window, or its question counted wrong; both are counted. What a
    served model hears is not known here: it is sent whole."""
    judge: JudgeConfig | None = None
    """Asked of each answer whether it means the right one: a column beside `accuracy`, never mixed with it [O]."""
    force: Literal["think", "no_think"] | None = None
    """Every completion begins with `<think>`, or with `<answer>`: what the same model does in one mode alone [O]."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device: str = "auto"
    published: tuple[PublishedRow, ...] = ()
    """Rows of papers to print beside the result, where it is on the same benchmark and version."""

    @model_validator(mode="after")
    def forced_form_is_asked_for(self) -> "EvaluationRecipe":
        if self.force is not None and self.prompt.style not in ("r1_aqa", "r1_aqa_think", "adaptive"):
            raise ValueError(
                f"force: prompt.style {self.prompt.style} asks for no tags: set style adaptive, or remove force"
            )
        if self.force is not None and self.endpoint is not None:
            raise ValueError("force: a served model begins its answers itself: remove force, or evaluate a checkpoint")
        return self

    @model_validator(mode="after")
    def one_model_answers(self) -> "EvaluationRecipe":
        if (self.model is None) == (self.endpoint is None):
            raise ValueError("give either model (a checkpoint) or endpoint (a served model)")
        if self.endpoint is not None and self.endpoint.api != "chat":
            raise ValueError("endpoint.api: only chat takes audio: set endpoint.api: chat")
        if self.endpoint is not None and self.long_audio == "wrong":
            raise ValueError("long_audio: wrong needs a model whose window is known: leave it at crop with an endpoint")
        return self

    @model_validator(mode="after")
    def trials_differ(self) -> "EvaluationRecipe":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(f"samples: {self.samples} greedy answers are all the same: set temperature, such as 1.0")
        if self.samples > 1 and self.permute > 1:
            raise ValueError("samples and permute: give one of them")
        return self
