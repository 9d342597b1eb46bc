"""Answers to open questions as transcripts: the word error rate of an evaluation, with its interval."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harken.questions.word_error_rate import edit_distance, transcript_score, words
from harken.results.evaluation_rows import Row
from harken.stats import mean_interval, ratio_interval
from harken.types import Question


def add_transcript_column(questions: Sequence[Question], rows: Sequence[Row]) -> tuple[list[Row], dict[str, Any]]:
    """Add `transcript_score`, max(0, 1 - word error rate), to the rows of open questions that have a reference.

    Words are lower case and without punctuation (`questions/word_error_rate.py`). A question without an answer counts
    with every word of its reference missing.

    Returns:
        The rows, and the entry `transcripts` of the summary: score (mean over questions) and word_error_rate (errors /
        reference words over all questions; may be above 1), each with its 95 % interval clustered by clip; {} where no
        question has a reference.
    """
    references = {each.id: each.answer_text for each in questions if not each.choices and words(each.answer_text)}
    scored = [row for row in rows if row["id"] in references]
    if not scored:
        return list(rows), {}
    clips = [row["clip"] for row in scored]
    pairs = [(words(references[row["id"]]), words(row["extracted"])) for row in scored]
    scores = [transcript_score(references[row["id"]], row["extracted"]) for row in scored]
    errors = [float(edit_distance(*pair)) for pair in pairs]
    score_of = {row["id"]: score for row, score in zip(scored, scores, strict=True)}
    return [{**row, **({"transcript_score": score_of[row["id"]]} if row["id"] in score_of else {})} for row in rows], {
        "transcripts": {
            "score": asdict(mean_interval(scores, clips)),
            "word_error_rate": asdict(ratio_interval(errors, [float(len(words)) for words, _ in pairs], clips)),
            "n": len(scored),
        }
    }
