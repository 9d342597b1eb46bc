"""Lines of predictions.jsonl: what was asked, heard, said and understood.

Takes a trial and its answer, gives a row of plain values, graded. Pure. Not taken: grading where answers are asked for;
what is kept of an evaluation that was stopped is what the model said, and it is graded when all of it is there.
"""

from typing import Any

from harken.data.load import clip_name
from harken.questions.choice_orders import Answer, Trial
from harken.questions.grader import form, grade, reasoning
from harken.questions.prompt import Prompt
from harken.types import Grade, Question, Rejected


def prediction_row(trial: Trial, answer: Answer, prompt: Prompt) -> dict[str, Any]:
    """One line of predictions.jsonl. `correct` is None where the benchmark hides the answer."""
    question = trial.question
    graded = grade(answer.text, question.choices, question.answer, letters_shown=prompt.letters_shown)
    if answer.failure:
        graded = Grade(None, False, "", f"failed: {answer.failure}")
    return _row(question, prompt.text(question), answer, graded)


def unasked_row(question: Question, reason: str) -> dict[str, Any]:
    """The line of a question that could not be asked: wrong, and still in the denominator."""
    return _row(question, "", Answer("", 0, True), Grade(None, False, "", reason))


def rejected_row(rejected: Rejected) -> dict[str, Any]:
    """The line of a record that could not be used: wrong, and still in the denominator."""
    place = f"{rejected.file}:{rejected.line}"
    nothing = Question(rejected.id or place, "", (), None, None, clip=place)
    return {**unasked_row(nothing, f"rejected: {rejected.reason}"), "correct": False}


def _row(question: Question, prompt: str, answer: Answer, graded: Grade) -> dict[str, Any]:
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
        "form": form(answer.text),
        "reasoning": reasoning(answer.text),
        "choice": None if graded.choice is None else question.choices[graded.choice],
        "correct": None if question.answer is None else graded.correct,
        "extracted": graded.extracted,
        "reason": graded.reason,
        "tokens": answer.tokens,
        "ended": answer.ended,
    }
