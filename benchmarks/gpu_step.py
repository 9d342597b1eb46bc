"""Whole GRPO steps on one card, for gpu.py: time by stage, and peak memory beside the account of `harken plan`."""

import statistics
from typing import Any

import torch

from gpu_setup import SIZES, Work, build_model, config_of, make_questions, measure_run, noise_loader
from harken.config import Recipe, load_recipe
from harken.config.builtin_recipes import recipe_file
from harken.grpo.micro_batch import RewardedBatch, SampledBatch, ScoredBatch
from harken.grpo.reference_pass import score_with_reference
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import update
from harken.inference.prompt_inputs import PromptInputs
from harken.models.policy import enable_gradient_checkpointing, mixed_precision
from harken.planning.memory import plan_memory
from harken.planning.memory_items import GIB, RESERVE, MemoryPlan
from harken.planning.planned_run import PlannedRun
from harken.planning.shapes import shape_of_config
from harken.planning.step_sizes import StepSizes, step_sizes
from harken.planning.ways_to_fit import TEXT_TOKENS
from harken.questions.prompt import Prompt
from harken.training.optimizer import build_optimizer
from harken.training.reference_model import make_reference

STEPS = 1000
"""Steps of a run of R1-AQA and of Omni-R1."""
CORRECTED = ["memory.weights=bf16_corrected"]
STOCHASTIC = ["memory.weights=bf16_stochastic", "memory.optimizer=adamw_8bit"]
IN_BACKWARD = ["memory.step_in_backward=true", "grpo.max_grad_norm=null"]
MODES: dict[str, list[str]] = {
    "float32, no checkpointing": ["model.gradient_checkpointing=false"],
    "float32": [],
    "bf16_corrected": CORRECTED,
    "bf16_corrected, 8-bit moments": [*CORRECTED, "memory.optimizer=adamw_8bit"],
    "bf16_stochastic, 8-bit moments": STOCHASTIC,
    "and the step in the backward pass": [*STOCHASTIC, *IN_BACKWARD],
    "and a streamed reference": [*STOCHASTIC, *IN_BACKWARD, "memory.reference=streamed"],
}
"""Changes to a recipe that make it fit a smaller card, those that give up least first."""


class MeasuredSteps:
    """GRPO steps with the settings of a recipe on a model with random weights; each call makes one.

    Attributes:
        seconds, peaks: of each stage of the last step; peaks in GiB, None on a CPU.
        warnings: what the steps warned about.
    """

    def __init__(self, work: Work, recipe: Recipe) -> None:
        self.work, self.recipe, self.settings = work, recipe, recipe.grpo
        kept = torch.float32 if recipe.memory.weights == "float32" else torch.bfloat16
        self.model = build_model(work, kept)
        if recipe.model.gradient_checkpointing:
            enable_gradient_checkpointing(self.model.module)
        self._reference = make_reference(self.model, recipe.memory.reference)
        self._optimizer = build_optimizer(
            self.model.module,
            learning_rate=1e-6,
            betas=self.settings.betas,
            weight_decay=0.0,
            memory=recipe.memory,
        )
        self.prompt = Prompt.from_config(recipe.prompt)
        self.questions = make_questions(work)
        self.inputs = PromptInputs(self.model, self.prompt, 0, load_clips=noise_loader(work))(self.questions)
        known = work.size != "tiny" or work.device.type == "cpu"
        self.sizes = step_sizes(recipe, self.settings) if known else StepSizes()
        self.seconds: dict[str, float] = {}
        self.peaks: dict[str, float | None] = {}
        self.warnings: list[str] = []
        self.micro_batches = 0

    @property
    def prompt_tokens(self) -> int:
        return max(prompt.length for prompt in self.inputs)

    def __call__(self, step: int, *, cuda_graph: bool = False) -> float:
        """Make one step. Returns its seconds."""
        settings, warn = self.settings.model_copy(update={"cuda_graph": cuda_graph}), self.warnings.append
        with mixed_precision(self.model, self.recipe.model.precision):
            sampled: list[SampledBatch] = self._stage(
                "rollout",
                lambda: list(
                    sample_completions(
                        self.model,
                        self.questions,
                        self.inputs,
                        self.prompt,
                        settings,
                        seed=0,
                        step=step,
                        sizes=self.sizes,
                        warn=warn,
                    )
                ),
            )
            scored = self._stage(
                "reference", lambda: score_with_reference(self.model, self._reference, sampled, settings, warn)
            )
            batches = [spread_advantages(batch) for batch in scored]
            self._stage("update", lambda: update(self.model, batches, settings, self._optimizer, 1e-6, warn))
        self.micro_batches = len(sampled)
        return sum(self.seconds.values())

    def _stage(self, name: str, run: Any) -> Any:
        self.seconds[name], self.peaks[name], result = measure_run(self.work.device, run)
        return result


def recipe_of(work: Work, name: str, tokens: int, mode: str) -> Recipe:
    """A built-in recipe on the measured model, with completions of so many tokens, in one of MODES."""
    changes = [
        f"model.path={SIZES[work.size] or 'tiny'}",
        f"model.device={work.device.type}",
        f"grpo.prompts_per_step={work.prompts}",
        f"grpo.completions_per_prompt={work.group}",
        f"grpo.max_completion_tokens={tokens}",
    ]
    return load_recipe(recipe_file(name), [*changes, *MODES[mode]])


