"""An evaluation recipe: which model answers which questions, and how it is sampled."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from harken.config.data import SourceConfig
from harken.config.judge import EndpointConfig, JudgeConfig
from harken.config.prompt import PromptConfig
from harken.config.published import PublishedRow
from harken.config.section import CheckpointName, DeviceName, PositiveInt, Section, Share


def think_budget(force: str | None) -> int | None:
    """The tokens of reasoning that a form such as think:64 allows; None for every other form."""
    name, colon, tokens = (force or "").partition(":")
    return (
        int(tokens) if name == "think" and colon and tokens.isascii() and tokens.isdecimal() and int(tokens) else None
    )


def _known_form(force: str) -> str:
    if force not in ("think", "no_think") and think_budget(force) is None:
        raise ValueError("expected think, no_think, or think: and a number of tokens, such as think:64")
    return force


class SubsetConfig(Section):
    """Keeps the questions that have one of the values under every key that is given.

    Records that cannot be read are kept, since their values are unknown; they count as wrong.
    """

    task: tuple[str, ...] = ()
    difficulty: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    subcategory: tuple[str, ...] = ()
    dataset: tuple[str, ...] = ()


class EvaluationRecipe(Section):
    """One evaluation. `harken evaluate` reads it from a file, from its options, or from both (docs/evaluation.md)."""

    name: str = Field(default="evaluation", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The name of the folder that is written, where `--out` names no other."""
    max_failed_share: Share = 0.05
    """The largest share of requests to a server that may fail. The command ends with an error where more fail; the
    answers are written all the same, and the failed ones count as wrong."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """The seed of the samples, the orders of the choices, the noise and the shuffling of clips."""
    model: CheckpointName | None = None
    """A checkpoint folder, a run folder (its newest checkpoint is taken), a Hub id, or one of the baselines
    random-guess and most-frequent-choice (harken/evaluation/baselines.py)."""
    endpoint: EndpointConfig | None = None
    """A served model that takes `input_audio`, instead of `model`."""
    data: SourceConfig
    """The file of questions."""
    subset: SubsetConfig = SubsetConfig()
    """Which of the questions are asked. Default: all."""
    limit: PositiveInt | None = None
    """Ask only the first so many questions."""
    allow_missing: bool = False
    """Go on if clips are missing, and count their questions as wrong. By default a missing clip is an error."""
    prompt: PromptConfig = PromptConfig()
    """How the questions are worded."""
    temperature: Annotated[float, Field(ge=0)] = 0.0
    """The temperature of sampling; 0 decodes greedily [O]."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Sample from the most likely tokens that have this probability together."""
    samples: PositiveInt = 1
    """The number of answers to each question. More than one needs a temperature above 0."""
    permute: PositiveInt = 1
    """The number of orders in which the choices of each question are shown. The first order is that of the file, the
    others follow from `seed`."""
    paraphrases: Path | None = None
    """JSON lines with other wordings of the questions, as `harken generate paraphrases` writes them. Each question is
    asked in its own words and in these, with the same orders of its choices."""
    max_completion_tokens: PositiveInt = 64
    """The longest completion: 64 for direct answers, 512 with reasoning [O]."""
    batch_size: PositiveInt = 32
    """The number of completions that a local model decodes together."""
    long_audio: Literal["crop", "wrong"] = "crop"
    """What happens to a clip that is longer than the window of a local model. crop: the clip is cut to the window.
    wrong: its question counts as wrong. Both are counted. A served model gets the whole clip, since its window is not
    known."""
    judge: JudgeConfig | None = None
    """A judge that decides whether each answer means the right choice. Its verdicts are a column beside `accuracy` and
    never part of it [O]."""
    transcripts: bool = False
    """Score the answers to open questions as transcripts of their reference: 1 - word error rate, and the rate over all
    questions [O]."""
    likelihoods: bool = False
    """Also compute the probability that the model writes each choice as its answer, in one more pass, and with it the
    share of the right choice among all choices [O]. For a checkpoint and a prompt that asks for no reasoning."""
    force: Annotated[str, AfterValidator(_known_form)] | None = None
    """Begin every completion with `<think>` (think) or with `<answer>` (no_think), to measure each mode of a model
    alone [O]. think:64 also ends the reasoning after 64 tokens at most, or another number, and has the model answer
    then; `max_completion_tokens` is the longest answer after it."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """The type of a local model's weights. auto takes the checkpoint's own type on a GPU and float32 on a CPU."""
    device: DeviceName = "auto"
    """auto takes cuda if there is a GPU, else cpu. Otherwise a torch device, such as cuda:1."""
    import_from: tuple[Path, ...] = ()
    """Folders in which modules of `module:object` names are looked for, beside what is installed. Default, where the
    recipe names such an object: the folder of the recipe file and of each that it extends; for a name in an
    option the working folder."""
    published: tuple[PublishedRow, ...] = ()
    """Rows of papers that are printed beside the result if it is on the same benchmark and version."""

    @model_validator(mode="after")
    def a_forced_form_fits_the_prompt(self) -> "EvaluationRecipe":
        if self.force is not None and self.prompt.style not in ("r1_aqa", "r1_aqa_think", "adaptive"):
            raise ValueError(
                f"force: prompt.style {self.prompt.style} asks for no tags: set style adaptive, or remove force"
            )
        if self.force is not None and self.endpoint is not None:
            raise ValueError("force: a served model begins its answers itself: remove force, or evaluate a checkpoint")
        return self

    @model_validator(mode="after")
    def likelihoods_need_the_numbers_of_a_checkpoint(self) -> "EvaluationRecipe":
        if self.likelihoods and self.endpoint is not None:
            raise ValueError("likelihoods: a served model does not give them: remove it, or evaluate a checkpoint")
        if self.likelihoods and self.prompt.style == "r1_aqa_think":
            raise ValueError("likelihoods: prompt.style r1_aqa_think asks for reasoning first: set r1_aqa")
        return self

    @model_validator(mode="after")
    def exactly_one_model_answers(self) -> "EvaluationRecipe":
        if (self.model is None) == (self.endpoint is None):
            raise ValueError("give either model (a checkpoint) or endpoint (a served model)")
        if self.endpoint is not None and self.endpoint.api != "chat":
            raise ValueError("endpoint.api: only chat takes audio: set endpoint.api: chat")
        if self.endpoint is not None and self.long_audio == "wrong":
            raise ValueError("long_audio: wrong needs a model whose window is known: leave it at crop with an endpoint")
        return self

    @model_validator(mode="after")
    def several_answers_can_differ(self) -> "EvaluationRecipe":
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(f"samples: {self.samples} greedy answers are all the same: set temperature, such as 1.0")
        if self.samples > 1 and (self.permute > 1 or self.paraphrases is not None):
            raise ValueError("samples and permute or paraphrases: give one of them")
        return self
