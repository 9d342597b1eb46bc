"""Rewards of answers to questions without choices: by a judge against the reference, or as a transcript of it.

Both give 0 to a question with choices, which accuracy rewards, so that files of both kinds can be trained on together.
"""

from collections.abc import Sequence

from harken.questions.word_error_rate import transcript_score
from harken.types import Response


def open_answers(responses: Sequence[Response], scores: Sequence[float | None], group: int) -> list[float]:
    """The judge's score of each answer to an open question; 0 for an empty answer.

    Where the judge failed, the mean of the scores in the completion's group stands, 0 without any: it pushes the
    completion neither way [O].

    Args:
        responses, scores: [R], whole groups of `group` completions. None: not judged, or the judge failed.
    """
    values = []
    for first in range(0, len(responses), group):
        known = [score for score in scores[first : first + group] if score is not None]
        mean = sum(known) / len(known) if known else 0.0
        for response, score in zip(responses[first : first + group], scores[first : first + group], strict=True):
            is_judged = not response.question.choices and bool(response.grade.extracted.strip())
            values.append((mean if score is None else score) if is_judged else 0.0)
    return values


def transcript(response: Response) -> float:
    """max(0, 1 - word error rate) of the answer to an open question, against its reference."""
    if response.question.choices:
        return 0.0
    return transcript_score(response.question.answer_text, response.grade.extracted)
