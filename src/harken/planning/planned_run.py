"""A run whose memory is planned: its recipe, the sizes of its model, and the numbers that follow from both.

`held_memory`, `rollout_memory` and `training_memory` count bytes from it.
"""

import math
from dataclasses import dataclass

from harken.config import GrpoConfig, Recipe, SftConfig
from harken.planning.shapes import Shape

FLOAT32_BYTES, BFLOAT16_BYTES = 4, 2
SFT_COMPLETION_TOKENS = 64
"""Tokens of a trained answer: the default of `grpo.max_completion_tokens` for direct answers. SFT has no setting for
it."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One card of a run on `gpus` cards, which share weights, gradients, optimizer and reference.

    Attributes:
        settings: the section of the loop that runs, `grpo` or `sft`.
        prompt_tokens: tokens of one prompt, with its audio.
        clip_s: length of a clip.
    """

    recipe: Recipe
    settings: GrpoConfig | SftConfig
    shape: Shape
    prompt_tokens: int
    clip_s: float
    gpus: int = 1

    @property
    def is_grpo(self) -> bool:
        return isinstance(self.settings, GrpoConfig)

    @property
    def is_mixed(self) -> bool:
        """Whether matrix products are computed in bfloat16."""
        return self.recipe.model.precision == "bf16_mixed"

    @property
    def has_bfloat16_weights(self) -> bool:
        """Whether the weights that train are kept in bfloat16."""
        return self.recipe.memory.weights != "float32"

    @property
    def compute_bytes(self) -> int:
        """Bytes of a number that a matrix product writes."""
        return BFLOAT16_BYTES if self.is_mixed else FLOAT32_BYTES

    @property
    def stream_bytes(self) -> int:
        """Bytes of a number that is passed from block to block."""
        return BFLOAT16_BYTES if self.has_bfloat16_weights else FLOAT32_BYTES

    @property
    def trained_bytes(self) -> int:
        """Bytes of a weight that trains."""
        return BFLOAT16_BYTES if self.has_bfloat16_weights else FLOAT32_BYTES

    @property
    def frozen_bytes(self) -> int:
        """Bytes of a weight that does not train."""
        frozen_in_bfloat16 = self.has_bfloat16_weights or self.recipe.model.frozen_dtype == "bfloat16"
        return BFLOAT16_BYTES if frozen_in_bfloat16 else FLOAT32_BYTES

    @property
    def has_reference(self) -> bool:
        """Whether there is a KL term, and so a policy to compare with."""
        return isinstance(self.settings, GrpoConfig) and self.settings.beta > 0

    @property
    def reference_bytes(self) -> int:
        """Bytes of a weight of the reference that the policy trains. Under bf16_mixed it is kept in bfloat16 where that
        changes nothing, as with every published checkpoint; adapters are kept as they train."""
        in_bfloat16 = self.is_mixed and self.recipe.model.lora is None
        return BFLOAT16_BYTES if in_bfloat16 else self.trained_bytes

    @property
    def streamed_parameters(self) -> int:
        """Parameters of a streamed reference that are in host memory: the blocks that train."""
        model, shape = self.recipe.model, self.shape
        return shape.tower_blocks * model.train_audio_tower + shape.language_blocks * model.train_language_model

    @property
    def parameters(self) -> tuple[int, int]:
        """(trained, frozen) numbers of parameters; adapters are among the trained."""
        model, shape = self.recipe.model, self.shape
        parts = (
            (model.train_audio_tower, shape.tower),
            (model.train_projector, shape.projector),
            (model.train_language_model, shape.language - shape.router),
            (model.train_router, shape.router),
        )
        everything = sum(size for _, size in parts)
        if model.lora is None:
            trained = sum(size for trains, size in parts if trains)
            return trained, everything - trained
        tower_edges, language_edges = shape.adapter_edges
        edges = tower_edges * model.train_audio_tower + language_edges * model.train_language_model
        trained = edges * model.lora.rank + shape.projector * model.train_projector
        return trained, everything  # peft keeps the untrained weights of a projector that trains beside it

    @property
    def completions_per_prompt(self) -> int:
        return self.settings.completions_per_prompt if isinstance(self.settings, GrpoConfig) else 1

    @property
    def completion_tokens(self) -> int:
        """The longest completion."""
        if isinstance(self.settings, GrpoConfig):
            return self.settings.max_completion_tokens
        return SFT_COMPLETION_TOKENS

    @property
    def prompts_per_card(self) -> int:
        """Prompts of a step on one card."""
        return math.ceil(self.settings.prompts_per_step / self.gpus)

    @property
    def packed_tokens(self) -> int:
        """Tokens of one row [prompt | c1 | ... | cG]; the last token of a completion is predicted and never read."""
        return self.prompt_tokens + self.completions_per_prompt * (self.completion_tokens - 1)

    @property
    def prompts_per_micro_batch(self) -> int:
        """Prompts of a micro-batch on one card. Where the recipe leaves it to the card's memory, one at least."""
        if self.recipe.memory.step_in_backward:
            return self.prompts_per_card
        tokens = self.settings.tokens_per_micro_batch or 0
        return min(max(1, tokens // self.packed_tokens), self.prompts_per_card)

    @property
    def heard_s(self) -> float:
        """Seconds that the tower computes for a clip."""
        return self.shape.heard_s(self.clip_s)

    @property
    def audio_positions(self) -> int:
        """Positions of one clip in the tower's blocks."""
        return math.ceil(self.heard_s * self.shape.positions_per_s)
