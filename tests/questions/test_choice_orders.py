"""The orders in which the choices of a question are shown."""

import itertools
from pathlib import Path

from harken.questions.choice_orders import trials_of
from harken.types import Question


def question(n: int) -> Question:
    return Question("q", "Which?", tuple("abcdefgh"[:n]), 1, Path("c.wav"))


def test_the_first_order_is_the_files_and_all_are_different_while_there_are_more():
    shown = [trial.question for trial in trials_of(question(3), 6, seed=0)]
    assert shown[0] == question(3)
    assert {question.choices for question in shown} == set(itertools.permutations("abc"))
    assert all(question.answer is not None and question.choices[question.answer] == "b" for question in shown)
    again = trials_of(question(3), 8, seed=0)
    assert [trial.order for trial in again] == list(range(8))
    assert [trial.question for trial in again[:6]] == shown  # a longer list begins with a shorter one
    assert again[6].question == shown[0]
    assert len({trial.question.choices for trial in trials_of(question(8), 20, seed=0)}) == 20


def test_orders_depend_on_the_seed_and_a_hidden_answer_stays_hidden():
    many = {tuple(trial.question.choices for trial in trials_of(question(5), 3, seed)) for seed in range(8)}
    assert len(many) == 8
    hidden = Question("q", "Which?", ("a", "b"), None, None)
    assert [trial.question.answer for trial in trials_of(hidden, 2, 0)] == [None, None]
