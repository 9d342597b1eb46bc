"""The right answer stands at each position equally often."""

import random

from generate_cases import (
    position_counts,
)
from hypothesis import given
from hypothesis import strategies as st

from harken.generate.answer_positions import balance_answer_positions
from harken.types import Question


@given(ids=st.lists(st.text(max_size=3), unique=True, max_size=40), seed=st.integers(0, 2**63 - 1))
def test_positions_are_within_one_of_perfect_and_independent_of_order(ids, seed):
    drawn = random.Random(seed)
    questions = [Question(ident, "?", tuple(drawn.sample("abcd", 4)), drawn.randrange(4), None) for ident in ids]
    moved = list(balance_answer_positions(questions, seed))
    counts = position_counts([{"answer": question.answer} for question in moved])
    assert max(counts) - min(counts) <= 1
    for before, after in zip(questions, moved, strict=True):
        assert before.answer is not None
        assert after.answer is not None
        right = before.choices[before.answer]
        assert after.choices[after.answer] == right
        assert [choice for choice in after.choices if choice != right] == [
            choice for choice in before.choices if choice != right
        ]
    backwards = balance_answer_positions(questions[::-1], seed)
    assert sorted(backwards, key=lambda question: question.id) == sorted(moved, key=lambda question: question.id)


def test_another_seed_puts_the_answers_elsewhere():
    questions = [Question(str(i), "?", ("a", "b", "c", "d"), 0, None) for i in range(40)]
    assert list(balance_answer_positions(questions, 0)) != list(balance_answer_positions(questions, 1))
