"""The memory that a run holds all the time: weights, optimizer, reference, copies, activations of the audio tower."""

from harken.planning.memory_items import GIB, MemoryItem
from harken.planning.planned_run import BFLOAT16_BYTES, FLOAT32_BYTES, PlannedRun

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
HOST_BUFFERS = 4 * 2 * 2**22 * FLOAT32_BYTES
"""Pinned buffers of `harken.training.host_adamw`: four for gradients and four for weights."""
BLOCKS_IN_TURN = 2
"""Blocks of a streamed reference on the card: the one that computes, and the next one on its way."""


def weights(run: PlannedRun) -> MemoryItem:
    trained, frozen = run.parameters
    size = trained * run.trained_bytes + frozen * run.frozen_bytes
    about = (
        f"{trained / 1e9:.3f} B trained x {run.trained_bytes}, {frozen / 1e9:.3f} B frozen x {run.frozen_bytes} bytes"
    )
    if run.shape.experts:
        unused = run.shape.language_blocks - run.shape.active_blocks
        about += f"; a token passes through {(trained + frozen - unused) / 1e9:.1f} B"
    return MemoryItem("weights", size // run.gpus, 0, about)


def optimizer(run: PlannedRun) -> MemoryItem:
    memory, trained = run.recipe.memory, run.parameters[0]
    moments = MOMENT_BYTES_8BIT if memory.optimizer == "adamw_8bit" else MOMENT_BYTES
    about = f"{moments:.4g} bytes a trained weight"
    if memory.optimizer == "offloaded":
        size = trained * (MOMENT_BYTES + FLOAT32_BYTES) // run.gpus + HOST_BUFFERS
        return MemoryItem("optimizer", 0, size, f"{about}, 4 of its float32 form")
    correction = CORRECTION_BYTES if memory.weights == "bf16_corrected" else 0
    size = int(trained * (moments + correction)) // run.gpus
    return MemoryItem("optimizer", size, 0, about + (f", {correction} of correction" if correction else ""))


def reference(run: PlannedRun) -> list[MemoryItem]:
    """The policy that the KL term compares with; an empty list where there is no such term."""
    if not run.has_reference:
        return []
    trained, weight_bytes, shape = run.parameters[0], run.reference_bytes, run.shape
    if run.recipe.memory.reference == "streamed":
        blocks = run.streamed_parameters
        host, device = blocks * weight_bytes // run.gpus, (trained - blocks) * weight_bytes // run.gpus
        if run.gpus == 1:
            device += BLOCKS_IN_TURN * shape.language_blocks // max(1, shape.layers) * weight_bytes
        return [MemoryItem("reference", device, host, "blocks in host memory, two of them here in turn")]
    if run.recipe.memory.reference == "int8":
        in_8_bits = min(shape.linear, trained)
        size = (in_8_bits + (trained - in_8_bits) * weight_bytes) // run.gpus
        return [MemoryItem("reference", size, 0, "linear layers in 8 bits")]
    size = trained * weight_bytes // run.gpus
    return [MemoryItem("reference", size, 0, f"the trained weights once more, {weight_bytes} bytes")]


def autocast_copies(run: PlannedRun) -> list[MemoryItem]:
    """Autocast casts each float32 weight once a step and keeps the copy until the step ends. On several cards weights
    are gathered in bfloat16, and nothing is cast."""
    if not run.is_mixed or run.has_bfloat16_weights or run.gpus > 1:
        return []
    size = run.parameters[0] * BFLOAT16_BYTES
    return [MemoryItem("bfloat16 copies", size, 0, "of float32 weights, kept by autocast for the step")]


def loading(run: PlannedRun) -> MemoryItem:
    """Host memory while the checkpoint is loaded, before anything else is there. The ranks of a machine load one after
    another, so it is needed once on a machine."""
    trained, frozen = run.parameters
    # A file in bfloat16 is read as it is where nothing needs it finer.
    file_bytes = BFLOAT16_BYTES if run.frozen_bytes == BFLOAT16_BYTES else FLOAT32_BYTES
    size = (trained + frozen) * file_bytes
    if run.recipe.memory.weights == "bf16_corrected":
        size += trained * CORRECTION_BYTES
    elif run.trained_bytes > file_bytes:
        size += trained * (run.trained_bytes - file_bytes)
    if run.gpus > 1 and run.has_reference:  # one process puts it on the card as it is made
        size += trained * run.reference_bytes
    return MemoryItem("checkpoint", 0, size, f"read as {file_bytes} bytes a weight, once on a machine")


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
