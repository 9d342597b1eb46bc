"""The time of a GRPO step on a card, by arithmetic: operations and bytes over the card's rates.

A pass takes as long as its matrix products, but at least as long as the host needs to launch its kernels. What brings
weights or gradients from elsewhere goes on beside a pass, so the slower of the two counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harken.config import GrpoConfig
from harken.planning import pass_memory
from harken.planning.cards import Card
from harken.planning.planned_run import BFLOAT16_BYTES, FLOAT32_BYTES, PlannedRun

STEP_SHARE = 0.36
"""Share of a card's matrix rate that a training pass reaches: 282 of 794 TFLOPS in the pass over 2,363 tokens of the 7B
sizes on an H100 (benchmarks/results/omni_step_h100.json), without its attention's operations."""
MEMORY_SHARE = 0.8
"""Share of the memory's rate that reading weights reaches [O]."""
LAUNCH_S = 0.025 / 28
"""Host time to launch the kernels of one block forward: 25 ms a token for 28 blocks, measured on the same H100."""
HOST_NS = 4.0
"""Nanoseconds of one core for an offloaded update of one weight; `benchmarks/offloaded_update.py` measures it."""
HOST_CORES = 8
"""Cores of the host for each card [O]: 8 to 16 in most machines with several cards."""
UPDATE_BYTES = 28
"""Bytes of the card's memory that AdamW reads and writes for one weight: weight and two moments twice, and the
gradient, in float32."""


@dataclass(frozen=True, slots=True)
class TimeItem:
    """Seconds of one part of a step, and what limits it."""

    name: str
    seconds: float
    about: str


def step_time(run: PlannedRun, card: Card, rollout_rows: int, prompts_at_once: int) -> list[TimeItem]:
    """The parts of one GRPO step.

    Args:
        rollout_rows: completions that are decoded together.
        prompts_at_once: prompts of a micro-batch.
    """
    micro_batches = math.ceil(run.prompts_per_card / prompts_at_once)
    policy = _passes(run, card, micro_batches, 4 if run.recipe.model.gradient_checkpointing else 3)
    scoring = [*_reference(run, card, micro_batches), *_without_clip(run, card, micro_batches)]
    items = [*_rollout(run, card, rollout_rows), *scoring, _policy(run, card, policy)]
    gradient_bytes = run.parameters[0] * FLOAT32_BYTES * micro_batches
    gathered_bytes = sum(run.parameters) * BFLOAT16_BYTES * micro_batches * 2
    sent = _link_s(run, card, gradient_bytes + gathered_bytes)
    if sent > items[-1].seconds:
        items[-1] = TimeItem("policy pass", sent, f"{micro_batches} micro-batches, weights and gradients between cards")
    return [*items, _update(run, card, beside_s=policy / 2)]


def resampling(run: PlannedRun, card: Card, rollout_rows: int, prompts_at_once: int) -> list[TimeItem]:
    """The most that a step takes beyond `step_time` where the recipe replaces prompts whose completions all earn the
    same: every round samples, and scores without the clip, as many prompts as the step has. The arguments are those of
    `step_time`. Empty where the recipe replaces none."""
    rounds = run.settings.resample_equal_groups if isinstance(run.settings, GrpoConfig) else 0
    if not rounds:
        return []
    micro_batches = math.ceil(run.prompts_per_card / prompts_at_once)
    again = [*_rollout(run, card, rollout_rows), *_without_clip(run, card, micro_batches)]
    about = f"at most {rounds} rounds of {run.settings.prompts_per_step} prompts: {', '.join(i.name for i in again)}"
    return [TimeItem("resampling, up to", rounds * sum(item.seconds for item in again), about)]


def gpu_hours(run: PlannedRun, items: Sequence[TimeItem]) -> float:
    """GPU hours of all steps of the recipe, without evaluation and checkpoints."""
    return sum(item.seconds for item in items) * (run.settings.steps or 0) * run.gpus / 3600


def _rate(card: Card) -> float:
    return card.tflops * 1e12 * STEP_SHARE


def _memory_rate(card: Card) -> float:
    return card.memory_gb_s * 1e9 * MEMORY_SHARE


def _forward(run: PlannedRun, tokens: int, read: int, clips: int) -> float:
    """Operations of a forward pass, without those of attention.

    Args:
        read: tokens whose logits are computed.
        clips: clips that the tower encodes.
    """
    shape = run.shape
    head = read * shape.vocabulary * shape.hidden
    return 2.0 * (tokens * shape.active_blocks + head + clips * run.audio_positions * shape.tower_blocks)


def _passes(
    run: PlannedRun, card: Card, micro_batches: int, times_forward: int, *, encodes: bool | None = None
) -> float:
    """Seconds of passes over all packed rows of a card's step.

    Args:
        encodes: whether the tower's passes are among them; None: where it trains.
    """
    model = run.recipe.model
    trains = model.train_audio_tower or model.train_projector
    clips = run.prompts_per_card * (trains if encodes is None else encodes)
    read = run.prompts_per_card * run.completions_per_prompt * run.completion_tokens
    operations = _forward(run, run.prompts_per_card * run.packed_tokens, read, clips)
    blocks = run.shape.layers + run.shape.tower_layers * bool(clips)
    reading = run.shape.expert_blocks * BFLOAT16_BYTES / _memory_rate(card)  # few tokens for each expert
    return times_forward * max(operations / _rate(card), micro_batches * reading, micro_batches * blocks * LAUNCH_S)


