"""Loads what a run trains and what it compares with, on one device or in shards on several ranks."""

from collections.abc import Callable

from torch import Tensor

from harken.config import GrpoConfig, Recipe, SftConfig
from harken.models.audio_lm import AudioLM
from harken.models.policy import load_policy_exactly
from harken.models.sharded_tensors import distribute_like, local_part
from harken.models.sharding import gather_dtype, shard, share_frozen_parts
from harken.system.ranks import Ranks
from harken.training.reference_model import make_reference


def load_models(
    recipe: Recipe, settings: GrpoConfig | SftConfig, ranks: Ranks, warn: Callable[[str], None]
) -> tuple[AudioLM, AudioLM | None, dict[str, Tensor]]:
    """Policy, reference, and the bits that trained bfloat16 weights lack. Of several ranks each keeps its shard, and no
    device ever holds a whole model.

    Args:
        warn: called with a sentence where weights are rounded.
    """
    whole = recipe.model if ranks.mesh is None else recipe.model.model_copy(update={"device": "cpu"})
    policy, corrections = load_policy_exactly(whole, recipe.memory.weights, seed=recipe.seed, warn=warn)
    reference, mixed = None, recipe.model.precision == "bf16_mixed"
    mode = recipe.memory.reference
    if isinstance(settings, GrpoConfig) and settings.beta > 0:
        reference = make_reference(policy, mode, mixed=mixed, will_be_sharded=ranks.mesh is not None)
    if ranks.mesh is None:
        return policy, reference, corrections
    dtype = gather_dtype(recipe.model.precision, recipe.memory.weights, ranks.mesh.device_type)
    sharded = shard(policy, ranks.mesh, dtype)
    parameters = dict(sharded.module.named_parameters())
    own = {name: local_part(distribute_like(bits, parameters[name])).cpu() for name, bits in corrections.items()}
    corrections = {name: part.clone() for name, part in own.items()}
    if reference is None:
        return sharded, None, corrections
    # A reference is stored in the types in which it computes; only adapters leave a base in a finer one.
    stored = None if policy.adapters is None else dtype
    sharded_reference = shard(reference, ranks.mesh, stored, blocks_in_host_memory=mode == "streamed")
    share_frozen_parts(sharded, sharded_reference)
    return sharded, sharded_reference, corrections
