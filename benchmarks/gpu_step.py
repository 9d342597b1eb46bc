"""Whole GRPO steps on one card, for gpu.py: their time, their peak memory, and the least time that the card allows."""

import statistics
from typing import Any

import torch

from gpu_setup import Work, build_model, make_questions, measure_run, noise_loader
from harken.config import GrpoConfig, MemoryConfig, PromptConfig, Recipe
from harken.grpo.micro_batch import RewardedBatch, SampledBatch, ScoredBatch
from harken.grpo.reference_pass import score_with_reference
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import update
from harken.inference.prompt_inputs import PromptInputs
from harken.models.policy import enable_gradient_checkpointing, mixed_precision
from harken.models.qwen_omni import QwenOmni
from harken.planning.memory import plan_memory
from harken.planning.memory_items import GIB
from harken.planning.planned_run import AUDIO_POSITIONS_PER_S, PlannedRun
from harken.planning.shapes import shape_of_config
from harken.questions.prompt import Prompt
from harken.training.optimizer import build_optimizer
from harken.training.reference_model import make_reference

PUBLISHED_STEPS = 1000
"""The steps of Omni-R1 (arXiv 2505.09439)."""

CARD_48 = {"weights": "bf16_stochastic", "optimizer": "adamw_8bit", "step_in_backward": True, "reference": "streamed"}
"""The memory modes with which a step fits a card of 48 GB."""
FAST = {**CARD_48, "reference": "copy"}
"""Those of a larger card."""


class MeasuredSteps:
    """GRPO steps in one memory mode; each call makes one and measures its three parts.

    Attributes:
        peaks: the largest memory of each part of the last step, GiB; None on a CPU.
        warnings: what the step warned about.
    """

    def __init__(self, work: Work, memory: MemoryConfig, *, checkpointing: bool) -> None:
        self._work = work
        self.model = build_model(work)
        if checkpointing:
            enable_gradient_checkpointing(self.model.module)
        self.settings = GrpoConfig(
            prompts_per_step=work.prompts,
            completions_per_prompt=work.group,
            max_completion_tokens=work.completion,
            temperature=1.0,
            max_grad_norm=None,
        )
        self._reference = make_reference(self.model, memory.reference)
        self._optimizer = build_optimizer(
            self.model.module, learning_rate=1e-6, betas=self.settings.betas, weight_decay=0.0, memory=memory
        )
        self._prompt = Prompt.from_config(PromptConfig())
        self._inputs = PromptInputs(self.model, self._prompt, 0, load_clips=noise_loader(work))
        self.prompt_tokens = self._inputs(make_questions(work))[0].length
        self.peaks: dict[str, float | None] = {}
        self.warnings: list[str] = []

    def __call__(self, step: int) -> dict[str, float]:
        """Part -> seconds."""
        device, settings, warn = self._work.device, self.settings, self.warnings.append
        seconds: dict[str, float] = {}
        with mixed_precision(self.model, "bf16_mixed"):
            seconds["rollout"], self.peaks["rollout"], sampled = measure_run(device, lambda: self._sample(step))
            seconds["reference"], self.peaks["reference"], scored = measure_run(
                device, lambda: score_with_reference(self.model, self._reference, sampled, settings, warn)
            )
            batches = [spread_advantages(batch) for batch in scored]
            seconds["update"], self.peaks["update"], _ = measure_run(
                device, lambda: update(self.model, batches, settings, self._optimizer, 1e-6, warn)
            )
        return {**seconds, "step": sum(seconds.values())}

    def _sample(self, step: int) -> list[SampledBatch]:
        questions = make_questions(self._work)
        batches = sample_completions(
            self.model,
            questions,
            self._inputs(questions),
            self._prompt,
            self.settings,
            seed=0,
            step=step,
            warn=self.warnings.append,
        )
        return list(batches)


