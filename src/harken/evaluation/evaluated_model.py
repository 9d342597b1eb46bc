"""The model that an evaluation asks: a checkpoint, a model behind a server, or a baseline without a model."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from harken.config import EvaluationRecipe
from harken.evaluation.baselines import BASELINES, Baseline
from harken.evaluation.checkpoint_model import CheckpointModel
from harken.evaluation.served_model import ServedModel
from harken.inference.predict import Batch
from harken.models.loading import DTYPES, load_model, pick_dtype, resolve_checkpoint
from harken.questions.choice_orders import Trial
from harken.questions.prompt import Prompt
from harken.system.model_client import ModelClient
from harken.types import AudioSpan, Question


class EvaluatedModel(Protocol):
    """What an evaluation needs from a model: `CheckpointModel`, `ServedModel` and `Baseline` have these methods."""

    def why_unusable(self, question: Question, durations_s: Mapping[AudioSpan, float]) -> str | None:
        """Why the model cannot be asked this question; None when it can."""
        ...

    def clip_counts(self, questions: Sequence[Question], durations_s: Mapping[AudioSpan, float]) -> dict[str, int]:
        """Counts of clips that the model does not hear as they are, for the summary."""
        ...

    def answer(self, trials: Sequence[Trial], audio: str, journal: Path) -> Iterator[Batch]:
        """Yield the answers to each trial, in batches and in any order.

        Args:
            audio: the kind of audio, one of `harken.data.audio_modes.MODES`.
            journal: file in which a model may keep its answers, so that a stopped evaluation can go on.
        """
        ...


@contextlib.contextmanager
def open_model(recipe: EvaluationRecipe, prompt: Prompt, replies: Path) -> Iterator[EvaluatedModel]:
    """Open the model that the recipe names.

    Args:
        replies: file in which the replies of a server are kept.
    """
    if recipe.endpoint is not None:
        with ModelClient(recipe.endpoint, replies) as client:
            yield ServedModel(client, recipe, prompt)
    elif recipe.model in BASELINES:
        yield Baseline(recipe.model, recipe.samples)
    else:
        assert recipe.model is not None
        dtype = DTYPES[pick_dtype(recipe.dtype, recipe.model, recipe.device)]
        model = load_model(recipe.model, dtype=dtype, device=recipe.device)
        yield CheckpointModel(model, recipe, prompt)


def with_resolved_checkpoint(recipe: EvaluationRecipe) -> EvaluationRecipe:
    """Replace a run folder by its newest checkpoint and dtype auto by a type, so that an evaluation that goes on cannot
    mix two checkpoints or two types. Without a local model the type means nothing and becomes float32."""
    if recipe.model is None or recipe.model in BASELINES:
        return recipe.model_copy(update={"dtype": "float32"})
    dtype = pick_dtype(recipe.dtype, recipe.model, recipe.device)
    return recipe.model_copy(update={"model": resolve_checkpoint(recipe.model), "dtype": dtype})
