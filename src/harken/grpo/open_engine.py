"""Makes the engine that a recipe names for the completions of its training steps."""

import math

import torch

from harken.config import GrpoConfig
from harken.inference.engine import OwnEngine, RolloutEngine
from harken.system.console import print_line
from harken.training.session import Session


def open_engine(session: Session, settings: GrpoConfig) -> RolloutEngine:
    """The engine of `grpo.rollout.engine`. Says what the run gives up with it.

    All ranks take part. Raises ConfigError where the engine is not installed or does not start.
    """
    if settings.rollout.engine == "harken":
        return OwnEngine()
    from harken.inference.vllm_engine import VllmEngine  # imports vLLM only where it is asked for

    recipe, ranks = session.recipe, session.ranks
    prompts = math.ceil(settings.prompts_per_step / ranks.size)
    engine = VllmEngine(
        session.policy,
        settings.rollout,
        dtype=torch.bfloat16 if recipe.model.precision == "bf16_mixed" else torch.float32,
        longest=recipe.data.max_prompt_tokens + settings.max_completion_tokens,
        rows=recipe.memory.rollout_rows or prompts * settings.completions_per_prompt,
        joins_ranks=ranks.size > 1,
    )
    print_line(
        session.console,
        f"rollouts by vLLM {engine.version}: samples may depend on what is decoded together, so a resumed run or "
        "another number of ranks may draw others; rollout/logp_gap_mean says how far its log-probabilities are from "
        "the policy's",
    )
    return engine