def measure_steps(work: Work, mode: dict[str, Any], rates: dict[str, float], *, checkpointing: bool) -> dict[str, Any]:
    """Whole steps in one memory mode: median times and largest peaks, after a first step that warms up."""
    steps = MeasuredSteps(work, MemoryConfig.model_validate(mode), checkpointing=checkpointing)
    parts: dict[str, list[float]] = {"rollout": [], "reference": [], "update": [], "step": []}
    for step in range(work.repeats + 1):
        seconds = steps(step)
        if step:
            for name, value in seconds.items():
                parts[name].append(value)
    floor = step_floor(work, steps.model, rates, steps.prompt_tokens, checkpointing)
    step_s = statistics.median(parts["step"])
    return {
        "memory": mode,
        "gradient_checkpointing": checkpointing,
        "prompt_tokens": steps.prompt_tokens,
        "seconds": {name: statistics.median(values) for name, values in parts.items()},
        "spread": {name: [min(values), max(values)] for name, values in parts.items()},
        "peak_gib": steps.peaks,
        "planned_gib": planned_bytes(work, steps, mode, checkpointing) / GIB,
        **floor,
        "of_floor": step_s / floor["floor_s"],
        f"{PUBLISHED_STEPS}_steps_h": PUBLISHED_STEPS * step_s / 3600,
        "notes": steps.warnings,
    }


def planned_bytes(work: Work, steps: MeasuredSteps, mode: dict[str, Any], checkpointing: bool) -> int:
    """The peak that `harken plan` computes for the step."""
    recipe = Recipe.model_validate(
        {
            "name": "x",
            "model": {"path": "m", "precision": "bf16_mixed", "gradient_checkpointing": checkpointing},
            "data": {"train": [{"file": "q"}]},
            "grpo": steps.settings.model_dump(),
            "memory": mode,
        }
    )
    shape = shape_of_config(steps.model.module.config)
    return plan_memory(PlannedRun(recipe, steps.settings, shape, steps.prompt_tokens, work.seconds)).peak


def spread_advantages(batch: ScoredBatch) -> RewardedBatch:
    """Advantages from -1 to 1 whatever was sampled, since no answer of random weights is right."""
    prompts, rows = len(batch.sampled.questions), len(batch.sampled.responses)
    return RewardedBatch(
        sampled=batch.sampled,
        reference_logp=batch.reference_logp,
        reward_parts={},
        rewards=torch.zeros(prompts, rows // prompts),
        advantages=torch.linspace(-1, 1, rows, dtype=torch.float64),
    )


def step_floor(
    work: Work, model: QwenOmni, rates: dict[str, float], prompt_tokens: int, checkpointing: bool
) -> dict[str, float]:
    """Operations and bytes of a step, and its seconds if only matrix products and memory took time.

    A forward pass takes 2 operations for a weight and token, a backward pass twice that, and one more forward pass if
    blocks are recomputed. Every weight of the language model is read once for a decoded token; gradients, moments and
    weights are read and written once.
    """
    shape = shape_of_config(model.module.config)
    head = shape.vocabulary * shape.hidden
    rows = work.prompts * work.group
    packed_tokens = work.prompts * (prompt_tokens + work.group * (work.completion - 1))
    audio_positions = work.prompts * work.seconds * AUDIO_POSITIONS_PER_S
    language = shape.language - 2 * head
    forward = 2 * (language * packed_tokens + head * rows * work.completion + shape.tower * audio_positions)
    policy = forward * (4 if checkpointing else 3)
    rollout = 2 * (language * (work.prompts * prompt_tokens + rows * work.completion) + head * rows * work.completion)
    operations = policy + forward + rollout  # the reference encodes audio once, the policy does with its pass
    parameters = shape.tower + shape.projector + shape.language
    moved = 2 * shape.language * work.completion + parameters * (2 + 2 * 2 + 2 * 2 + 2)
    seconds = operations / rates["matmul_per_s"] + moved / rates["copy_bytes_per_s"]
    return {"operations": operations, "bytes": moved, "floor_s": seconds}