def fastest_that_fits(work: Work, name: str, tokens: int, card_bytes: int) -> tuple[str, Recipe]:
    """The first of MODES in which the account of the recipe is below the card's memory, or the last."""
    prompt_tokens = TEXT_TOKENS + round(work.seconds * shape_of_config(config_of(work)[0]).tokens_per_s)
    mode, recipe = "", recipe_of(work, name, tokens, "float32")
    for mode in MODES:
        recipe = recipe_of(work, name, tokens, mode)
        if account(work, recipe, prompt_tokens).peak + RESERVE <= card_bytes:
            return mode, recipe
    return mode, recipe


def account(work: Work, recipe: Recipe, prompt_tokens: int) -> MemoryPlan:
    """What `harken plan` computes for the step."""
    shape = shape_of_config(config_of(work)[0])
    return plan_memory(PlannedRun(recipe, recipe.grpo, shape, prompt_tokens, work.seconds))


def measure_steps(steps: MeasuredSteps, mode: str, rates: dict[str, float], **options: bool) -> dict[str, Any]:
    """Whole steps: medians by stage and largest peaks, after a first step that warms up."""
    work, stages = steps.work, ("rollout", "reference", "update")
    runs: dict[str, list[float]] = {name: [] for name in (*stages, "step")}
    for step in range(work.repeats + 1):
        total = steps(step, **options)
        if step:
            for name in stages:
                runs[name].append(steps.seconds[name])
            runs["step"].append(total)
    step_s = statistics.median(runs["step"])
    floor = step_floor(steps, rates)
    return {
        "mode": mode,
        "prompt_tokens": steps.prompt_tokens,
        "completion_tokens": steps.settings.max_completion_tokens,
        "micro_batches": steps.micro_batches,
        "seconds": {name: statistics.median(values) for name, values in runs.items()},
        "spread": {name: [min(values), max(values)] for name, values in runs.items()},
        f"gpu_hours_of_{STEPS}_steps": STEPS * step_s / 3600,
        "peak_gib": steps.peaks,
        "account_gib": planned_gib(steps),
        **floor,
        "of_floor": step_s / floor["floor_s"],
        "notes": steps.warnings,
    }


def planned_gib(steps: MeasuredSteps) -> dict[str, float]:
    """The account of the step with the widths that it had: of the rollout, and of the passes and the update."""
    work, recipe = steps.work, steps.recipe
    rows = work.prompts * work.group
    if steps.sizes.rollout_tokens is not None:
        row = steps.prompt_tokens + steps.settings.max_completion_tokens
        rows = max(work.group, min(rows, steps.sizes.rollout_tokens // row // work.group * work.group))
    packed = steps.prompt_tokens + work.group * (steps.settings.max_completion_tokens - 1)
    tokens = min(steps.sizes.tokens_per_micro_batch, packed * work.prompts)
    memory = recipe.memory.model_copy(update={"rollout_rows": rows})
    grpo = recipe.grpo.model_copy(update={"tokens_per_micro_batch": tokens})
    changed = recipe.model_copy(update={"memory": memory, "grpo": grpo})
    plan = account(work, changed, steps.prompt_tokens)
    held = sum(item.device for item in plan.held)
    return {
        "rollout": (held + sum(item.device for item in plan.rollout)) / GIB,
        "training": (held + sum(item.device for item in plan.training)) / GIB,
    }


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


def step_floor(steps: MeasuredSteps, rates: dict[str, float]) -> dict[str, float]:
    """Operations and bytes of a step, and its seconds if only matrix products and memory took time.

    A forward pass takes 2 operations for a weight and token, a backward pass twice that, and one more forward pass if
    blocks are recomputed. Every weight of the language model is read once for a decoded token; gradients, moments and
    weights are read and written once.
    """
    work, completion = steps.work, steps.settings.max_completion_tokens
    shape = shape_of_config(steps.model.module.config)
    head = shape.vocabulary * shape.hidden
    rows = work.prompts * work.group
    packed_tokens = work.prompts * (steps.prompt_tokens + work.group * (completion - 1))
    audio_positions = work.prompts * work.seconds * shape.positions_per_s
    language = shape.language - 2 * head
    forward = 2 * (language * packed_tokens + head * rows * completion + shape.tower * audio_positions)
    policy = forward * (4 if steps.recipe.model.gradient_checkpointing else 3)
    rollout = 2 * (language * (work.prompts * steps.prompt_tokens + rows * completion) + head * rows * completion)
    operations = policy + forward + rollout  # the reference encodes audio once, the policy does with its pass
    parameters = shape.tower + shape.projector + shape.language
    weight_bytes = 4 if steps.recipe.memory.weights == "float32" else 2
    moment_bytes = 2 if steps.recipe.memory.optimizer == "adamw_8bit" else 8
    moved = 2 * shape.language * completion + parameters * 2 * (2 * weight_bytes + moment_bytes)
    seconds = operations / rates["matmul_per_s"] + moved / rates["copy_bytes_per_s"]
    return {"operations": operations, "bytes": moved, "floor_s": seconds}
