"""What a model hears in place of the clip, to see whether it listens.

Takes questions and waveforms, gives others, by the modes of `SourceConfig.audio`. The same seed gives the same
silence, noise and shuffled clips on every machine, in any batch. Not taken: masking a model's audio features; what a
microphone could not have recorded says little about listening.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from harken.data.audio import load_waveform
from harken.errors import DataError
from harken.types import AudioSpan, Question, Waveform

MODES = ("real", "none", "silence", "noise", "shuffled")


def with_clips_of(mode: str, questions: Sequence[Question], seed: int) -> list[Question]:
    """The questions with the clip that each is asked with: its own, none, or another's.

    shuffled: the clips of these questions, in order of their paths, are put in a random cycle (Sattolo's algorithm)
    and each is replaced by the next. So no clip stays in its place, all questions about one clip hear the same other
    one, and every clip is heard. `clip`, which statistics cluster by, stays the question's own.
    Raises DataError where shuffled has fewer than two clips to choose from.
    """
    if mode == "none":
        return [replace(question, audio=None) for question in questions]
    if mode != "shuffled":
        return list(questions)
    parts = {question.audio_span for question in questions if question.audio_span is not None}
    clips = sorted(parts, key=lambda part: (part.path, part.start_s, part.end_s or math.inf))
    if len(clips) == 1:
        raise DataError(f"audio: shuffled needs two clips or more, the questions are all about {clips[0]}")
    order, random = list(range(len(clips))), np.random.default_rng(seed)
    for last in range(len(clips) - 1, 0, -1):
        other = int(random.integers(last))
        order[last], order[other] = order[other], order[last]
    next_of = {clip: clips[place] for clip, place in zip(clips, order, strict=True)}
    return [
        question if question.audio_span is None else _about(question, next_of[question.audio_span])
        for question in questions
    ]


def _about(question: Question, part: AudioSpan) -> Question:
    return replace(question, audio=part.path, start_s=part.start_s, end_s=part.end_s)


def heard(mode: str, waveform: Waveform, clip: str, seed: int) -> Waveform:
    """[S] -> [S]: the waveform, zeros, or white Gaussian noise of the same root mean square, drawn from (seed, clip).

    Loud noise may leave [-1, 1] in places, as the level of the clip asks for.
    """
    if mode == "silence":
        return np.zeros_like(waveform)
    if mode != "noise":
        return waveform
    key = hashlib.sha256(f"{seed} {clip}".encode(errors="surrogatepass")).digest()
    noise = np.random.default_rng(int.from_bytes(key, "big")).standard_normal(len(waveform))
    level = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)) / np.mean(np.square(noise))))
    return (noise * level).astype(np.float32)


def hear_clip(question: Question) -> Waveform:
    """The clip of a question that has one. Raises AudioError as `load_waveform`."""
    assert question.audio_span is not None
    return load_waveform(question.audio_span.path, question.audio_span.start_s, question.audio_span.end_s)


def listener(mode: str, seed: int) -> Callable[[Question], Waveform]:
    """What a question that has a clip is asked with: `hear_clip`, then `heard`."""
    return lambda question: heard(mode, hear_clip(question), question.clip, seed)
