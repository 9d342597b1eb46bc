"""The memory that a run holds all the time: weights, optimizer, reference, copies, activations of the audio tower."""

from harken.config import GrpoConfig
from harken.planning.memory_items import GIB, MemoryItem
from harken.planning.planned_run import BFLOAT16_BYTES, PlannedRun

MOMENT_BYTES = 8
"""Bytes of AdamW's state for one weight: two float32 moments."""
MOMENT_BYTES_8BIT = 2 + 2 * 4 / 256
"""The same with `adamw_8bit` (arXiv 2110.02861): two moments of one byte, each with a float32 scale for 256 weights."""
CORRECTION_BYTES = 2
"""Bytes of one weight under `bf16_corrected`: the 16 bits that make its bfloat16 a float32 again."""
TOWER_HIDDEN_KEPT = 16
TOWER_INTERMEDIATE_KEPT = 4
"""Numbers that the tower keeps for the backward pass, for each position and block: so many times its hidden and its
intermediate size. Autograd keeps 8 and 2 of a block in one precision, and up to two thirds of the figures here with
casts; the figures are twice the count, as an upper bound."""
BLOCKS_IN_TURN = 2
"""Blocks of a streamed reference on the card: the one that computes, and the next one on its way."""


def weights(run: PlannedRun) -> MemoryItem:
    trained, frozen = run.parameters
    size = trained * run.trained_bytes + frozen * run.frozen_bytes
    about = (
        f"{trained / 1e9:.3f} B trained x {run.trained_bytes}, {frozen / 1e9:.3f} B frozen x {run.frozen_bytes} bytes"
    )
    return MemoryItem("weights", size // run.gpus, 0, about)


def optimizer(run: PlannedRun) -> MemoryItem:
    memory = run.recipe.memory
    moments = MOMENT_BYTES_8BIT if memory.optimizer == "adamw_8bit" else MOMENT_BYTES
    correction = CORRECTION_BYTES if memory.weights == "bf16_corrected" else 0
    size = int(run.parameters[0] * (moments + correction)) // run.gpus
    about = f"{moments:.4g} bytes a trained weight" + (f", {correction} of correction" if correction else "")
    if memory.optimizer == "offloaded":
        return MemoryItem("optimizer", 0, size, about)
    return MemoryItem("optimizer", size, 0, about)


def reference(run: PlannedRun) -> list[MemoryItem]:
    """The policy that the KL term compares with; an empty list where there is no such term."""
    if not isinstance(run.settings, GrpoConfig) or run.settings.beta == 0:
        return []
    trained, weight_bytes = run.parameters[0], run.trained_bytes
    model, shape = run.recipe.model, run.shape
    if run.recipe.memory.reference == "streamed":
        blocks = shape.tower_blocks * model.train_audio_tower + shape.language_blocks * model.train_language_model
        in_turn = BLOCKS_IN_TURN * shape.language_blocks // max(1, shape.layers)
        device = (trained - blocks) // run.gpus * weight_bytes + in_turn * weight_bytes
        return [MemoryItem("reference", device, blocks * weight_bytes, "streamed, two blocks here")]
    if run.recipe.memory.reference == "int8":
        in_8_bits = min(shape.linear, trained)
        size = (in_8_bits + (trained - in_8_bits) * weight_bytes) // run.gpus
        return [MemoryItem("reference", size, 0, "linear layers in 8 bits")]
    return [MemoryItem("reference", trained * weight_bytes // run.gpus, 0, "the trained weights once more")]


def autocast_copies(run: PlannedRun) -> list[MemoryItem]:
    """Autocast casts each float32 weight once a step and keeps the copy until the step ends."""
    if not run.is_mixed or run.has_bfloat16_weights:
        return []
    size = run.parameters[0] * BFLOAT16_BYTES // run.gpus
    return [MemoryItem("bfloat16 copies", size, 0, "of float32 weights, kept by autocast for the step")]


def tower_activations(run: PlannedRun) -> list[MemoryItem]:
    """What the audio tower keeps for the backward pass where it, or the projector after it, trains.

    GRPO keeps the graph of the rollout's encoding, of all clips of the step, for its first pass; SFT encodes the clips
    of one micro-batch.
    """
    model, shape = run.recipe.model, run.shape
    if not (model.train_audio_tower or model.train_projector) or not shape.tower:
        return []
    clips = run.prompts_per_card if run.is_grpo else run.prompts_per_micro_batch
    block = run.compute_bytes * (
        TOWER_HIDDEN_KEPT * shape.tower_hidden + TOWER_INTERMEDIATE_KEPT * shape.tower_intermediate
    )
    if model.gradient_checkpointing:  # the input of every block, and one block whole
        position = shape.tower_layers * run.compute_bytes * shape.tower_hidden + block
    else:
        position = shape.tower_layers * block
    size = clips * run.audio_positions * position
    return [MemoryItem("audio tower's activations", size, 0, f"{clips} clips of {run.heard_s:.0f} s")]


def feature_cache(run: PlannedRun) -> MemoryItem:
    size = int(run.recipe.data.feature_cache_gib * GIB)
    return MemoryItem("feature cache", 0, size, "mel spectrograms, at most (data.feature_cache_gib)")
