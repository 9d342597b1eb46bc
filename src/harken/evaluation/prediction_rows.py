"""Rows of predictions.jsonl: the question, what the model heard, its completion, and the grade. Pure functions."""

from typing import Any

from harken.data.load import clip_name
from harken.questions.choice_orders import Answer, Trial
from harken.questions.grader import grade
from harken.questions.output_parts import form_of_output, reasoning
from harken.questions.prompt import Prompt
from harken.types import Form, Grade, Question, Rejected


def prediction_row(trial: Trial, answer: Answer, prompt: Prompt) -> dict[str, Any]:
    """The row of a graded answer. `correct` is None when the benchmark hides the right answer."""
    question = trial.question
    if answer.failure:
        graded = Grade(None, False, "", f"failed: {answer.failure}")
    else:
        graded = grade(answer.text, question.choices, question.answer, letters_shown=prompt.letters_shown)
    kind = None if answer.failure else form_of_output(answer.text, tags_asked=prompt.tags_asked)
    return _row(question, prompt.text(question), answer, kind, graded)


def unusable_row(question: Question, reason: str) -> dict[str, Any]:
    """The row of a question that the model could not be asked. It counts as wrong."""
    return _row(question, "", Answer("", 0, True), None, Grade(None, False, "", reason))


def rejected_row(rejected: Rejected) -> dict[str, Any]:
    """The row of a record that could not be used. It counts as wrong."""
    place = f"{rejected.file}:{rejected.line}"
    question = Question(rejected.id or place, "", (), None, None, clip=place)
    return {**unusable_row(question, f"rejected: {rejected.reason}"), "correct": False}


def _row(question: Question, prompt: str, answer: Answer, kind: Form | None, graded: Grade) -> dict[str, Any]:
    return {
        "id": question.id,
        "clip": question.clip or question.id,
        "heard": clip_name(question),
        "task": question.task,
        "difficulty": question.difficulty,
        "question": question.text,
        "choices": list(question.choices),
        "answer": None if question.answer is None else question.choices[question.answer],
        "prompt": prompt,
        "completion": answer.text,
        "form": kind,
        "reasoning": reasoning(answer.text),
        "choice": None if graded.choice is None else question.choices[graded.choice],
        "correct": None if question.answer is None else graded.correct,
        "extracted": graded.extracted,
        "reason": graded.reason,
        "tokens": answer.tokens,
        "ended": answer.ended,
    }
