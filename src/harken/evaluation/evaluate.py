"""Answers of a model to a benchmark's questions, graded and written down.

Takes a recipe, gives predictions.jsonl and summary.json. The model is a checkpoint or a served one; prompt and grader
are those of training. Nothing leaves the denominator: a record that cannot be used, an answer that cannot be read, a
request that failed and a clip the model cannot hear whole are wrong, each counted. The same command goes on after it
was stopped. Imports nothing of training.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from harken.benchmarks.registry import find_reader
from harken.config import EvaluationRecipe
from harken.data.audio_modes import MODES, questions_in_mode
from harken.data.load import Loaded, load_sources, write_rejected
from harken.data.subset import select_questions
from harken.errors import ConfigError, DataError
from harken.evaluation.baselines import BASELINES, Baseline
from harken.evaluation.checkpoint_model import CheckpointModel
from harken.evaluation.folder import EvaluationFolder
from harken.evaluation.rows import prediction_row, rejected_row, unasked_row
from harken.evaluation.served_model import ServedModel
from harken.inference.predict import Batch
from harken.judges import add_judged_column, open_judge
from harken.models.loading import DTYPES, load_model, resolve_checkpoint
from harken.questions.choice_orders import Answer, Trial, trials_of
from harken.questions.prompt import Prompt
from harken.results.listening import listening_figures, listening_rows, read_mode
from harken.results.official_figures import official_figures
from harken.results.summary import summarise
from harken.results.trials import order_figures, pass_rate_rows, sample_figures
from harken.system.files import write_json
from harken.system.json_lines import write_json_lines
from harken.system.model_client import ModelClient
from harken.types import AudioSpan, Question

OnProgress = Callable[[int, int], None]
"""Called with (answered, total): first with what an earlier, stopped command left, then as answers come."""


class EvaluatedModel(Protocol):
    """What evaluation asks: `CheckpointModel`, `ServedModel` or `Baseline`."""

    def fault(self, question: Question, durations_s: Mapping[AudioSpan, float]) -> str | None: ...

    def counts(self, questions: Sequence[Question], durations_s: Mapping[AudioSpan, float]) -> dict[str, int]: ...

    def answers(self, trials: Sequence[Trial], audio: str, journal: Path) -> Iterator[Batch]: ...


def evaluate(recipe: EvaluationRecipe, out: Path, on_progress: OnProgress = lambda done, total: None) -> dict[str, Any]:
    """Answer every record of the recipe's data; write what docs/evaluation.md lists. Returns the summary.

    An evaluation of the same recipe that was stopped in `out` goes on; of a finished one, only what failed is asked.
    Raises ConfigError where `out` holds a finished evaluation or another recipe's, DataError where no record can be
    used or clips are missing, HarkenError where a server refuses every request.
    """
    recipe = _with_checkpoint(recipe)
    folder = EvaluationFolder(out, recipe)
    if folder.summary is not None and not folder.summary.get("n_failed"):
        raise ConfigError(f"{out}: holds an evaluation already; choose another --out")
    prompt = Prompt.from_config(recipe.prompt)
    with _open_model(recipe, prompt, folder.replies) as model:
        loaded = _load(recipe, folder)
        return _evaluate(folder, loaded, model, prompt, on_progress)


def listen(recipe: EvaluationRecipe, out: Path, on_progress: OnProgress = lambda done, total: None) -> dict[str, Any]:
    """The same questions with each of `MODES` for the clip, one evaluation in a subfolder each, on the same model.

    Writes listening.jsonl, one row a question, and listening.json; returns the latter. Modes that are finished are not
    asked again. A question that cannot be asked with its clip is asked in no mode. Raises as `evaluate` does.
    """
    recipe = _with_checkpoint(recipe)
    prompt = Prompt.from_config(recipe.prompt)
    folders = {mode: EvaluationFolder(out / mode, _with_audio(recipe, mode)) for mode in MODES}
    with _open_model(recipe, prompt, out / "replies.jsonl") as model:
        loaded = _load(_with_audio(recipe, "real"), folders["real"])
        for number, folder in enumerate(folders.values()):
            if folder.summary is None or folder.summary.get("n_failed"):
                write_rejected(folder.rejected, loaded.rejected)
                _evaluate(
                    folder,
                    loaded,
                    model,
                    prompt,
                    lambda done, total, before=number: on_progress(before * total + done, len(MODES) * total),
                )
    rows = listening_rows({mode: read_mode(folder.path) for mode, folder in folders.items()})
    figures = listening_figures(rows)
    write_json_lines(out / "listening.jsonl", rows)
    write_json(out / "listening.json", figures)
    return figures


def _evaluate(
    folder: EvaluationFolder, loaded: Loaded, model: EvaluatedModel, prompt: Prompt, on_progress: OnProgress
) -> dict[str, Any]:
    recipe = folder.recipe
    mode = recipe.data.audio
    faults = {
        question.id: fault
        for question in loaded.questions
        if (fault := model.fault(question, loaded.durations_s)) is not None
    }
    asked = questions_in_mode(mode, [one for one in loaded.questions if one.id not in faults], recipe.seed)
    trials = [trial for question in asked for trial in trials_of(question, recipe.permute, recipe.seed)]
    folder.begin()
    found: dict[tuple[str, int], list[Answer]] = {}
    for batch in model.answers(trials, mode, folder.journal):
        found |= {trial.key: answers for trial, answers in batch}
        on_progress(len(found), len(trials))
    groups: dict[str, list[dict[str, Any]]] = {question.id: [] for question in loaded.questions}
    for trial in trials:
        groups[trial.question.id] += [prediction_row(trial, one, prompt) for one in found[trial.key]]
    n_trials = recipe.permute * recipe.samples
    for question in loaded.questions:
        if question.id in faults:
            groups[question.id] = [unasked_row(question, f"not asked: {faults[question.id]}")] * n_trials
    rows = [*groups.values(), *([rejected_row(one)] * n_trials for one in loaded.rejected)]
    first = [trials_rows[0] for trials_rows in rows]
    judged: dict[str, Any] = {}
    if recipe.judge is not None:
        with contextlib.closing(open_judge(recipe.judge, folder.path / "judge")) as judge:
            first, judged = add_judged_column(judge, {one.id: one for one in loaded.questions}, first)
    samples = sample_figures(rows) if recipe.samples > 1 else None
    orders = order_figures(rows) if recipe.permute > 1 else None
    summary = {
        **summarise(first),
        **({"judged": judged} if judged else {}),
        **({} if _partial(recipe) else _official(recipe, first, prompt)),
        "n_failed": sum(row["reason"].startswith("failed: ") for trials_rows in rows for row in trials_rows),
        **({"samples": samples} if samples else {}),
        **({"orders": orders} if orders else {}),
        "audio": mode,
        **model.counts(asked, loaded.durations_s),
        "n_missing_clips": len(loaded.missing),
        "long_audio": recipe.long_audio,
        "force": recipe.force,
        "model": recipe.model if recipe.endpoint is None else recipe.endpoint.model,
        "data": str(recipe.data.file),
        "data_sha256": folder.data_sha256,
    }
    if n_trials > 1:
        write_json_lines(folder.path / "trials.jsonl", [row for trials_rows in rows for row in trials_rows])
        write_json_lines(folder.path / "pass_rates.jsonl", pass_rate_rows(rows))
    write_json_lines(folder.predictions, first)
    folder.finish(summary)
    return summary


def _partial(recipe: EvaluationRecipe) -> bool:
    return recipe.limit is not None or any(recipe.subset.model_dump().values())


def _official(recipe: EvaluationRecipe, rows: Sequence[Mapping[str, Any]], prompt: Prompt) -> dict[str, Any]:
    return official_figures(recipe.data.reader, recipe.data.file, rows, prompt.letters_shown)


def _load(recipe: EvaluationRecipe, folder: EvaluationFolder) -> Loaded:
    """The questions to ask; what cannot be used is listed in rejected.jsonl."""
    last_line = 0

    def chosen(questions: list[Question]) -> list[Question]:
        nonlocal last_line
        kept = select_questions(questions, recipe.subset.model_dump(), recipe.limit)
        last_line = max((int(question.source.rpartition(":")[2]) for question in kept), default=0)
        return kept

    loaded = load_sources([recipe.data], find_reader, need_answer=False, select=chosen)
    # Records that cannot be read have no label, so a subset keeps them; a limit keeps those before its last question.
    rejected = [one for one in loaded.rejected if recipe.limit is None or one.line <= last_line]
    write_rejected(folder.rejected, rejected)
    if loaded.missing and not recipe.allow_missing:
        names = ", ".join(str(clip) for clip in loaded.missing[:3]) + (", ..." if len(loaded.missing) > 3 else "")
        raise DataError(
            f"{recipe.data.file}: {len(loaded.missing)} clips are not there ({names}); their questions are listed in "
            f"{folder.rejected}. Mend data.audio_root or fetch the clips, or go on with --allow-missing: then their "
            "questions count as wrong"
        )
    if not loaded.questions:
        raise DataError(f"{recipe.data.file}: no usable record; the reasons are in {folder.rejected}")
    return Loaded(loaded.questions, rejected, loaded.durations_s, loaded.missing)


@contextlib.contextmanager
def _open_model(recipe: EvaluationRecipe, prompt: Prompt, replies: Path) -> Iterator[EvaluatedModel]:
    if recipe.endpoint is not None:
        with ModelClient(recipe.endpoint, replies) as client:
            yield ServedModel(client, recipe, prompt)
    elif recipe.model in BASELINES:
        yield Baseline(recipe.model, recipe.samples)
    else:
        assert recipe.model is not None
        yield CheckpointModel(
            load_model(recipe.model, dtype=DTYPES[recipe.dtype], device=recipe.device), recipe, prompt
        )


def _with_checkpoint(recipe: EvaluationRecipe) -> EvaluationRecipe:
    """A run folder stands for its newest checkpoint now: an evaluation that goes on keeps to it, or is refused."""
    if recipe.model is None or recipe.model in BASELINES:
        return recipe
    return recipe.model_copy(update={"model": resolve_checkpoint(recipe.model)})


def _with_audio(recipe: EvaluationRecipe, mode: str) -> EvaluationRecipe:
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"audio": mode})})
