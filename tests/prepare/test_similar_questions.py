"""Questions of a training set that a benchmark asks in nearly the same words are found."""

import random

from hypothesis import given
from hypothesis import strategies as st

from harken.prepare.leak_check_sets import word_set
from harken.prepare.similar_questions import WordIndex


def similar_questions(training, benchmark):
    """Pairs of numbers of similar questions."""
    index = WordIndex()
    for words in benchmark:
        index.add(words)
    return [(n, same) for n, words in enumerate(training) if (same := index.find(words)) is not None]


def jaccard(a, b):
    return len(a & b) / len(a | b) if a | b else 0.0


words = st.lists(st.frozensets(st.sampled_from("abcdefghijkl"), max_size=10), max_size=12)


@given(training=words, benchmark=words)
def test_similar_questions_are_those_that_comparing_all_pairs_finds(training, benchmark):
    expected = [
        (n, next((m for m, other in enumerate(benchmark) if jaccard(words, other) >= 0.8), None))
        for n, words in enumerate(training)
    ]
    assert similar_questions(training, benchmark) == [pair for pair in expected if pair[1] is not None]


def test_words_are_compared_without_case_order_and_punctuation():
    assert word_set("What's HEARD?", "a Dog") == {"what", "s", "heard", "a", "dog"}


def test_many_questions_are_compared_without_comparing_all_pairs():
    rng = random.Random(0)
    vocabulary = [f"w{n}" for n in range(3000)]
    make = lambda n: [frozenset(["what", "is", "the", *rng.choices(vocabulary, k=12)]) for _ in range(n)]  # noqa: E731
    training, benchmark = make(4000), make(500)
    benchmark[7] = training[123]
    assert similar_questions(training, benchmark) == [(123, 7)]
