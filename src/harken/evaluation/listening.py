"""Evaluates a model with every kind of audio, which shows what the clip contributes (`harken evaluate --listening`)."""

from pathlib import Path
from typing import Any

from rich.console import Console

from harken.config import EvaluationRecipe
from harken.config.data import AUDIO_MODES
from harken.data.load import write_rejected
from harken.evaluation.evaluate import evaluate_questions
from harken.evaluation.evaluated_model import agree_on_recipe, open_model
from harken.evaluation.folder import EvaluationFolder, how_to_go_on
from harken.evaluation.load_questions import load_questions
from harken.models.audio_lm import AudioLM
from harken.questions.prompt import Prompt
from harken.results.listening import listening_figures, listening_rows, read_mode
from harken.system.console import SILENT
from harken.system.distributed_run import distributed_run, join_ranks
from harken.system.files import write_json
from harken.system.json_lines import write_json_lines
from harken.system.progress import OnProgress, no_progress


@distributed_run(how_to_go_on)
def evaluate_listening(
    recipe: EvaluationRecipe,
    out: Path,
    on_progress: OnProgress = no_progress,
    console: Console = SILENT,
    loaded: AudioLM | None = None,
) -> dict[str, Any]:
    """Ask the same questions with each of AUDIO_MODES, and write one evaluation into a subfolder for each.

    The model is opened once, or is `loaded` already. Finished evaluations are not repeated. A question that cannot be
    asked with its clip is asked with no kind of audio. Writes listening.jsonl, one row for each question, and
    listening.json, and returns the latter; it is empty on every rank but the first. Raises as `evaluate` does.
    """
    ranks = join_ranks()
    recipe = agree_on_recipe(recipe, ranks)
    prompt = Prompt.from_config(recipe.prompt)
    recipes = {mode: _with_audio(recipe, mode) for mode in AUDIO_MODES}
    folders = ranks.run_on_all(lambda: {mode: EvaluationFolder(out / mode, recipes[mode]) for mode in AUDIO_MODES})
    finished = ranks.broadcast([folder.is_finished for folder in folders.values()])
    questions = ranks.run_on_main(lambda: load_questions(recipes["real"], folders["real"], console))
    with open_model(recipe, prompt, out / "replies.jsonl", ranks, console, loaded) as model:
        for number, folder in enumerate(folders.values()):
            if finished[number]:
                continue
            if questions is not None:
                write_rejected(folder.rejected, questions.rejected)

            def report(done: int, total: int, n_before: int = number) -> None:
                on_progress(n_before * total + done, len(AUDIO_MODES) * total)

            evaluate_questions(folder, questions, model, prompt, report, ranks)
    if not ranks.is_main:
        return {}
    rows = listening_rows({mode: read_mode(folder.path) for mode, folder in folders.items()})
    figures = listening_figures(rows)
    write_json_lines(out / "listening.jsonl", rows)
    write_json(out / "listening.json", figures)
    return figures


def _with_audio(recipe: EvaluationRecipe, mode: str) -> EvaluationRecipe:
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"audio": mode})})
