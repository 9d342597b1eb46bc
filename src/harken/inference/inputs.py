"""Questions -> what the model reads, with clips too short, too long and seen before.

Takes questions and the prompt, gives `ModelInput`s. A clip too short for one audio token is padded with silence; one
longer than the tower hears is an error here, so training leaves it out beforehand (`leave_out_unusable`) and
evaluation chooses to crop it. Not taken: cutting a prompt; what is scored must be what was generated from.
"""

import os
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from harken.data.ablation import hear_clip
from harken.data.audio import SAMPLE_RATE_HZ
from harken.data.records import rejection
from harken.models.base import AudioLM, ModelInput
from harken.questions.prompt import Prompt
from harken.types import AudioSpan, Question, Rejected, Waveform


class PromptInputs:
    """Renders questions for one model and prompt; keeps the most recently used within a budget of memory.

    Args:
        hear: the waveform of a question that has a clip; default: the clip as it is.

    Attributes:
        padded: clips that were padded with silence so far.
        cropped: clips that were cut to what the tower hears, so far; only with `crop_long_audio`.
    """

    def __init__(
        self,
        model: AudioLM,
        prompt: Prompt,
        cache_gib: float,
        *,
        crop_long_audio: bool = False,
        hear: Callable[[Question], Waveform] = hear_clip,
    ) -> None:
        self._model, self._prompt, self._crop, self._hear = model, prompt, crop_long_audio, hear
        self._budget_bytes = int(cache_gib * 2**30)
        self._used_bytes = 0
        self._cache: OrderedDict[str, ModelInput] = OrderedDict()
        self.padded: set[AudioSpan] = set()
        self.cropped: set[AudioSpan] = set()

    def __call__(self, questions: Sequence[Question]) -> list[ModelInput]:
        return [self._known(question) or self._keep(question, self._make(question)) for question in questions]

    def ahead(self, windows: Iterable[Sequence[Question]]) -> Generator[list[ModelInput]]:
        """The inputs of each window in turn, while threads decode and render those of the window after it. An error
        is raised in its own window's turn."""
        pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1), thread_name_prefix="inputs")
        started: deque[list[tuple[Question, ModelInput | Future[ModelInput]]]] = deque()
        try:
            for window in windows:
                started.append([(one, self._known(one) or pool.submit(self._make, one)) for one in window])
                if len(started) == 2:
                    yield self._finish(started.popleft())
            while started:
                yield self._finish(started.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _finish(self, window: list[tuple[Question, ModelInput | Future[ModelInput]]]) -> list[ModelInput]:
        return [self._keep(question, made.result()) if isinstance(made, Future) else made for question, made in window]

    def _make(self, question: Question) -> ModelInput:
        waveform = None if question.audio_span is None else self._fit(question.audio_span, self._hear(question))
        return self._model.render(self._prompt.conversation(question), waveform)

    def _known(self, question: Question) -> ModelInput | None:
        known = self._cache.get(question.id)
        if known is not None:
            self._cache.move_to_end(question.id)
        return known

    def _keep(self, question: Question, made: ModelInput) -> ModelInput:
        if self._budget_bytes == 0 or question.id in self._cache:
            return made
        self._cache[question.id] = made
        self._used_bytes += _bytes(made)
        while self._used_bytes > self._budget_bytes and self._cache:
            self._used_bytes -= _bytes(self._cache.popitem(last=False)[1])
        return made

    def _fit(self, clip: AudioSpan, waveform: Waveform) -> Waveform:
        if len(waveform) < self._model.min_samples:
            self.padded.add(clip)
            return np.pad(waveform, (0, self._model.min_samples - len(waveform)))
        if len(waveform) > self._model.max_samples and self._crop:
            self.cropped.add(clip)
            return waveform[: self._model.max_samples]
        return waveform


def clips_fitted(
    questions: Iterable[Question], durations_s: Mapping[AudioSpan, float], model: AudioLM
) -> tuple[int, int]:
    """How many different clips are shorter than the shortest the model hears, and longer than the longest."""
    clips = {question.audio_span for question in questions if question.audio_span is not None}
    samples = [round(durations_s[clip] * SAMPLE_RATE_HZ) for clip in clips]
    return sum(n < model.min_samples for n in samples), sum(n > model.max_samples for n in samples)


def leave_out_unusable(
    questions: Sequence[Question],
    durations_s: Mapping[AudioSpan, float],
    model: AudioLM,
    prompt: Prompt,
    max_prompt_tokens: int,
) -> tuple[list[Question], list[Rejected]]:
    """Split off the questions that cannot be trained on (clip or prompt too long, control tokens), each with its
    reason."""
    kept, rejected = [], []
    for question in questions:
        reason = unusable(question, durations_s, model, prompt, max_prompt_tokens=max_prompt_tokens)
        if reason is None:
            kept.append(question)
        else:
            rejected.append(rejection(question, reason))
    return kept, rejected


def unusable(
    question: Question,
    durations_s: Mapping[AudioSpan, float],
    model: AudioLM,
    prompt: Prompt,
    *,
    crop: bool = False,
    max_prompt_tokens: int | None = None,
) -> str | None:
    """Why the model cannot be asked this question as it is; None where it can."""
    samples, part = None, question.audio_span
    if part is not None:
        samples = max(model.min_samples, round(durations_s[part] * SAMPLE_RATE_HZ))
        if samples > model.max_samples and not crop:
            clip_s, longest_s = durations_s[part], model.max_samples / SAMPLE_RATE_HZ
            return f"{part}: {clip_s:.1f} s, the model hears {longest_s:.0f} s; cut the clip"
        samples = min(samples, model.max_samples)
    try:
        length = model.prompt_length(prompt.conversation(question), samples)
    except ValueError as error:  # a control token in the text, more choices than letters
        return str(error)
    if max_prompt_tokens is not None and length > max_prompt_tokens:
        return f"a prompt of {length} tokens, data.max_prompt_tokens is {max_prompt_tokens}; a prompt is never cut"
    return None


def _bytes(one: ModelInput) -> int:
    features = 0 if one.features is None else one.features.nbytes
    return one.input_ids.nbytes + features
