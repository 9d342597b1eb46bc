"""Recipes: what a run is, as validated values.

Every key of a recipe is a field here, documented beside it; an unknown key, a wrong type or a contradiction is an
error that names the key, the value and the fix. Marks as in docs/method.md: [P] the paper's, [S] a sibling method's,
[O] ours. Not taken: a free-form dictionary passed down. A run folder's config.yaml must say everything that shaped
the run.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harken.errors import ConfigError

PositiveInt = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
ChoicesShown = Literal["list", "letters", "lines", "lettered_lines"]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


SectionT = TypeVar("SectionT", bound=Section)


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


class SourceConfig(Section):
    """One file of questions."""

    reader: Literal["mmau", "mmar", "airbench", "mmsu", "manifest"] = "mmau"
    """A benchmark's published record (mmau: both versions, and data in its form; mmar; airbench: the foundation part;
    mmsu), or manifest: harken's own JSONL."""
    file: Path
    audio_root: Path | None = None
    """Folder that clip names are relative to; default: the file's own folder."""
    audio: Literal["real", "none", "silence", "noise", "shuffled"] = "real"
    """real: the clip. none: the audio element is left out of the conversation, so no audio token appears at all. For
    evaluation alone [O], see `harken/data/ablation.py`: silence (zeros of the clip's length), noise (white noise of its
    length and level), shuffled (another question's clip)."""


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


class PromptConfig(Section):
    style: Literal["omni_r1", "r1_aqa", "r1_aqa_think", "adaptive", "mmau", "mmar", "airbench"] = "omni_r1"
    """omni_r1: question and options, the model says the choice [P]. r1_aqa: answer tags asked for [S]. r1_aqa_think:
    thinking and answer tags asked for [S]. adaptive: the model first judges whether the problem needs thinking [P, in
    our words O]. mmau, mmar, airbench: the benchmarks' own wording, sources in `harken/prompt.py`."""
    choices: ChoicesShown | None = None
    """list: `['a', 'b']` as siblings print it [O]. letters: `(A) a (B) b`. lines: one choice a line. lettered_lines:
    `A. a`, one a line. Only where letters are shown is a letter accepted as an answer. Default: the style's own, which
    is list but for mmar (lines) and airbench (lettered_lines)."""
    prompt_file: Path | None = None
    """A text with `{question}` and `{choices}` to use instead of the style's."""


class AdaptiveOptions(Section):
    """Switches of the adaptive think accuracy reward (Audio-Thinker 4.2)."""

    consistency: Literal["equation", "correct_only"] | None = None
    """Multiply by 1 + 0.5 R_c, the judge's verdict on whether the reasoning supports the answer. equation: always, as
    equation 7 prints it [P]. correct_only: where the answer is right, as the text says it. null: no judge is asked."""
    balance: bool = True
    """Penalty factors that favour the rarer of the two modes and fade out until the last step [P]."""
    balance_scope: Literal["step", "group"] = "step"
    """What the share of thinking is counted over: all completions of the step, or those of one prompt [O]."""


BUILT_IN_REWARDS = ("accuracy", "format", "adaptive", "quality")


class RewardPart(Section):
    """One term of the reward."""

    name: str
    """accuracy: 1 where the graded choice is right, else 0 [P]. format: 1 where the whole output has the form asked
    for, else 0 [P]. adaptive: Audio-Thinker's R_a, or R_a (1 + 0.5 R_c) with `options.consistency` [P]. quality: the
    judge's score of the reasoning, R_t [P]. `module:function`: a function of yours, see docs/rewards.md."""
    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    options: AdaptiveOptions | None = None
    """Of adaptive alone; default: all switches at theirs."""

    @model_validator(mode="after")
    def is_known(self) -> "RewardPart":
        module, colon, function = self.name.partition(":")
        names_function = all(part.isidentifier() for part in (*module.split("."), function))
        if self.name not in BUILT_IN_REWARDS and not (colon and names_function):
            raise ValueError(
                f"name: no such reward; one of {', '.join(BUILT_IN_REWARDS)}, or module:function for one of yours"
            )
        if self.weight == 0:
            raise ValueError("weight: a part of weight 0 rewards nothing: remove it")
        if self.options is not None and self.name != "adaptive":
            raise ValueError("options: belong to the part adaptive")
        return self


