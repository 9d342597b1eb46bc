"""Computes what a run needs of a card's memory from its recipe and the sizes of its model; nothing is loaded.

The CUDA context, workspaces of libraries and fragments are not counted: `RESERVE` stands for them.
"""

from harken.planning import held_memory, pass_memory
from harken.planning.memory_items import MemoryPlan
from harken.planning.planned_run import PlannedRun


def plan_memory(run: PlannedRun) -> MemoryPlan:
    """The memory of one card of a run."""
    tower = held_memory.tower_activations(run)
    held = [
        held_memory.weights(run),
        held_memory.optimizer(run),
        *held_memory.reference(run),
        *held_memory.autocast_copies(run),
        *tower,
        held_memory.feature_cache(run),
    ]
    cache = pass_memory.engine(run) or [pass_memory.keys_and_values(run)]
    rollout = [*cache, *pass_memory.gathered_weights(run)] if run.is_grpo else []
    activations, logits, gradients = (
        pass_memory.activations(run),
        pass_memory.logits(run),
        pass_memory.gradients(run),
    )
    training = [
        activations,
        logits,
        gradients,
        *pass_memory.counted_twice(run, activations, tower, logits, gradients),
        *pass_memory.update(run),
        *pass_memory.gathered_blocks(run),
    ]
    return MemoryPlan(tuple(held), tuple(rollout), tuple(training), (held_memory.loading(run),))
