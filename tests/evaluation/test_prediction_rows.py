"""The form of an answer in predictions.jsonl."""

import pytest

from harken.config import PromptConfig
from harken.evaluation.prediction_rows import prediction_row, unusable_row
from harken.questions.choice_orders import Answer, Trial
from harken.questions.prompt import Prompt
from harken.system.run_files import PREDICTIONS
from harken.types import Question

ASKED = Question("q", "What barks?", ("dog", "cat"), 0, None)


@pytest.mark.parametrize(
    ("style", "answer", "form"),
    [
        ("omni_r1", Answer("dog", 2, True), None),
        ("adaptive", Answer("dog", 2, True), "malformed"),
        ("adaptive", Answer("<answer>dog</answer>", 4, True), "no_think"),
        ("adaptive", Answer("", None, True, failure="HTTP 500"), None),
    ],
)
def test_an_answer_has_a_form_where_the_prompt_asked_for_one_and_something_came_back(style, answer, form):
    row = prediction_row(Trial(ASKED), answer, Prompt.from_config(PromptConfig(style=style)))
    assert row["form"] == form
    assert PREDICTIONS.fault(row) is None


def test_a_question_that_was_not_asked_has_no_form():
    assert unusable_row(ASKED, "not asked: too long")["form"] is None