class RewardConfig(Section):
    parts: tuple[RewardPart, ...] = Field(default=(RewardPart(name="accuracy"),), min_length=1)
    """The reward is the sum of weight x part. Omni-R1: accuracy alone [P]."""

    @model_validator(mode="after")
    def every_part_is_named_once(self) -> "RewardConfig":
        names = self.names
        if len(set(names)) < len(names):
            raise ValueError(f"parts: a part is named twice: {', '.join(names)}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(part.name for part in self.parts)

    @property
    def adaptive(self) -> AdaptiveOptions | None:
        """The switches of the part adaptive; None where the reward has no such part."""
        found = [part.options or AdaptiveOptions() for part in self.parts if part.name == "adaptive"]
        return found[0] if found else None

    @property
    def judged(self) -> frozenset[Literal["consistency", "quality"]]:
        """What a judge is asked."""
        consistency = self.adaptive is not None and self.adaptive.consistency is not None
        return frozenset([*(["consistency"] if consistency else []), *(["quality"] if "quality" in self.names else [])])


class GrpoConfig(Section):
    steps: PositiveInt = 1000  # [P]
    prompts_per_step: PositiveInt = 8
    """Omni-R1: 4 GPUs x 1 x 2 = 8, read as prompts [P, reading O]."""
    completions_per_prompt: Annotated[int, Field(ge=2)] = 4  # [P]
    prompts_per_micro_batch: PositiveInt = 1
    """Whole groups only; memory is bounded by this, results are not changed by it."""
    num_iterations: PositiveInt = 1
    """Updates per rollout; above 1 the ratio is clipped."""
    temperature: Annotated[float, Field(gt=0)] = 1.2  # [P]
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0  # [O]
    top_k: Annotated[int, Field(ge=0)] = 0
    """0 = off [O]."""
    max_completion_tokens: PositiveInt = 64
    """64 for direct answers, 512 with reasoning [O]."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-6  # [P]
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """linear: to 0, no warm-up [S]."""
    warmup_share: Share = 0.0
    betas: tuple[float, float] = (0.9, 0.999)  # [S]
    weight_decay: Annotated[float, Field(ge=0)] = 0.0  # [S]
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """Of all gradients together [S]; null = not clipped."""
    beta: Annotated[float, Field(ge=0)] = 0.04
    """Weight of the KL term (k3 against the starting policy) [P]; 0 keeps no reference in memory."""
    clip_low: Annotated[float, Field(gt=0, lt=1)] = 0.2  # [O]
    clip_high: Annotated[float, Field(gt=0)] = 0.2
    """Upper clip range [O]; DAPO's is 0.28."""
    normalization: Literal["grpo", "dr_grpo", "dapo"] = "grpo"
    """grpo: mean over the tokens of an output, then over outputs. dr_grpo: sum over tokens divided by
    max_completion_tokens (arXiv 2503.20783). dapo: one mean over all tokens of the step (arXiv 2503.14476)."""
    scale_rewards: bool = True
    """Divide the advantage by the group's standard deviation; dr_grpo goes with false."""
    mask_truncated: bool = False
    """Leave completions that were cut at the maximum out of the loss [O]; they keep their reward and are counted."""
    temperature_in_loss: bool = False
    """Log-probabilities of logits / temperature instead of the untempered policy [O]."""
    policy_pass: Literal["packed", "repeated"] = "packed"
    """packed: one row [prompt | c1 | ... | cG]. repeated: G plain rows, for checking."""

    @model_validator(mode="after")
    def dr_grpo_does_not_scale(self) -> "GrpoConfig":
        if self.normalization == "dr_grpo" and self.scale_rewards:
            raise ValueError("normalization: dr_grpo goes without division by std: set scale_rewards: false")
        return self


class SftConfig(Section):
    steps: PositiveInt | None = None
    """Default: `epochs` passes over the data."""
    epochs: Annotated[float, Field(gt=0)] = 1.0  # [O]
    stop_at_dev_accuracy: Share | None = None
    """Stop early once greedy accuracy on the development part reaches this: a warm start for GRPO [O]."""
    questions_per_step: PositiveInt = 32  # [O]
    questions_per_micro_batch: PositiveInt = 8
    learning_rate: Annotated[float, Field(gt=0)] = 1e-5  # [O]
    schedule: Literal["linear", "cosine", "constant"] = "cosine"  # [O]
    warmup_share: Share = 0.03  # [O]
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    """null = not clipped."""


class MemoryConfig(Section):
    """What is kept where, to fit a smaller card. Every key but the defaults drops something and says what;
    docs/memory.md has the account, `harken plan` that of a recipe."""

    weights: Literal["float32", "bf16_corrected", "bf16_stochastic"] = "float32"
    """Of what trains. float32: 4 bytes. bf16_corrected: 2, and the 16 bits that make them float32 again beside the
    optimizer's state: the update is that of float32, passes see bfloat16; drops 16 bits of gradients. bf16_stochastic:
    2 bytes, rounded up or down at random so that the mean is right (by seed, update and weight: a resumed run rounds
    alike); drops the bits below bfloat16. Both load the whole checkpoint in bfloat16, frozen parts too, and go with
    precision: bf16_mixed."""
    optimizer: Literal["adamw", "adamw_8bit", "offloaded"] = "adamw"
    """adamw: two float32 numbers a weight. adamw_8bit: two of 8 bits with a scale for each 256 (arXiv 2110.02861);
    drops their precision. offloaded: both in host memory, where the update is made; drops speed alone."""
    step_in_backward: bool = False
    """Update each weight as soon as its gradient is there, so that no two layers' gradients are in memory. Drops the
    sum over micro-batches (a step is one) and the norm of all gradients (`max_grad_norm: null`); a gradient that is
    not finite ends the run after some weights of that step have moved."""
    reference: Literal["copy", "streamed", "int8"] = "copy"
    """Of the KL term. copy: the trained weights once more; with lora that is the adapters alone. streamed: the blocks in
    host memory, each brought in for its turn; the same numbers, drops speed where a pass is short. int8: linear layers
    in 8 bits, one scale a row; drops exactness: the KL is off by what is measured and printed at the start."""
    rollout_rows: PositiveInt | None = None
    """At most so many completions are decoded at once; null = all of a micro-batch. Drops speed, changes no sample."""

    def refusal(self, settings: "GrpoConfig | SftConfig") -> str | None:
        """Why a section cannot be run with what is dropped; None where it can."""
        if not self.step_in_backward:
            return None
        name, size, per_step = ("grpo", "prompts_per_micro_batch", "prompts_per_step")
        if isinstance(settings, SftConfig):
            name, size, per_step = ("sft", "questions_per_micro_batch", "questions_per_step")
        if settings.max_grad_norm is not None:
            return (
                f"memory.step_in_backward: the norm of all gradients is never known, and {name}.max_grad_norm is "
                f"{settings.max_grad_norm}: set {name}.max_grad_norm: null"
            )
        if getattr(settings, size) < getattr(settings, per_step):
            return (
                f"memory.step_in_backward: gradients of several micro-batches cannot be added up, and {name}.{size} is "
                f"{getattr(settings, size)} of {getattr(settings, per_step)}: set {name}.{size}: "
                f"{getattr(settings, per_step)}"
            )
        return None


class ProbeConfig(Section):
    """A fixed set of clips with transcripts, measured before the first step, on the way and after the last: what
    training costs elsewhere. docs/probe.md describes it."""

    file: Path
    """JSON lines: id, audio, text, and prompt where a record has its own. All must be good."""
    audio_root: Path | None = None
    """Folder that clip names are relative to; default: the file's own folder."""
    prompt: Annotated[str, Field(min_length=1)] | None = None
    """Instruction of records that bring none; default: `TRANSCRIBE` of harken/prompt.py [O]."""
    every: PositiveInt = 100
    """Steps between measurements [O]."""
    max_completion_tokens: PositiveInt = 128
    """Longest transcript; a reference must fit."""


class EndpointConfig(Section):
    """A language model behind an OpenAI-compatible server."""

    base_url: str = Field(pattern=r"^https?://")
    """Up to and with /v1, as the openai package takes it."""
    model: str = Field(min_length=1)
    """Name the server knows it by."""
    api: Literal["chat", "completion"] = "chat"
    """chat: /chat/completions. completion: /completions, for a base model."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; never the key. null: a server that wants none."""
    concurrency: PositiveInt = 16
    """Requests under way at once."""
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    timeout_s: Annotated[float, Field(gt=0)] = 60.0
    """Of one attempt, from the request to the end of the reply."""
    retries: Annotated[int, Field(ge=0)] = 5
    """Further attempts after refusals for load, errors of the server, time-outs and replies that are none."""
    retry_wait_s: Annotated[float, Field(ge=0)] = 1.0
    """Before the first further attempt, at most; doubled for each, with jitter. A server's Retry-After goes first."""


class LocalJudgeConfig(Section):
    """A judge model in this process, for one machine."""

    path: str
    """Folder or Hub id of a text model in Hugging Face layout; Audio-Thinker's judge is Qwen/Qwen3-8B-Base [P]."""
    style: Literal["completion", "chat"] = "completion"
    """completion: the prompt as it is, for a base model [P]. chat: the prompt as one user turn, thinking off."""
    batch_size: PositiveInt = 16
    """Prompts answered together; up to about 3,000 tokens each."""
    dtype: Literal["float32", "bfloat16", "float16"] = "bfloat16"
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, ..."""


class JudgeConfig(Section):
    """The language model that scores reasoning: exactly one of `endpoint` and `local`. docs/judges.md describes it."""

    endpoint: EndpointConfig | None = None
    """A server; its `api` is the style of the prompt: completion for a base model, chat for the rest."""
    local: LocalJudgeConfig | None = None
    consistency_prompt_file: Path | None = None
    """A text with lines `{reasoning}`, `{answer}` and, if wanted, `{options}` to use instead of ours [O]."""
    quality_prompt_file: Path | None = None
    """The same with `{reasoning}` and, if wanted, `{question}` and `{options}` [O]."""
    answer_prompt_file: Path | None = None
    """The same with `{reference}`, `{prediction}` and, if wanted, `{question}` and `{options}` [O]."""
    max_failed_share: Share = 0.2
    """Above this share of failed calls in a step the run stops [O]."""

    @model_validator(mode="after")
    def one_model(self) -> "JudgeConfig":
        if (self.endpoint is None) == (self.local is None):
            raise ValueError("a judge is a server or a model in this process: set one of endpoint and local")
        return self


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

    @model_validator(mode="after")
    def development_part_exists(self) -> "Recipe":
        if self.logging.evaluate_every is not None and self.data.dev_share == 0:
            raise ValueError("logging.evaluate_every needs a development part: set data.dev_share, for example 0.1")
        if self.sft.stop_at_dev_accuracy is not None and self.logging.evaluate_every is None:
            raise ValueError("sft.stop_at_dev_accuracy needs evaluations on the way: set logging.evaluate_every")
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
    (harken/baselines.py); or `endpoint`."""
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


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a YAML training recipe and apply `key.path=value` overrides, the value parsed as YAML.

    Raises ConfigError naming file, key, value and fix.
    """
    return parse(Recipe, read_yaml(path, overrides), str(path))


def read_yaml(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping in a YAML file, overrides applied. Raises ConfigError."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; save the recipe as UTF-8") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of keys, found {type(loaded).__name__}")
    for override in overrides:
        apply_override(loaded, override)
    return loaded


def resolve(
    section: type[SectionT],
    recipe: Path | None,
    overrides: Sequence[str],
    options: Mapping[str, Any],
    command: str,
    without: Collection[str] = (),
) -> SectionT:
    """What a command runs: its recipe, `key=value` overrides over it, options that were given (not None) over both.

    Args:
        options: dotted key -> value.
        command: named in errors where there is no recipe.
        without: keys of the recipe that options take the place of.
    """
    origin = str(recipe) if recipe is not None else command
    values = read_yaml(recipe) if recipe is not None else {}
    values = {key: value for key, value in values.items() if key not in without}
    for override in overrides:
        apply_override(values, override)
    for key, value in options.items():
        if value is not None:
            set_key(values, key, value, origin)
    return parse(section, values, origin)


def parse(section: type[SectionT], values: dict[str, Any], origin: str) -> SectionT:
    """Validate a mapping; `origin` is named in errors."""
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{origin}: {line}" for line in _explanations(section, error))) from error


def apply_override(values: dict[str, Any], override: str) -> None:
    """Put `key.path=value` into a recipe's values, the value parsed as YAML. Raises ConfigError."""
    key, separator, text = override.partition("=")
    if not separator or not all(key.split(".")):
        raise ConfigError(f"--set {override}: expected key=value, for example grpo.learning_rate=1e-6")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML: {error}") from error
    set_key(values, key, value, f"--set {override}")


def set_key(values: dict[str, Any], key: str, value: Any, origin: str) -> None:
    """Put a value at `key.path` into a recipe's values; `origin` begins the ConfigError where a part of the path is no
    section."""
    *parts, last = key.split(".")
    target: Any = values
    for part in parts:
        target = _child(target, part, origin)
    if isinstance(target, list):
        target[_index(target, last, origin)] = value
    else:
        target[last] = value


def _child(target: Any, part: str, origin: str) -> Any:
    if isinstance(target, list):
        return target[_index(target, part, origin)]
    child = target.setdefault(part, {})
    if not isinstance(child, dict | list):
        raise ConfigError(f"{origin}: {part!r} is a single value, not a section")
    return child


def _index(target: list[Any], part: str, origin: str) -> int:
    if not part.isdigit() or int(part) >= len(target):
        raise ConfigError(f"{origin}: {part!r} is not an entry of a list of {len(target)}")
    return int(part)


def _explanations(section: type[Section], error: ValidationError) -> list[str]:
    details = error.errors()
    # A list whose only entry is wrong is also reported as too short; the entry's own error says more.
    nested = {detail["loc"][:n] for detail in details for n in range(len(detail["loc"]))}
    telling = [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in nested]
    return [_explain(section, detail) for detail in telling]


def _explain(section: type[Section], detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "recipe"
    if detail["type"] == "extra_forbidden":
        for part in detail["loc"][:-1]:
            if isinstance(part, str):
                section = _section_in(section.model_fields[part].annotation)
        return f"{key}: unknown key; known here: {', '.join(section.model_fields)}"
    if detail["type"] == "missing":
        return f"{key}: missing"
    return f"{key}: {detail['msg'].removeprefix('Value error, ')} (found {detail['input']!r})"


def _section_in(annotation: Any) -> type[Section]:
    """The section a field holds, alone, in a tuple or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(_section_in(part) for part in get_args(annotation) if part not in (type(None), ...))
