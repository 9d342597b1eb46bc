"""Splits questions into a training part and a development part, so that a clip is never in both."""

import hashlib
import re
from collections.abc import Sequence

from harken.errors import DataError
from harken.types import Question, fragment


def split_dev(questions: Sequence[Question], share: float, seed: int) -> tuple[list[Question], list[Question]]:
    """(training questions, development questions), by a hash of (seed, clip).

    The clip counts by the last two parts of its path, a text-only question by its id: the split depends neither on the
    order of the questions nor on where the data lies. Clips that are parts of one file stay together, because parts may
    overlap, and so do the clips of one question. About `share` of the clips are for development, not exactly.

    Raises DataError where `share` > 0 leaves a side empty.
    """
    train: list[Question] = []
    dev: list[Question] = []
    first_of = _first_of_group(questions)
    for question in questions:
        files = _files(question)
        key = f"clip {first_of[files[0]]}" if files else f"id {question.id}"
        (dev if _unit_hash(seed, key) < share else train).append(question)
    if share > 0 and not (train and dev):
        raise DataError(
            f"data.dev_share {share} of {len(questions)} questions leaves {len(train)} for training and {len(dev)} "
            "for development; choose another share, or set it to 0"
        )
    return train, dev


def _files(question: Question) -> list[str]:
    """The names of the files that the question's clips are from."""
    names = [name for name in question.clip.split("\n") if name]
    if len(names) == 1:
        return [question.clip.removesuffix(fragment(question.start_s, question.end_s))]
    return [re.sub(r"#t=[0-9.e+]*(,[0-9.e+]*)?$", "", name) for name in names]


def _first_of_group(questions: Sequence[Question]) -> dict[str, str]:
    """File -> the first in order of name of all files that questions join to it, directly or through others."""
    first: dict[str, str] = {}

    def root(file: str) -> str:
        while first.setdefault(file, file) != file:
            file = first[file]
        return file

    for question in questions:
        roots = sorted({root(file) for file in _files(question)})
        for other in roots[1:]:
            first[other] = roots[0]
    return {file: root(file) for file in list(first)}


def _unit_hash(seed: int, key: str) -> float:
    """A number in [0, 1) from the seed and the key."""
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
