"""What a run needs of a card's memory, by arithmetic.

Takes a recipe and the sizes of its model, gives an account in bytes: what is there all the time, what a rollout adds,
what a training pass adds. Nothing is loaded and torch is not needed. Not counted: the CUDA context, libraries'
workspaces and fragments; `RESERVE` stands for them.

Not taken: a profile of a real step, which needs the card that is asked about.
"""

import math
from dataclasses import dataclass

from harken.config import GrpoConfig, MemoryConfig, Recipe, SftConfig

GIB = 2**30
RESERVE = int(1.5 * GIB)
"""Of a card, for its context, workspaces of libraries and fragments."""
AUDIO_POSITIONS_PER_S = 50
"""Of the towers, after their convolutions: one for 20 ms."""
LOGIT_ROWS = 512
"""As in `harken.inference.log_probabilities`, which a test compares."""
ROOM_TOKENS = 16
"""As in `harken.inference.kv_cache_growing`, whose bytes a test compares."""
UPDATE = 10 * 2**24 * 4
"""Float32 pieces on the way in `harken.training.memory_saving_adamw`."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of one model, in numbers of parameters or of elements.

    Attributes:
        tower, projector, language: parameters of each part; the head is in language.
        tower_blocks, language_blocks: parameters inside the blocks of each.
        linear: parameters of linear layers, all parts.
        largest: elements of the largest single tensor.
        adapter_edges: sum of inputs and outputs of the linear layers in the blocks: (tower, language).
        keys: elements of the keys of one token in one layer.
        window_s: what the tower always hears, None = the clip's length.
    """

    tower: int
    projector: int
    language: int
    tower_blocks: int
    language_blocks: int
    linear: int
    largest: int
    adapter_edges: tuple[int, int]
    layers: int
    hidden: int
    intermediate: int
    queries: int
    keys: int
    vocabulary: int
    tower_layers: int
    tower_hidden: int
    tower_intermediate: int
    window_s: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the account: bytes on the card and in the host's memory."""

    name: str
    device: int
    host: int
    about: str


