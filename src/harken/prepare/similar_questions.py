"""Finds questions of a training set that a benchmark asks in nearly the same words."""

from array import array
from collections import Counter
from collections.abc import Sequence

_SIMILARITY = (4, 5)
"""A Jaccard similarity of 0.8, as two whole numbers."""


class WordIndex:
    """The words of a benchmark's questions, in which similar questions are looked up.

    Sets of words with at least the similarity t share a word among the first n - ceil(t n) + 1 of each, with the words
    in one order for both (prefix filter, Chaudhuri et al. 2006). The rarest words come first, so that few candidates
    are compared; words that the benchmark does not use come before all others. A question takes about 8 bytes a word.
    """

    def __init__(self) -> None:
        self._number: dict[str, int] = {}
        self._words = array("I")  # the words of all questions, by number
        self._ends = array("Q", [0])
        self._rank: Sequence[int] = ()
        self._questions_with: dict[int, array[int]] = {}

    def add(self, words: frozenset[str]) -> None:
        """Add the next question."""
        self._words.extend(self._number.setdefault(word, len(self._number)) for word in words)
        self._ends.append(len(self._words))
        self._rank = ()

    def find(self, words: frozenset[str]) -> int | None:
        """The number of the first question that is similar, counted from 0; None where there is none."""
        if not self._rank:
            self._build()
        number, rank = self._number, self._rank
        known = [number[word] for word in words if word in number]
        n_first = _prefix_length(len(words)) - (len(words) - len(known))
        if n_first <= 0:
            return None
        firsts = sorted(known, key=rank.__getitem__)[:n_first]
        over, under = _SIMILARITY
        own = set(known)
        for index in sorted({index for word in firsts for index in self._questions_with.get(word, ())}):
            other = self._words[self._ends[index] : self._ends[index + 1]]
            n_shared = len(own.intersection(other))
            if under * n_shared >= over * (len(words) + len(other) - n_shared):
                return index
        return None

    def _build(self) -> None:
        """Order the words, and list the questions that have each word in their prefix."""
        frequency = Counter(self._words)
        ordered = sorted(self._number, key=lambda word: (frequency[self._number[word]], word))
        ranks = array("I", bytes(4 * len(ordered)))
        for rank, word in enumerate(ordered):
            ranks[self._number[word]] = rank
        self._rank, self._questions_with = ranks, {}
        for index in range(len(self._ends) - 1):
            words = self._words[self._ends[index] : self._ends[index + 1]]
            for word in sorted(words, key=ranks.__getitem__)[: _prefix_length(len(words))]:
                self._questions_with.setdefault(word, array("I")).append(index)


def _prefix_length(n_words: int) -> int:
    over, under = _SIMILARITY
    return n_words + -over * n_words // under + 1
