"""The model that an evaluation asks: a checkpoint, a model behind a server, a function of the user's own, or a baseline
without a model."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from rich.console import Console

from harken.config import EvaluationRecipe
from harken.errors import ConfigError
from harken.evaluation.baselines import BASELINES, Baseline
from harken.evaluation.checkpoint_model import CheckpointModel
from harken.evaluation.journal import Journal
from harken.evaluation.own_model import OwnModel, is_own_model
from harken.evaluation.served_model import ServedModel
from harken.inference.predict import Batch
from harken.inference.trial_pass import refuse_what_cannot_compute
from harken.models.architectures import resolve_checkpoint
from harken.models.audio_lm import AudioLM
from harken.models.loading import DTYPES, load_model, pick_dtype
from harken.questions.choice_orders import Trial
from harken.questions.prompt import Prompt
from harken.system.console import SILENT, print_line
from harken.system.model_client import ModelClient, refuse_unreachable
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.types import AudioSpan, Question


class EvaluatedModel(Protocol):
    """What an evaluation needs from a model: `CheckpointModel`, `ServedModel` and `Baseline` have these methods."""

    def why_unusable(self, question: Question, durations_s: Mapping[AudioSpan, float]) -> str | None:
        """Why the model cannot be asked this question; None when it can."""
        ...

    def clip_counts(self, questions: Sequence[Question], durations_s: Mapping[AudioSpan, float]) -> dict[str, int]:
        """Counts of clips that the model does not hear as they are, for the summary."""
        ...

    def answer(self, trials: Sequence[Trial], audio: str, journal: Journal) -> Iterator[Batch]:
        """Yield the answers to each trial, in batches and in any order; of several ranks each yields its share.

        Args:
            audio: the kind of audio, one of `harken.config.data.AUDIO_MODES`.
            journal: where a model may keep its answers, so that a stopped evaluation can go on. A model that does so
                yields first what earlier commands answered, as one batch.
        """
        ...


@contextlib.contextmanager
def open_model(
    recipe: EvaluationRecipe,
    prompt: Prompt,
    replies: Path,
    ranks: Ranks = SINGLE_PROCESS,
    console: Console = SILENT,
    loaded: AudioLM | None = None,
) -> Iterator[EvaluatedModel]:
    """Open the model that the recipe names. Every rank loads a whole checkpoint, all at the same time.

    Args:
        replies: file in which the replies of a server are kept. Where it holds some already, a server that cannot be
            reached is no error before a request needs it.
        console: where it is shown what is loaded.
        loaded: the checkpoint that the recipe names, if it is in memory already.
    """
    if recipe.endpoint is not None:
        if not replies.exists():
            refuse_unreachable(recipe.endpoint, "endpoint.base_url")
        with ModelClient(recipe.endpoint, replies) as client:
            yield ServedModel(client, recipe, prompt)
    elif recipe.model in BASELINES:
        yield Baseline(recipe.model, recipe.samples)
    elif recipe.model is not None and is_own_model(recipe.model):
        yield OwnModel(recipe.model, recipe, prompt)
    else:
        yield CheckpointModel(loaded or load_checkpoint(recipe, ranks, console), recipe, prompt, ranks)


def load_checkpoint(recipe: EvaluationRecipe, ranks: Ranks = SINGLE_PROCESS, console: Console = SILENT) -> AudioLM:
    """The checkpoint that the recipe names, in the type and on the device that it names, after a trial pass."""
    path = recipe.model
    assert path is not None
    print_line(console, f"loading {path}")
    dtype = DTYPES[pick_dtype(recipe.dtype, path, recipe.device)]
    return ranks.run_on_all(
        lambda: refuse_what_cannot_compute(load_model(path, dtype=dtype, device=recipe.device), path)
    )


def is_checkpoint(model: str | None) -> bool:
    """Whether a recipe's `model` names a checkpoint, and not a baseline or a function of the user's own."""
    return model is not None and model not in BASELINES and not is_own_model(model)


def agree_on_recipe(recipe: EvaluationRecipe, ranks: Ranks = SINGLE_PROCESS) -> EvaluationRecipe:
    """The recipe as rank 0 resolves it: a run folder becomes its newest checkpoint, and dtype auto a type.

    So an evaluation that goes on cannot mix two checkpoints or two types, and neither can two ranks. Without a local
    model the type means nothing and becomes float32. Raises ConfigError for what several ranks cannot share.
    """
    resolved = ranks.run_on_main(lambda: _resolve(recipe, ranks.size))
    if ranks.size == 1:
        assert resolved is not None
        return resolved
    return EvaluationRecipe.model_validate(ranks.broadcast(resolved and resolved.model_dump(mode="json")))


def _resolve(recipe: EvaluationRecipe, size: int) -> EvaluationRecipe:
    local = is_checkpoint(recipe.model)
    if size > 1 and not local:
        raise ConfigError(
            f"{size} processes share the questions of a checkpoint only: evaluate any other model "
            "without torchrun (--concurrency says how many requests are under way)"
        )
    if size > 1 and ":" in recipe.device:
        raise ConfigError(
            f"device: {recipe.device} would put all {size} processes on one device: leave it at auto, and each process "
            "takes its own"
        )
    if recipe.likelihoods and not local:
        raise ConfigError(f"likelihoods: {recipe.model} gives none: remove it, or evaluate a checkpoint")
    if recipe.model is None or not local:
        return recipe.model_copy(update={"dtype": "float32"})
    dtype = pick_dtype(recipe.dtype, recipe.model, recipe.device)
    return recipe.model_copy(update={"model": resolve_checkpoint(recipe.model), "dtype": dtype})