@dataclass(frozen=True, slots=True)
class Account:
    """`held` is there all the time; a rollout and a training pass add their lines to it, one after the other."""

    held: tuple[Line, ...]
    rollout: tuple[Line, ...]
    training: tuple[Line, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        return self.held + self.rollout + self.training

    @property
    def peak(self) -> int:
        """Bytes on the card."""
        held, rollout, training = (
            sum(line.device for line in part) for part in (self.held, self.rollout, self.training)
        )
        return held + max(rollout, training)

    @property
    def host(self) -> int:
        return sum(line.host for line in self.lines)


def account(
    recipe: Recipe,
    settings: GrpoConfig | SftConfig,
    shape: Shape,
    *,
    prompt_tokens: int,
    clip_s: float,
    gpus: int = 1,
) -> Account:
    """The account of one card of `gpus`, over which weights, gradients, optimizer and reference are spread.

    Args:
        prompt_tokens: of one prompt, its audio included.
        clip_s: length of a clip.
    """
    model, memory = recipe.model, recipe.memory
    mixed = model.precision == "bf16_mixed"
    coarse = memory.weights != "float32"
    compute = 2 if mixed else 4  # bytes of what a matrix product writes
    stream = 2 if coarse else 4  # of what runs from block to block
    trained, frozen = trained_parameters(recipe, shape)
    trained_bytes = 2 if coarse else 4
    frozen_bytes = 2 if coarse or model.frozen_dtype == "bfloat16" else 4

    weights = Line(
        "weights",
        (trained * trained_bytes + frozen * frozen_bytes) // gpus,
        0,
        f"{trained / 1e9:.3f} B trained x {trained_bytes}, {frozen / 1e9:.3f} B frozen x {frozen_bytes} bytes",
    )
    held = [weights, _optimizer(recipe, trained, gpus)]
    if isinstance(settings, GrpoConfig) and settings.beta > 0:
        held.append(_reference(recipe, shape, trained, trained_bytes, gpus))
    if mixed and not coarse:
        held.append(
            Line("bfloat16 copies", trained * 2 // gpus, 0, "of float32 weights, kept by autocast for the step")
        )

    grpo = isinstance(settings, GrpoConfig)
    group = settings.completions_per_prompt if grpo else 1
    longest = settings.max_completion_tokens if grpo else 64
    per_card = math.ceil(settings.prompts_per_step / gpus)
    per_batch = min(settings.prompts_per_micro_batch, per_card)

    positions = math.ceil((shape.window_s or clip_s) * AUDIO_POSITIONS_PER_S)
    tower = 0
    if (model.train_audio_tower or model.train_projector) and shape.tower:
        # GRPO keeps the graph of the rollout's encoding for its first pass, of all clips of the step.
        clips = per_card if grpo else per_batch
        each = compute * (16 * shape.tower_hidden + 4 * shape.tower_intermediate)
        tower = clips * positions * shape.tower_layers * each
        if model.gradient_checkpointing:
            tower = clips * positions * (shape.tower_layers * compute * shape.tower_hidden + each)
        held.append(Line("audio tower's activations", tower, 0, f"{clips} clips of {shape.window_s or clip_s:.0f} s"))

    rows = per_batch * group
    if memory.rollout_rows is not None:
        rows = min(rows, memory.rollout_rows)
    kv_token = 2 * shape.layers * shape.keys * compute
    rollout = []
    if grpo:
        row = prompt_tokens + math.ceil(longest / ROOM_TOKENS) * ROOM_TOKENS
        about = f"{rows} rows of {row} tokens x {kv_token / 1024:.0f} KiB"
        rollout.append(Line("rollout's keys and values", rows * row * kv_token, 0, about))
        if gpus > 1:
            whole = (trained + frozen) * compute
            rollout.append(Line("whole weights", whole, 0, "gathered for the rollout"))

    width = prompt_tokens + group * (longest - 1)
    tokens = per_batch * width
    block = 2 * (4 + stream) * shape.hidden + compute * (2 * shape.hidden + 4 * shape.intermediate + 5 * shape.queries)
    kept = stream * shape.hidden if model.gradient_checkpointing else block
    activations = tokens * (shape.layers * kept + (block if model.gradient_checkpointing else 0))
    activations += per_batch * width * width * (1 + compute)
    scored = per_batch * group * longest
    scored = scored if gpus > 1 else min(scored, LOGIT_ROWS)
    logits = scored * shape.vocabulary * (compute + 24)
    gradient = _gradients(recipe, shape, trained, trained_bytes, gpus)
    batches = math.ceil(per_card / per_batch)
    training = [
        Line("activations", activations, 0, f"{tokens} tokens a micro-batch, {_how(model.gradient_checkpointing)}"),
        Line("logits", logits, 0, f"{scored} rows of {shape.vocabulary} at once"),
        gradient,
    ]
    if batches == 1 and not memory.step_in_backward:
        # Activations go as gradients come: the smaller of the two never lies beside the larger.
        spared = min(activations + tower + logits, gradient.device)
        training.append(
            Line("less: never there together", -spared, 0, "one micro-batch: gradients replace activations")
        )
    if memory != MemoryConfig():
        training.append(Line("update", UPDATE, 0, "a piece of one weight after another"))
    if gpus > 1:
        pair = 2 * shape.language_blocks // max(1, shape.layers) * compute
        training.append(Line("two whole blocks", pair, 0, "gathered as the pass goes"))
    cache = int(recipe.data.feature_cache_gib * GIB)
    held.append(Line("feature cache", 0, cache, "mel spectrograms, at most (data.feature_cache_gib)"))
    return Account(tuple(held), tuple(rollout), tuple(training))


def trained_parameters(recipe: Recipe, shape: Shape) -> tuple[int, int]:
    """(trained, frozen) numbers of parameters, adapters among the trained."""
    model = recipe.model
    parts = (
        (model.train_audio_tower, shape.tower),
        (model.train_projector, shape.projector),
        (model.train_language_model, shape.language),
    )
    everything = sum(size for _, size in parts)
    if model.lora is None:
        trained = sum(size for trains, size in parts if trains)
        return trained, everything - trained
    tower_edges, language_edges = shape.adapter_edges
    edges = tower_edges * model.train_audio_tower + language_edges * model.train_language_model
    trained = edges * model.lora.rank + shape.projector * model.train_projector
    return trained, everything  # a projector that trains has its untrained weights beside it, peft keeps them


def _how(checkpointing: bool) -> str:
    return "a block's input each and one block whole" if checkpointing else "all of every block"


def _optimizer(recipe: Recipe, trained: int, gpus: int) -> Line:
    memory = recipe.memory
    correction = 2 if memory.weights == "bf16_corrected" else 0
    moments = 2 + 8 / 256 if memory.optimizer == "adamw_8bit" else 8
    size = int(trained * (moments + correction)) // gpus
    about = f"{moments:.4g} bytes a trained weight" + (f", {correction} of correction" if correction else "")
    away = memory.optimizer == "offloaded"
    return Line("optimizer", 0 if away else size, size if away else 0, about)


def _reference(recipe: Recipe, shape: Shape, trained: int, each: int, gpus: int) -> Line:
    model = recipe.model
    match recipe.memory.reference:
        case "streamed":
            blocks = shape.tower_blocks * model.train_audio_tower + shape.language_blocks * model.train_language_model
            turn = 2 * shape.language_blocks // max(1, shape.layers)
            return Line(
                "reference", (trained - blocks) // gpus * each + turn * each, blocks * each, "streamed, two blocks here"
            )
        case "int8":
            linear = min(shape.linear, trained)
            return Line("reference", (linear + (trained - linear) * each) // gpus, 0, "linear layers in 8 bits")
    return Line("reference", trained * each // gpus, 0, "the trained weights once more")


def _gradients(recipe: Recipe, shape: Shape, trained: int, each: int, gpus: int) -> Line:
    largest = min(shape.largest, trained) * each
    if recipe.memory.step_in_backward:
        return Line("gradients", 2 * largest, 0, "two of the largest tensor; the others are gone by then")
    return Line("gradients", trained * each // gpus + largest, 0, f"{each} bytes a trained weight, the largest twice")
