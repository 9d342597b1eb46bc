"""Finds questions of a training set that a benchmark asks in nearly the same words."""

from collections import Counter
from collections.abc import Iterator, Sequence

from harken.prepare.leak_check_sets import ComparedRecord

_SIMILARITY = (4, 5)
"""A Jaccard similarity of 0.8, as two whole numbers."""


def similar_questions(
    training: Sequence[ComparedRecord], benchmark: Sequence[ComparedRecord]
) -> Iterator[tuple[ComparedRecord, ComparedRecord]]:
    """Pair records whose sets of words have at least the similarity t.

    Such sets share a word among the first n - ceil(t n) + 1 of each, with the words in one order for both (prefix
    filter, Chaudhuri et al. 2006). The rarest words come first, so that few candidates are compared.
    """
    over, under = _SIMILARITY
    frequency = Counter(word for record in (*training, *benchmark) for word in record.words)

    def prefix(words: frozenset[str]) -> list[str]:
        ordered = sorted(words, key=lambda word: (frequency[word], word))
        return ordered[: len(words) + -over * len(words) // under + 1]

    benchmark_with: dict[str, list[int]] = {}
    for index, record in enumerate(benchmark):
        for word in prefix(record.words):
            benchmark_with.setdefault(word, []).append(index)
    for record in training:
        candidates = sorted({index for word in prefix(record.words) for index in benchmark_with.get(word, ())})
        for index in candidates:
            other = benchmark[index].words
            if under * len(record.words & other) >= over * len(record.words | other):
                yield record, benchmark[index]
                break
