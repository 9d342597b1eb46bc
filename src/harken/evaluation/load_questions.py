"""Loads the questions of an evaluation and lists the records that cannot be used."""

from rich.console import Console

from harken.benchmarks.registry import find_reader
from harken.config import EvaluationRecipe
from harken.data.load import Loaded, load_sources, write_rejected
from harken.data.reject_reasons import commonest_reasons
from harken.data.subset import select_questions
from harken.errors import DataError
from harken.evaluation.folder import EvaluationFolder
from harken.system.console import SILENT
from harken.system.progress import StepProgress
from harken.types import Question


def load_questions(recipe: EvaluationRecipe, folder: EvaluationFolder, console: Console = SILENT) -> Loaded:
    """Load the questions that the recipe selects, and write the rejected records to rejected.jsonl.

    A subset keeps all rejected records, because a record that cannot be read has no label; a limit keeps those before
    its last question. Raises DataError when no record can be used, or when clips are missing and the recipe does not
    allow it.
    """
    last_line = 0

    def select(questions: list[Question]) -> list[Question]:
        nonlocal last_line
        kept = select_questions(questions, recipe.subset.model_dump(), recipe.limit)
        last_line = max((int(question.source.rpartition(":")[2]) for question in kept), default=0)
        return kept

    with StepProgress(console, "checking clips", 0, 500) as progress:
        loaded = load_sources([recipe.data], find_reader, need_answer=False, select=select, on_progress=progress.update)
    rejected = [record for record in loaded.rejected if recipe.limit is None or record.line <= last_line]
    write_rejected(folder.rejected, rejected)
    if loaded.missing and not recipe.allow_missing:
        names = ", ".join(str(clip) for clip in loaded.missing[:3]) + (", ..." if len(loaded.missing) > 3 else "")
        raise DataError(
            f"{recipe.data.file}: {len(loaded.missing)} clips are not there ({names}); their questions are listed in "
            f"{folder.rejected}. Correct data.audio_root or fetch the clips, or go on with --allow-missing: then their "
            "questions count as wrong"
        )
    if not loaded.questions:
        reasons = commonest_reasons(record.reason for record in loaded.rejected)
        raise DataError(f"{recipe.data.file}: no usable record; the reasons are in {folder.rejected}{reasons}")
    return Loaded(loaded.questions, rejected, loaded.durations_s, loaded.missing, loaded.clips)