def _rollout(run: PlannedRun, card: Card, rows_at_once: int) -> list[TimeItem]:
    rows = run.prompts_per_card * run.completions_per_prompt
    rows_at_once = min(rows, rows_at_once)
    portions = math.ceil(rows / rows_at_once)
    tokens = run.prompts_per_card * run.prompt_tokens
    operations = _forward(run, tokens, run.prompts_per_card, run.prompts_per_card)
    blocks = run.shape.layers + run.shape.tower_layers
    prefill = max(operations / _rate(card), portions * blocks * LAUNCH_S)
    cache = rows_at_once * (run.prompt_tokens + run.completion_tokens / 2) * pass_memory.token_bytes(run)
    trained, frozen = run.parameters
    # Autocast keeps bfloat16 copies of weights that train, and casts frozen float32 weights for every token.
    cast = 3 if run.is_mixed and run.frozen_bytes == FLOAT32_BYTES and run.gpus == 1 else 1
    unread = run.shape.expert_blocks - run.shape.used_experts(rows_at_once)
    weights = (trained + frozen * cast - unread) * run.compute_bytes
    reading = (weights + cache) / _memory_rate(card)
    graph = isinstance(run.settings, GrpoConfig) and run.settings.cuda_graph
    launching = 0.0 if graph else run.shape.layers * LAUNCH_S
    decode = portions * run.completion_tokens * max(reading, launching)
    limit = "reading weights and cache" if reading >= launching else "launching kernels"
    about = f"{portions} x {run.completion_tokens} tokens of {rows_at_once} rows, {limit}"
    gather = _link_s(run, card, sum(run.parameters) * run.compute_bytes)
    return [TimeItem("encode and prefill", prefill + gather, f"{tokens} tokens"), TimeItem("decode", decode, about)]


def _reference(run: PlannedRun, card: Card, micro_batches: int) -> list[TimeItem]:
    if not run.has_reference:
        return []
    computing = _passes(run, card, micro_batches, 1)
    arriving, about = _link_s(run, card, sum(run.parameters) * BFLOAT16_BYTES * micro_batches), "between cards"
    if run.recipe.memory.reference == "streamed":
        size = run.streamed_parameters * run.reference_bytes // run.gpus * micro_batches
        arriving, about = arriving + size / (card.host_gb_s * 1e9), "from host memory"
    if arriving > computing:
        return [TimeItem("reference", arriving, f"{micro_batches} times the weights, {about}")]
    return [TimeItem("reference", computing, f"{micro_batches} micro-batches")]


def _without_clip(run: PlannedRun, card: Card, micro_batches: int) -> list[TimeItem]:
    """The pass of the reward part listening: the same completions after prompts without audio tokens, or with another
    clip, which is encoded too."""
    options = run.recipe.reward.listening_options
    if options is None:
        return []
    heard = options.against != "none"
    audio_tokens = 0 if heard else round(run.heard_s * run.shape.tokens_per_s)
    other = replace(run, prompt_tokens=run.prompt_tokens - audio_tokens)
    computing = _passes(other, card, micro_batches, 1, encodes=heard)
    arriving = _link_s(run, card, sum(run.parameters) * BFLOAT16_BYTES * micro_batches)
    about = f"{run.prompts_per_card * other.packed_tokens} tokens, against {options.against}"
    return [TimeItem("without the clip", max(computing, arriving), about)]


def _policy(run: PlannedRun, card: Card, seconds: float) -> TimeItem:
    tokens = run.prompts_per_card * run.packed_tokens
    again = ", blocks twice" if run.recipe.model.gradient_checkpointing else ""
    return TimeItem("policy pass", seconds, f"{tokens} tokens{again}")


def _link_s(run: PlannedRun, card: Card, size: float) -> float:
    """Seconds in which a card receives its share of so many bytes that lie on all cards."""
    return size * (run.gpus - 1) / run.gpus / (card.link_gb_s * 1e9)


def _update(run: PlannedRun, card: Card, beside_s: float) -> TimeItem:
    """The update. With `step_in_backward` an offloaded one goes on beside the backward pass of `beside_s`."""
    memory, own = run.recipe.memory, run.parameters[0] / run.gpus
    if memory.optimizer != "offloaded":
        return TimeItem("update", own * UPDATE_BYTES / _memory_rate(card), "on the card")
    computing = own * HOST_NS * 1e-9 / HOST_CORES
    copying = own * run.trained_bytes / (card.host_gb_s * 1e9)
    seconds = max(computing, copying)
    about = f"in host memory, {HOST_CORES} cores" if computing >= copying else "copies from and to host memory"
    if memory.step_in_backward:
        return TimeItem("update", max(0.0, seconds - beside_s), f"{about}; {beside_s:.1f} s beside the backward pass")
    return TimeItem("update", seconds, about)
