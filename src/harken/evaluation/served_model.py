"""A model behind an OpenAI-compatible server as the model that an evaluation asks.

A request is the prompt's system turn, if it has one, and a user turn: each clip as `input_audio` (16 kHz mono 16-bit
WAV in base64) and then the text; a question without a clip is the text alone. Clips are sent whole, because the
server decides what its model hears. Replies are kept in the evaluation's folder and never requested twice. Failures
are not kept, so the same command repeats them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harken.config import EvaluationRecipe
from harken.data.audio import audio_part
from harken.data.audio_modes import clip_loader
from harken.errors import HarkenError, ServerError
from harken.evaluation.journal import Journal
from harken.inference.predict import Batch
from harken.models.audio_features import shortest_clip
from harken.questions.choice_orders import Answer, Trial
from harken.questions.prompt import Prompt
from harken.system.model_client import ModelClient
from harken.system.model_messages import Failure, Reply, Request
from harken.types import AudioSpan, Question, Waveform

MAX_FAILURES_IN_A_ROW = 20
"""The evaluation stops after as many: the server is gone, or it refuses everything."""
MIN_SAMPLES = shortest_clip(hop_length=160)
"""A shorter clip is padded with silence, as for a local model: servers refuse clips below one audio token."""


class ServedModel:
    """An `EvaluatedModel`."""

    def __init__(self, client: ModelClient, recipe: EvaluationRecipe, prompt: Prompt) -> None:
        self._client, self._recipe, self._prompt = client, recipe, prompt

    def why_unusable(self, question: Question, durations_s: Mapping[AudioSpan, float]) -> str | None:
        return self._prompt.fault(question)

    def clip_counts(self, questions: Sequence[Question], durations_s: Mapping[AudioSpan, float]) -> dict[str, int]:
        """No counts: clips are sent whole."""
        return {}

    def answer(self, trials: Sequence[Trial], audio: str, journal: Journal) -> Iterator[Batch]:
        """Yield each trial with its answers, in order. The client keeps the replies, and `journal` is not used.

        Raises HarkenError when every other request would fail in the same way (key, model name, address), ServerError
        when MAX_FAILURES_IN_A_ROW requests in a row failed.
        """
        load_clips = clip_loader(audio, self._recipe.seed)
        replies = self._client.send_all(
            self._request(trial, sample, load_clips) for trial in trials for sample in range(self._recipe.samples)
        )
        in_a_row = 0
        for trial in trials:
            answers = [_answer(next(replies)[1]) for _ in range(self._recipe.samples)]
            for answer in answers:
                in_a_row = in_a_row + 1 if answer.failure else 0
                if in_a_row == MAX_FAILURES_IN_A_ROW:
                    raise ServerError(
                        f"{in_a_row} requests in a row failed, the last one: {answer.failure}. The answers so far are "
                        "kept: mend the server and run the same command again"
                    )
            yield [(trial, answers)]

    def _request(self, trial: Trial, sample: int, load_clips: Callable[[Question], list[Waveform]]) -> Request:
        question = trial.question
        content: str | list[dict[str, Any]] = self._prompt.text(question)
        if question.audio_spans:
            padded = [np.pad(clip, (0, max(0, MIN_SAMPLES - len(clip)))) for clip in load_clips(question)]
            content = [*map(audio_part, padded), {"type": "text", "text": content}]
        text = self._prompt.system
        system = [] if text is None else [{"role": "system", "content": text}]
        return Request(
            [*system, {"role": "user", "content": content}],
            self._recipe.max_completion_tokens,
            self._recipe.temperature,
            {} if self._recipe.top_p == 1 else {"top_p": self._recipe.top_p},
            # Two questions with the same content get two replies.
            f"{question.id} {trial.order} {sample}",
        )


def _answer(reply: Reply | Failure) -> Answer:
    if isinstance(reply, Reply):
        return Answer(reply.whole_text, reply.completion_tokens or None, reply.ended)
    if reply.fatal:
        raise HarkenError(f"{reply.reason}. The answers so far are kept: correct this and run the same command again")
    return Answer("", None, True, reply.reason)
