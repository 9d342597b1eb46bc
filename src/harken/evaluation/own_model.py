"""A model of the user's own as the model that an evaluation asks: a function that answers questions about waveforms.

A recipe or an option names it as `module:object`, or by the name that an installed package gives it. The object is a
function, or a class that is made once without arguments and then called. It gets one `Asked` and returns a text, or
with `per_batch` a list of them and returns as many texts. It may be async.
"""

import contextlib
import importlib.util
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from harken.config import EvaluationRecipe
from harken.config.plugins import installed, is_object_name
from harken.data.audio_modes import clip_loader
from harken.errors import ConfigError, HarkenError, raised, short_repr
from harken.evaluation.journal import Journal
from harken.inference.predict import Batch
from harken.questions.choice_orders import Answer, Trial
from harken.questions.prompt import Prompt
from harken.system.background_loop import run_in_background
from harken.system.file_states import file_state
from harken.system.import_object import import_function
from harken.types import AudioSpan, Conversation, Question, Waveform

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as a model of the user's own receives it.

    Attributes:
        text: the question and its choices, worded as the recipe says.
        waveforms: what the model hears, in order: [S] each, mono, 16 kHz; empty without audio.
        conversation: the same as chat messages with a place for each waveform, and the system turn if there is one.
        question: the record. Its answer is the right one: a model that reads it measures nothing.
        max_completion_tokens, temperature, top_p: how the recipe wants answers to be sampled.
        sample: number of this answer, from 0, where a question is asked several times.
    """

    text: str
    waveforms: tuple[Waveform, ...]
    conversation: Conversation
    question: Question
    max_completion_tokens: int
    temperature: float
    top_p: float
    sample: int = 0


def per_batch(function: FunctionT) -> FunctionT:
    """Mark a model that gets a list of `Asked`, at most as many as the recipe's `batch_size`, and returns a list of
    texts."""
    function.per = "batch"  # pyright: ignore[reportFunctionMemberAccess]
    return function


def is_own_model(name: str) -> bool:
    """Whether a recipe's `model` names a function and not a checkpoint."""
    return name in installed("model") or is_object_name(name)


def module_state(name: str) -> dict[str, Any]:
    """The file of the module that holds the model, so that an evaluation goes on with the same code only."""
    target = installed("model").get(name, name)
    spec = None
    with contextlib.suppress(ImportError, ValueError):  # whoever imports it says what is wrong with it
        spec = importlib.util.find_spec(target.partition(":")[0])
    file = None if spec is None or spec.origin is None else Path(spec.origin)
    is_file = file is not None and file.is_file()
    files = {file.name: file_state(file, hashed=True)} if file is not None and is_file else {}
    return {"checkpoint": str(file.parent) if file is not None else name, "files": files}


class OwnModel:
    """An `EvaluatedModel`. Raises ConfigError for a name that stands for no function."""

    def __init__(self, name: str, recipe: EvaluationRecipe, prompt: Prompt) -> None:
        self._name, self._recipe, self._prompt = name, recipe, prompt
        made = import_function(name, "model", "model")
        self._per_batch = getattr(made, "per", "question") == "batch"
        if inspect.isclass(made):
            try:
                made = made()
            except Exception as error:
                raise ConfigError(f"model: {name}: cannot be made: it raised {raised(error)}") from error
            if not callable(made):
                raise ConfigError(f"model: {name}: has no __call__, which gets what is asked and returns a text")
        self._function = made

    def why_unusable(self, question: Question, durations_s: Mapping[AudioSpan, float]) -> str | None:
        return self._prompt.fault(question)

    def clip_counts(self, questions: Sequence[Question], durations_s: Mapping[AudioSpan, float]) -> dict[str, int]:
        """No counts: it gets whole clips."""
        return {}

    def answer(self, trials: Sequence[Trial], audio: str, journal: Journal) -> Iterator[Batch]:
        """Yield first the answers in the journal, then the others batch by batch.

        Raises HarkenError that names the model where it raises, or returns anything but texts.
        """
        samples = self._recipe.samples
        earlier = journal.open(samples)
        yield [(trial, earlier[trial.key]) for trial in trials if trial.key in earlier]
        load_clips = clip_loader(audio, self._recipe.seed)
        left = [trial for trial in trials if trial.key not in earlier]
        size = max(1, self._recipe.batch_size // samples)
        for first in range(0, len(left), size):
            batch = left[first : first + size]
            requests = [each for trial in batch for each in self._requests(trial.question, load_clips(trial.question))]
            answers = [Answer(text, None, True) for text in self._texts(requests)]
            new = [(trial, answers[place * samples :][:samples]) for place, trial in enumerate(batch)]
            journal.append(new)
            yield new

    def _requests(self, question: Question, waveforms: Sequence[Waveform]) -> list[Asked]:
        recipe = self._recipe
        return [
            Asked(
                text=self._prompt.text(question),
                waveforms=tuple(waveforms),
                conversation=self._prompt.conversation(question),
                question=question,
                max_completion_tokens=recipe.max_completion_tokens,
                temperature=recipe.temperature,
                top_p=recipe.top_p,
                sample=sample,
            )
            for sample in range(recipe.samples)
        ]

    def _texts(self, requests: Sequence[Asked]) -> list[str]:
        """The answers to a batch; those of an async function are awaited together."""
        calls = [requests] if self._per_batch else [[request] for request in requests]
        returned: list[Any] = []
        for call in calls:
            returned.append(
                self._try(lambda call=call: self._function(list(call) if self._per_batch else call[0]), call)
            )
        waiting = [
            run_in_background(cast(Awaitable[Any], value)) if inspect.isawaitable(value) else None for value in returned
        ]
        for place, future in enumerate(waiting):
            if future is not None:
                returned[place] = self._try(future.result, calls[place])
        texts = [text for value in returned for text in self._checked(value, len(requests))]
        if len(texts) != len(requests):
            raise HarkenError(f"model: {self._name}: returned {len(texts)} texts for {len(requests)} questions")
        return texts

    def _checked(self, value: object, n: int) -> list[str]:
        values = value if self._per_batch else [value]
        texts = [text for text in values if isinstance(text, str)] if isinstance(values, list | tuple) else None
        if texts is None or len(texts) < len(cast(list[object], values)):
            wanted = f"a list of {n} texts" if self._per_batch else "a text"
            raise HarkenError(f"model: {self._name}: returned {short_repr(value)}; it must return {wanted}")
        return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]

    def _try(self, work: Callable[[], Any], call: Sequence[Asked]) -> Any:
        try:
            return work()
        except HarkenError:
            raise
        except Exception as error:
            place = call[0].question.source or call[0].question.id
            raise HarkenError(f"model: {self._name}: raised {raised(error)}, for the question {place}") from error
