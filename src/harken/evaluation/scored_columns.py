"""Columns that an evaluation adds beside the grade: a judge's opinion, likelihoods of the choices, word error rates."""

import contextlib
from collections.abc import Sequence
from typing import Any

from harken.evaluation.checkpoint_model import CheckpointModel
from harken.evaluation.evaluated_model import EvaluatedModel
from harken.evaluation.folder import EvaluationFolder
from harken.judges import add_judged_column, add_open_column, add_rubric_column, open_judge
from harken.results.evaluation_rows import Row
from harken.results.likelihoods import add_likelihood_columns
from harken.results.transcripts import add_transcript_column
from harken.types import Question


def add_scored_columns(
    folder: EvaluationFolder,
    loaded: Sequence[Question],
    questions: Sequence[Question],
    model: EvaluatedModel,
    rows: Sequence[Row],
) -> tuple[Sequence[Row], dict[str, Any]]:
    """The rows with the columns that the recipe asks for, and their entries of the summary.

    Args:
        loaded: all questions of the file.
        questions: those that the model answered, with what it heard.
    """
    recipe = folder.recipe
    rows, entries = _judged(folder, loaded, rows)
    if recipe.likelihoods:
        assert isinstance(model, CheckpointModel)  # `agree_on_recipe` refuses every other model
        logp = model.choice_logp(questions, recipe.data.audio)
        by_id = {question.id: (question, values) for question, values in zip(questions, logp, strict=True)}
        rows, figures = add_likelihood_columns(by_id, rows)
        entries |= figures
    if recipe.transcripts:
        rows, figures = add_transcript_column(loaded, rows)
        entries |= figures
    return rows, entries


def _judged(
    folder: EvaluationFolder, questions: Sequence[Question], rows: Sequence[Row]
) -> tuple[Sequence[Row], dict[str, Any]]:
    """The rows with a judge's columns and the judge's entries of the summary, when the recipe names a judge."""
    if folder.recipe.judge is None:
        return rows, {}
    by_id = {question.id: question for question in questions}
    with contextlib.closing(open_judge(folder.recipe.judge, folder.path / "judge")) as judge:
        rows, judged = add_judged_column(judge, by_id, rows)
        rows, of_open = add_open_column(judge, by_id, rows)
        rows, by_rubric = add_rubric_column(judge, by_id, rows)
    return rows, {"judged": judged, **of_open, **by_rubric}
