"""The memory that a rollout adds to what a run holds, and what a training pass over one micro-batch adds."""

import math
from collections.abc import Sequence

from harken.config import GrpoConfig
from harken.inference.packed_rows import takes_two_parts
from harken.models.token_scores import LOGIT_ROWS
from harken.planning.memory_items import GIB, MemoryItem
from harken.planning.planned_run import FLOAT32_BYTES, PlannedRun

NORMS_PER_BLOCK = 2
"""Normalisations of a block: before attention and before the MLP. Each keeps its input as float32 and its normalised
output in the precision that runs from block to block."""
HIDDEN_KEPT = 2
"""Casts of the normalised outputs that a block keeps, of the hidden size: for attention and for the MLP."""
INTERMEDIATE_KEPT = 4
"""Numbers of the intermediate size that a block's MLP keeps: the gate, the gate after SiLU, the up projection and their
product."""
QUERIES_KEPT = 5
"""Numbers of the size of the queries that attention keeps: queries, keys and values (at most as large as the queries),
its output, and one more for rotation and reordering. With the constants above this is within 8 % of what autograd keeps
of a block of transformers' Qwen2, which a test counts."""
ROUTED_KEPT = 2
"""Numbers of the hidden size that a block keeps for each expert of a token: the expert's input, and its output before
it is weighted."""
MASK_BYTES = 1
"""Bytes of one pair of positions in a packed row's mask of true and false; its additive form adds `compute_bytes`."""
LOGIT_FLOAT32_COPIES = 2
"""Float32 numbers beside one logit: the logit and its log-softmax, later its log-softmax and its gradient."""
BLOCKS_GATHERED = 2
"""Whole blocks on a card while a sharded pass runs: FSDP gathers the next one during the computation of one."""
UPDATE = 10 * 2**24 * FLOAT32_BYTES
"""Bytes of the update of `harken.training.memory_saving_adamw`: about ten float32 tensors of one of its pieces."""


def keys_and_values(run: PlannedRun) -> MemoryItem:
    """The cache of the rollout at its longest. Where the recipe leaves the number of rows to the card's memory, one
    group at least is decoded together."""
    rows = run.completions_per_prompt
    if run.recipe.memory.rollout_rows is not None:
        rows = min(run.prompts_per_card * rows, run.recipe.memory.rollout_rows)
    tokens = run.prompt_tokens + run.completion_tokens
    about = f"{rows} rows of {tokens} tokens x {token_bytes(run) / 1024:.0f} KiB"
    return MemoryItem("rollout's keys and values", rows * tokens * token_bytes(run), 0, about)


def engine(run: PlannedRun) -> list[MemoryItem]:
    """An engine of its own has the language model once more, and a cache of the size that the recipe gives it. It
    sleeps while the update is made."""
    settings = run.settings
    if not isinstance(settings, GrpoConfig) or settings.rollout.engine == "harken":
        return []
    weights, cache = run.shape.language * run.compute_bytes, int(settings.rollout.kv_cache_gib * GIB)
    about = f"the language model once more, and {settings.rollout.kv_cache_gib:g} GiB of keys and values"
    return [MemoryItem("vLLM engine", weights + cache, 0, about)]


def token_bytes(run: PlannedRun) -> int:
    """Bytes of the keys and values of one token in all layers."""
    return 2 * run.shape.layers * run.shape.keys * run.compute_bytes


def gathered_weights(run: PlannedRun) -> list[MemoryItem]:
    """Several cards gather the whole model for a rollout. FSDP receives each part of it in a buffer beside the tensors
    that it copies it to; the head, which is the largest, comes last."""
    if run.gpus == 1:
        return []
    size = (sum(run.parameters) + run.shape.largest) * run.compute_bytes
    return [MemoryItem("whole weights", size, 0, "gathered for the rollout, the largest twice on its way")]


def activations(run: PlannedRun) -> MemoryItem:
    """What the language model keeps of a micro-batch of packed rows for the backward pass, and what attention needs: a
    mask over each row, which all blocks share, or each completion's keys and values with the prompt's before them."""
    shape, checkpointing = run.shape, run.recipe.model.gradient_checkpointing
    block = NORMS_PER_BLOCK * (FLOAT32_BYTES + run.stream_bytes) * shape.hidden + run.compute_bytes * (
        (HIDDEN_KEPT + ROUTED_KEPT * shape.chosen) * shape.hidden + INTERMEDIATE_KEPT * shape.intermediate
    )
    # A norm of the queries keeps its input as float32, and its output has the precision of its weight.
    query_bytes = run.stream_bytes if shape.has_query_norm else run.compute_bytes
    block += (QUERIES_KEPT * query_bytes + FLOAT32_BYTES * shape.has_query_norm) * shape.queries
    token = shape.layers * run.stream_bytes * shape.hidden + block if checkpointing else shape.layers * block
    width = run.packed_tokens
    tokens = run.prompts_per_micro_batch * width
    if takes_two_parts([(run.prompt_tokens, [run.completion_tokens - 1] * run.completions_per_prompt)], width):
        tokens_after_prompts = run.completions_per_prompt * (run.prompt_tokens + run.completion_tokens)
        attention = tokens_after_prompts * token_bytes(run) // (shape.layers if checkpointing else 1)
    else:
        attention = width * width * (MASK_BYTES + run.compute_bytes)
    kept = "a block's input each and one block whole" if checkpointing else "all of every block"
    return MemoryItem(
        "activations",
        tokens * token + run.prompts_per_micro_batch * attention,
        0,
        f"{tokens} tokens a micro-batch, {kept}",
    )


