"""Rewards of open questions: a judge's score, a transcript's word error rate, and what neither says anything about."""

import pytest

from harken.config import RewardConfig
from harken.questions.grader import understand
from harken.rewards.open_questions import open_answers, transcript
from harken.types import Question

OPEN = Question("q", "What is said?", (), None, None, answer_text="One two, three FOUR.")
CLOSED = Question("c", "Which?", ("a", "b"), 0, None)


def response(text, question=OPEN):
    return understand(text, question, letters_shown=False, tokens=1, ended=True)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("one two three four", 1.0),
        ("<think>a b c</think><answer>One, two three four!</answer>", 1.0),
        ("one two tree four", 0.75),
        ("one two four", 0.75),
        ("one two three four five", 0.75),
        ("", 0.0),
        ("a b c d e f g h i", 0.0),  # more errors than words, and no less than 0
        ("<think>one two three four", 0.0),
    ],
)
def test_a_transcript_earns_1_minus_its_word_error_rate(text, score):
    assert transcript(response(text)) == score


def test_a_reference_without_words_is_met_by_silence_alone():
    silence = Question("s", "What is said?", (), None, None, answer_text="...")
    assert [transcript(response(text, silence)) for text in ("", "!", "a word")] == [1.0, 1.0, 0.0]


def test_the_judges_score_counts_a_failure_moves_nothing_and_an_empty_answer_earns_0():
    responses = [response(text) for text in ("a", "b", "c", "", "a", "b", "c", "d")]
    scores = [1.0, None, 0.5, None, None, None, None, None]
    assert open_answers(responses, scores, group=4) == [1.0, 0.75, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_each_kind_of_question_is_rewarded_by_its_own_part():
    closed = response("a", CLOSED)
    assert closed.grade.correct
    assert transcript(closed) == 0.0
    assert open_answers([closed], [None], group=1) == [0.0]
    graded = response("One two").grade
    assert (graded.correct, graded.choice, graded.extracted, graded.reason) == (False, None, "One two", "open question")


def test_only_the_part_that_asks_a_judge_needs_one():
    def judged(*names):
        return RewardConfig.model_validate({"parts": [{"name": name} for name in names]}).judged

    assert judged("accuracy", "transcript") == frozenset()
    assert judged("accuracy", "open_answer") == {"answer"}
