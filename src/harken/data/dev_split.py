"""Splits questions into a training part and a development part, so that a clip is never in both."""

import hashlib
from collections.abc import Sequence

from harken.errors import DataError
from harken.types import Question, fragment


def split_dev(questions: Sequence[Question], share: float, seed: int) -> tuple[list[Question], list[Question]]:
    """(training questions, development questions), by a hash of (seed, clip).

    The clip counts by the last two parts of its path, a text-only question by its id: the split depends neither on the
    order of the questions nor on where the data lies. Clips that are parts of one file stay together, because parts may
    overlap. About `share` of the clips are for development, not exactly.

    Raises DataError where `share` > 0 leaves a side empty.
    """
    train: list[Question] = []
    dev: list[Question] = []
    for question in questions:
        (dev if _unit_hash(seed, _clip_key(question)) < share else train).append(question)
    if share > 0 and not (train and dev):
        raise DataError(
            f"data.dev_share {share} of {len(questions)} questions leaves {len(train)} for training and {len(dev)} "
            "for development; choose another share, or set it to 0"
        )
    return train, dev


def _clip_key(question: Question) -> str:
    file = question.clip.removesuffix(fragment(question.start_s, question.end_s))
    return f"clip {file}" if file else f"id {question.id}"


def _unit_hash(seed: int, key: str) -> float:
    """A number in [0, 1) from the seed and the key."""
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
