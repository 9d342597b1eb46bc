"""Word error rate: cases worked by hand, and the edit distance against its recursive definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harken.questions.word_error_rate import edit_distance, word_error_rate, words


@pytest.mark.parametrize(
    ("reference", "said", "rate"),
    [
        ("one two three", "one two three", 0),
        ("one two three", "one three", 1 / 3),  # one deletion
        ("one two three", "one two two three", 1 / 3),  # one insertion
        ("one two three", "one ten three", 1 / 3),  # one substitution
        ("one two three", "two three one", 2 / 3),  # a deletion and an insertion
        ("one two", "", 1),
        ("one", "one one one one", 3),
        ("one two three four", "two tree four five", 3 / 4),  # deletion, substitution, insertion
    ],
)
def test_a_word_error_rate_worked_by_hand(reference, said, rate):
    assert word_error_rate([reference], [said]) == rate


def test_the_rate_is_over_all_words_and_not_a_mean_of_rates():
    """1 error of 1 word and 1 of 7: 2 of 8, where the mean of the two rates would be 4/7."""
    assert word_error_rate(["one", "a b c d e f g"], ["two", "a b c d e f"]) == 2 / 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Hello,\tWORLD!\n", ["hello", "world"]),
        ("Don't — stop…", ["dont", "stop"]),
        ("twenty-one", ["twentyone"]),
        ("ＡＢＣ ﬁve\u00a0six", ["abc", "five", "six"]),
        ("«Ça» cafe\u0301", ["ça", "caf\u00e9"]),
        ("¿?!", []),
        ("你好，世界。", ["你好世界"]),
        ("3.5 + $2", ["35", "+", "$2"]),
    ],
)
def test_words_are_folded_and_lose_their_punctuation(text, expected):
    assert words(text) == expected


def test_references_without_a_word_have_no_rate():
    with pytest.raises(ValueError, match="the references have no word"):
        word_error_rate(["..."], ["one"])
    with pytest.raises(ValueError, match="zip"):
        word_error_rate(["one"], [])


def slow_distance(reference, said) -> int:
    """The recursive definition: the cheapest of all ways to treat the first words."""
    if not reference or not said:
        return len(reference) + len(said)
    return min(
        slow_distance(reference[1:], said[1:]) + (reference[0] != said[0]),
        slow_distance(reference[1:], said) + 1,
        slow_distance(reference, said[1:]) + 1,
    )


FEW_WORDS = st.lists(st.sampled_from("abc"), max_size=5)


@given(FEW_WORDS, FEW_WORDS)
def test_the_edit_distance_is_that_of_the_recursive_definition(reference, said):
    assert edit_distance(reference, said) == slow_distance(reference, said)
