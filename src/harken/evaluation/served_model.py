"""A model behind an OpenAI-compatible server as the model that an evaluation asks.

A request is one user turn: the clip as `input_audio` (16 kHz mono 16-bit WAV in base64) and then the text; a question
without a clip is the text alone. Clips are sent whole, because the server decides what its model hears. Replies are
kept in the evaluation's folder and never requested twice. Failures are not kept, so the same command repeats them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from harken.types import AudioSpan, Question, Waveform


class ServedModel:
    """An `EvaluatedModel`."""

    def __init__(self, client: ModelClient, recipe: EvaluationRecipe, prompt: Prompt) -> None:
        self._client, self._recipe, self._prompt = client, recipe, prompt

    def why_unusable(self, question: Question, durations_s: Mapping[AudioSpan, float]) -> str | None:
        """Why the prompt cannot be written, as for more choices than letters; None when it can."""
        try:
            self._prompt.text(question)
        except DataError as error:
            return str(error)
        return None

    def clip_counts(self, questions: Sequence[Question], durations_s: Mapping[AudioSpan, float]) -> dict[str, int]:
        """No counts: clips are sent whole."""
        return {}

    def answer(self, trials: Sequence[Trial], audio: str, journal: Path) -> Iterator[Batch]:
        """Yield each trial with its answers, in order. The client keeps the replies, and `journal` is not used.

        Raises HarkenError when every other request would fail in the same way (key, model name, address).
        """
        load_clip = clip_loader(audio, self._recipe.seed)
        replies = self._client.send_all(
            self._request(trial, sample, load_clip) for trial in trials for sample in range(self._recipe.samples)
        )
        for trial in trials:
            yield [(trial, [_answer(next(replies)[1]) for _ in range(self._recipe.samples)])]

    def _request(self, trial: Trial, sample: int, load_clip: Callable[[Question], Waveform]) -> Request:
        question = trial.question
        content: str | list[dict[str, Any]] = self._prompt.text(question)
        if question.audio is not None:
            content = [audio_part(load_clip(question)), {"type": "text", "text": content}]
        return Request(
            [{"role": "user", "content": content}],
            self._recipe.max_completion_tokens,
            self._recipe.temperature,
            {} if self._recipe.top_p == 1 else {"top_p": self._recipe.top_p},
            # Two questions with the same content get two replies.
            f"{question.id} {trial.order} {sample}",
        )


def _answer(reply: Reply | Failure) -> Answer:
    if isinstance(reply, Reply):
        return Answer(reply.text, None, reply.ended)
    if reply.fatal:
        raise HarkenError(f"{reply.reason}. The answers so far are kept: correct this and run the same command again")
    return Answer("", None, True, reply.reason)
