"""A model behind an OpenAI-compatible server as the model that an evaluation asks.

Takes trials, gives their answers or why there is none. The clip goes with the request as `input_audio`: 16 kHz mono
16-bit WAV in base64, before the text, in one user turn; a question without a clip is text alone. Replies are kept in
the evaluation's folder, so nothing is asked twice; failures are not, so the same command asks for them again. Not
taken: a system prompt, and cutting clips: what a served model hears is the server's affair.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.config import EvaluationRecipe
from harken.data.audio import audio_part
from harken.data.audio_modes import clip_loader
from harken.errors import DataError, HarkenError
from harken.inference.predict import Batch
from harken.questions.choice_orders import Answer, Trial
from harken.questions.prompt import Prompt
from harken.system.model_client import ModelClient
from harken.system.model_requests import Failure, Reply, Request
from harken.types import AudioSpan, Question


class ServedModel:
    """Asks through `endpoint` as the recipe says."""

    def __init__(self, client: ModelClient, recipe: EvaluationRecipe, prompt: Prompt) -> None:
        self._client, self._recipe, self._prompt = client, recipe, prompt

    def fault(self, question: Question, durations_s: Mapping[AudioSpan, float]) -> str | None:
        """Why the question cannot be asked; None where it can. Control tokens are the server's affair."""
        try:
            self._prompt.text(question)
        except DataError as error:  # more choices than letters
            return str(error)
        return None

    def counts(self, questions: Sequence[Question], durations_s: Mapping[AudioSpan, float]) -> dict[str, int]:
        """Nothing is padded or cropped here."""
        return {}

    def answers(self, trials: Sequence[Trial], audio: str, journal: Path) -> Iterator[Batch]:
        """Each trial with its samples, in order. The client keeps its own replies; `journal` is not used.

        Raises HarkenError where asking anything else would fail in the same way (key, model name, address).
        """
        hear = clip_loader(audio, self._recipe.seed)
        replies = self._client.send_all(
            self._request(trial, g, hear) for trial in trials for g in range(self._recipe.samples)
        )
        for trial in trials:
            yield [(trial, [_answer(next(replies)[1]) for _ in range(self._recipe.samples)])]

    def _request(self, trial: Trial, sample: int, hear) -> Request:
        question = trial.question
        content: str | list[dict[str, Any]] = self._prompt.text(question)
        if question.audio is not None:
            content = [audio_part(hear(question)), {"type": "text", "text": content}]
        return Request(
            [{"role": "user", "content": content}],
            self._recipe.max_completion_tokens,
            self._recipe.temperature,
            {} if self._recipe.top_p == 1 else {"top_p": self._recipe.top_p},
            # Two questions of equal content are two draws.
            f"{question.id} {trial.order} {sample}",
        )


def _answer(found: Reply | Failure) -> Answer:
    if isinstance(found, Reply):
        return Answer(found.text, None, found.ended)
    if found.fatal:
        raise HarkenError(f"{found.reason}. What was answered is kept: mend this and run the same command again")
    return Answer("", None, True, found.reason)