def logits(run: PlannedRun) -> MemoryItem:
    """Logits of the completions' tokens, at most LOGIT_ROWS at once."""
    rows = min(run.prompts_per_micro_batch * run.completions_per_prompt * run.completion_tokens, LOGIT_ROWS)
    size = rows * run.shape.vocabulary * (run.compute_bytes + LOGIT_FLOAT32_COPIES * FLOAT32_BYTES)
    return MemoryItem("logits", size, 0, f"{rows} rows of {run.shape.vocabulary} at once")


def gradients(run: PlannedRun) -> MemoryItem:
    """One gradient for each trained weight, and the largest once more while it is added to that of a micro-batch."""
    trained, weight_bytes = run.parameters[0], run.trained_bytes
    largest = min(run.shape.largest, trained) * weight_bytes
    if run.recipe.memory.step_in_backward:
        return MemoryItem("gradients", 2 * largest, 0, "two of the largest tensor; the others are gone by then")
    size = trained * weight_bytes // run.gpus + largest
    return MemoryItem("gradients", size, 0, f"{weight_bytes} bytes a trained weight, the largest twice")


def counted_twice(
    run: PlannedRun, activations: MemoryItem, tower: Sequence[MemoryItem], logits: MemoryItem, gradient: MemoryItem
) -> list[MemoryItem]:
    """What the sum of a training pass's items has too much, since not all of them are there together.

    With one micro-batch a step, activations go as gradients come: the smaller of the two is subtracted. With
    `step_in_backward` a gradient goes before the next weight's comes. The backward pass begins at the head, whose
    gradient meets logits and activations; then updates meet one gradient and activations; it ends at the embedding,
    where the gradient of one prompt is added to that of the others, and the language model's activations are gone. On
    several cards the gradients of embedding and head go together, after all others.
    """
    if run.recipe.memory.step_in_backward and run.gpus > 1:
        return []
    if run.recipe.memory.step_in_backward:
        parts = [activations, logits, gradient, *update(run)]
        largest = gradient.device // 2
        cast = largest * run.compute_bytes // run.trained_bytes if run.compute_bytes < run.trained_bytes else 0
        at_the_head = activations.device + logits.device + largest + cast
        at_an_update = activations.device + largest + sum(item.device for item in update(run))
        size = sum(item.device for item in parts) - max(at_the_head, at_an_update, 2 * largest)
        return [MemoryItem("less: never there together", -size, 0, "head, updates and embedding come in turn")]
    micro_batches = math.ceil(run.prompts_per_card / run.prompts_per_micro_batch)
    if micro_batches > 1:
        return []
    freed = sum(item.device for item in [activations, *tower, logits])
    about = "one micro-batch: gradients replace activations"
    return [MemoryItem("less: never there together", -min(freed, gradient.device), 0, about)]


def update(run: PlannedRun) -> list[MemoryItem]:
    """The memory-saving optimizer makes one piece of a weight float32 at a time."""
    memory = run.recipe.memory
    if memory.optimizer == "offloaded" or (memory.weights, memory.optimizer, memory.step_in_backward) == (
        "float32",
        "adamw",
        False,
    ):
        return []
    return [MemoryItem("update", UPDATE, 0, "a piece of one weight after another")]


def gathered_blocks(run: PlannedRun) -> list[MemoryItem]:
    """Several cards gather each block as the pass comes to it. Embeddings and head stay gathered from the forward pass
    to the end of the backward pass."""
    if run.gpus == 1:
        return []
    shape = run.shape
    blocks = BLOCKS_GATHERED * shape.language_blocks // max(1, shape.layers)
    ends = min(2 * shape.vocabulary * shape.hidden, shape.language - shape.language_blocks)
    size = (blocks + ends) * run.compute_bytes
    return [MemoryItem("gathered weights", size, 0, "two whole blocks in turn, embeddings and head")]
