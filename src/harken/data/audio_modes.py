"""What a model hears in place of the clip: nothing, silence, noise, another question's clip, or a fragment of its own.

`SourceConfig.audio` names the mode. An evaluation in every mode shows whether a model listens. The same seed gives the
same silence, noise and shuffled clips on every machine and in any batch.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from harken.config.data import fragment_share
from harken.data.audio import load_waveform
from harken.errors import DataError
from harken.types import Question, Waveform


def questions_in_mode(mode: str, questions: Sequence[Question], seed: int) -> list[Question]:
    """The questions with the clip that the mode gives to each: its own, none, or another question's.

    shuffled: the clips of these questions, in order of their paths, are put in a random cycle (Sattolo's algorithm)
    and each is replaced by the next. So no clip stays in its place, all questions about one clip get the same other
    one, and every clip is used; each of a question's several clips is replaced. `clip`, which statistics cluster by,
    stays the question's own.
    Raises DataError where shuffled has fewer than two clips to choose from.
    """
    if mode == "none":
        return [replace(question, audio=None) for question in questions]
    if mode != "shuffled":
        return list(questions)
    spans = {span for question in questions for span in question.audio_spans}
    clips = sorted(spans, key=lambda span: (span.path, span.start_s, span.end_s or math.inf))
    if len(clips) == 1:
        raise DataError(f"audio: shuffled needs two clips or more, the questions are all about {clips[0]}")
    order, random = list(range(len(clips))), np.random.default_rng(seed)
    for last in range(len(clips) - 1, 0, -1):
        other = int(random.integers(last))
        order[last], order[other] = order[other], order[last]
    next_of = {clip: clips[place] for clip, place in zip(clips, order, strict=True)}
    return [replace(question, audio=tuple(next_of[span] for span in question.audio_spans)) for question in questions]


def waveform_in_mode(mode: str, waveform: Waveform, clip: str, seed: int) -> Waveform:
    """[S] -> [S]: zeros for silence, noise for noise, and the waveform itself for every other mode; [S] -> [s] for a
    fragment: this share of the waveform, at least one sample, at a place drawn from (seed, clip).

    Noise is white and Gaussian, has the root mean square of the waveform and is drawn from (seed, clip). Loud noise may
    leave [-1, 1] in places, as the level of the clip asks for.
    """
    if mode == "silence":
        return np.zeros_like(waveform)
    share = fragment_share(mode)
    if mode != "noise" and share is None:
        return waveform
    key = hashlib.sha256(f"{seed} {clip}".encode(errors="surrogatepass")).digest()
    random = np.random.default_rng(int.from_bytes(key, "big"))
    if share is not None:
        length = max(1, round(share * len(waveform)))
        first = int(random.integers(len(waveform) - length + 1))
        return waveform[first : first + length]
    noise = random.standard_normal(len(waveform))
    level = float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)) / np.mean(np.square(noise))))
    return (noise * level).astype(np.float32)


def load_clips(question: Question) -> list[Waveform]:
    """The clips of a question, in order. Raises AudioError as `load_waveform`."""
    return [
        load_waveform(span.path, span.start_s, span.end_s, truncated=span.truncated) for span in question.audio_spans
    ]


def clip_loader(mode: str, seed: int) -> Callable[[Question], list[Waveform]]:
    """A function that loads the clips of a question and returns what the model hears in this mode."""

    def load(question: Question) -> list[Waveform]:
        names = question.clip.split("\n")
        return [
            waveform_in_mode(mode, waveform, names[min(place, len(names) - 1)], seed)
            for place, waveform in enumerate(load_clips(question))
        ]

    return load
