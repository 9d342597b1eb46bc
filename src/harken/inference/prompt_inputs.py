"""Questions rendered as model inputs, with a cache and with loading in the background.

Training and evaluation give `PromptInputs` questions and get `ModelInput`s back. A clip shorter than one audio token is
padded with silence. A clip longer than the model can take is cropped where `crop_long_audio` is set, as in evaluation,
and an error otherwise: training leaves such questions out beforehand (`unusable_questions.py`). A prompt is never cut.
"""

import os
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from harken.data.audio_modes import load_clips
from harken.models.audio_lm import AudioLM, ModelInput
from harken.questions.prompt import Prompt
from harken.types import AudioSpan, Question, Waveform


class PromptInputs:
    """Renders questions for one model and one prompt, and keeps the most recently used within a memory budget.

    Args:
        load_clips: loads the waveforms of a question's clips; default: the clips as they are.

    Attributes:
        padded: the clips that were padded with silence so far.
        cropped: the clips that were cropped so far; only with `crop_long_audio`.
    """

    def __init__(
        self,
        model: AudioLM,
        prompt: Prompt,
        cache_gib: float,
        *,
        crop_long_audio: bool = False,
        load_clips: Callable[[Question], Sequence[Waveform]] = load_clips,
    ) -> None:
        self._model, self._prompt, self._crop, self._load_clips = model, prompt, crop_long_audio, load_clips
        self._budget_bytes = int(cache_gib * 2**30)
        self._used_bytes = 0
        self._cache: OrderedDict[str, ModelInput] = OrderedDict()
        self.padded: set[AudioSpan] = set()
        self.cropped: set[AudioSpan] = set()

    def __call__(self, questions: Sequence[Question]) -> list[ModelInput]:
        return [self._cached(question) or self._store(question, self._render(question)) for question in questions]

    def prefetch(self, windows: Iterable[Sequence[Question]]) -> Generator[list[ModelInput]]:
        """Yield the inputs of each window of questions in turn, while threads load and render the next window. An error
        is raised when it is the turn of its window."""
        pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="inputs")
        started: deque[list[tuple[Question, ModelInput | Future[ModelInput]]]] = deque()
        try:
            for window in windows:
                started.append(
                    [(question, self._cached(question) or pool.submit(self._render, question)) for question in window]
                )
                if len(started) == 2:
                    yield self._finish(started.popleft())
            while started:
                yield self._finish(started.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _finish(self, window: list[tuple[Question, ModelInput | Future[ModelInput]]]) -> list[ModelInput]:
        return [self._store(question, item.result()) if isinstance(item, Future) else item for question, item in window]

    def _render(self, question: Question) -> ModelInput:
        spans = question.audio_spans
        waveforms = self._load_clips(question) if spans else ()
        fitted = [self._fit(span, waveform) for span, waveform in zip(spans, waveforms, strict=True)]
        clips = fitted if len(fitted) > 1 else fitted[0] if fitted else None
        return self._model.render(self._prompt.conversation(question), clips)

    def _cached(self, question: Question) -> ModelInput | None:
        cached = self._cache.get(question.id)
        if cached is not None:
            self._cache.move_to_end(question.id)
        return cached

    def _store(self, question: Question, rendered: ModelInput) -> ModelInput:
        if self._budget_bytes == 0 or question.id in self._cache:
            return rendered
        self._cache[question.id] = rendered
        self._used_bytes += _size_bytes(rendered)
        while self._used_bytes > self._budget_bytes and self._cache:
            self._used_bytes -= _size_bytes(self._cache.popitem(last=False)[1])
        return rendered

    def _fit(self, clip: AudioSpan, waveform: Waveform) -> Waveform:
        if len(waveform) < self._model.min_samples:
            self.padded.add(clip)
            return np.pad(waveform, (0, self._model.min_samples - len(waveform)))
        if len(waveform) > self._model.max_samples and self._crop:
            self.cropped.add(clip)
            return waveform[: self._model.max_samples]
        return waveform


def _size_bytes(rendered: ModelInput) -> int:
    features = 0 if rendered.features is None else rendered.features.nbytes
    return rendered.input_ids.nbytes + features
