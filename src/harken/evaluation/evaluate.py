"""Evaluates a model on the questions of a recipe and writes predictions.jsonl and summary.json.

Prompt and grader are those of training. Every record counts, except one that repeats an earlier one. A record that
cannot be used, an answer that cannot be read, a request that failed, and a clip that is too long where the recipe says
so are wrong, and each kind is counted. A stopped evaluation goes on when it is called again.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from harken.config import EvaluationRecipe
from harken.data.audio_modes import questions_in_mode
from harken.data.load import Loaded
from harken.errors import ConfigError
from harken.evaluation.evaluated_model import EvaluatedModel, agree_on_recipe, open_model
from harken.evaluation.folder import EvaluationFolder, how_to_go_on
from harken.evaluation.journal import Answers, Journal
from harken.evaluation.load_questions import load_questions
from harken.evaluation.prediction_rows import prediction_row, rejected_row, unusable_row
from harken.evaluation.scored_columns import add_scored_columns
from harken.evaluation.share_trials import ask
from harken.models.audio_lm import AudioLM
from harken.questions.choice_orders import Answer, Trial, trials_of
from harken.questions.prompt import Prompt
from harken.questions.wordings import read_wordings
from harken.results.evaluation_rows import Row
from harken.results.official_figures import check_official_rule, official_figures
from harken.results.summary import summarise
from harken.results.trials import order_figures, pass_rate_rows, robustness_rows, sample_figures, wording_figures
from harken.system.console import SILENT
from harken.system.distributed_run import distributed_run, join_ranks
from harken.system.json_lines import write_json_lines
from harken.system.progress import OnProgress, no_progress
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.types import Question


@distributed_run(how_to_go_on)
def evaluate(
    recipe: EvaluationRecipe,
    out: Path,
    on_progress: OnProgress = no_progress,
    console: Console = SILENT,
    loaded: AudioLM | None = None,
) -> dict[str, Any]:
    """Ask the model every question of the recipe, and write the files that docs/evaluation.md lists into `out`.

    A stopped evaluation of the same recipe goes on; of a finished one, only failed requests are sent again. Several
    ranks share the questions, and rank 0 writes the files that one process would write.

    Args:
        on_progress: called with (answered trials, all trials), first for what an earlier command answered.
        console: where it is shown what is checked and loaded before the first question.
        loaded: the checkpoint that the recipe names, if it is in memory already.

    Returns the summary; it is empty on every rank but the first. Raises ConfigError when `out` holds a finished
    evaluation or that of another recipe, DataError when no record can be used or clips are missing, HarkenError when a
    server refuses every request, RankError when another rank is lost.
    """
    ranks = join_ranks()
    recipe = agree_on_recipe(recipe, ranks)
    folder = ranks.run_on_all(lambda: _open_folder(recipe, out))
    prompt = Prompt.from_config(recipe.prompt)
    questions = ranks.run_on_main(lambda: load_questions(recipe, folder, console))
    with open_model(recipe, prompt, folder.replies, ranks, console, loaded) as model:
        return evaluate_questions(folder, questions, model, prompt, on_progress, ranks)


def _open_folder(recipe: EvaluationRecipe, out: Path) -> EvaluationFolder:
    folder = EvaluationFolder(out, recipe)
    if folder.is_finished:
        raise ConfigError(f"{out}: holds an evaluation already; choose another --out")
    return folder


@dataclass(frozen=True, slots=True)
class _Plan:
    """The questions and trials of an evaluation.

    Attributes:
        questions: those that the model can be asked, with what it hears.
        unusable: question id -> why the model cannot be asked.
        wordings: question id -> its other wordings; empty where the recipe names none.
    """

    questions: Sequence[Question]
    trials: Sequence[Trial]
    unusable: Mapping[str, str]
    wordings: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def n_wordings(self) -> int:
        """The wordings in which each question is asked, its own among them."""
        return 1 + max(map(len, self.wordings.values()), default=0)


def evaluate_questions(
    folder: EvaluationFolder,
    loaded: Loaded | None,
    model: EvaluatedModel,
    prompt: Prompt,
    on_progress: OnProgress,
    ranks: Ranks = SINGLE_PROCESS,
) -> dict[str, Any]:
    """Ask, grade, summarise and write. Returns the summary; it is empty on every rank but the first, which alone needs
    `loaded`."""
    plan = ranks.run_on_main(lambda: None if loaded is None else _begin(folder, loaded, model))
    trials, journal = plan and plan.trials, Journal(folder.path, ranks)
    answers = ask(model, trials, folder.recipe.data.audio, journal, on_progress, ranks)
    if loaded is None or plan is None:
        return {}
    return _finish(folder, loaded, plan, answers, model, prompt)


def _begin(folder: EvaluationFolder, loaded: Loaded, model: EvaluatedModel) -> _Plan:
    """Choose what is asked, and begin the folder."""
    recipe = folder.recipe
    if _is_whole(recipe):
        check_official_rule(recipe.data.reader, loaded.questions)
    unusable = _unusable(model, loaded)
    usable = [question for question in loaded.questions if question.id not in unusable]
    questions = questions_in_mode(recipe.data.audio, usable, recipe.seed)
    wordings = {} if recipe.paraphrases is None else read_wordings(recipe.paraphrases, loaded.questions)
    trials = [
        trial
        for question in questions
        for trial in trials_of(question, recipe.permute, recipe.seed, wordings.get(question.id, ()))
    ]
    folder.begin(loaded.questions)
    return _Plan(questions, trials, unusable, wordings)


def _finish(
    folder: EvaluationFolder, loaded: Loaded, plan: _Plan, answers: Answers, model: EvaluatedModel, prompt: Prompt
) -> dict[str, Any]:
    """Grade the answers and write what the evaluation found. Returns the summary."""
    recipe = folder.recipe
    groups = _grade(recipe, loaded, plan, answers, prompt)
    rows, scored = add_scored_columns(folder, loaded.questions, plan.questions, model, [group[0] for group in groups])
    summary = {
        **summarise(rows),
        **scored,
        **_official(recipe, rows, prompt),
        **_failures([answer for samples in answers.values() for answer in samples]),
        **_trial_figures(recipe, plan, groups),
        "audio": recipe.data.audio,
        **model.clip_counts(plan.questions, loaded.durations_s),
        "n_missing_clips": len(loaded.missing),
        "n_repeated": sum(record.repeated for record in loaded.rejected),
        "clips_cut": loaded.clips.cut,
        "clips_beyond_full_scale": loaded.clips.beyond_full_scale,
        "clips_cancelled": loaded.clips.cancelled,
        "long_audio": recipe.long_audio,
        "force": recipe.force,
        "model": recipe.model if recipe.endpoint is None else recipe.endpoint.model,
        "data": str(recipe.data.file),
        "data_sha256": folder.data_sha256,
    }
    if recipe.paraphrases is not None:
        write_json_lines(folder.path / "robustness.jsonl", robustness_rows(groups, recipe.permute))
    if recipe.permute * recipe.samples * plan.n_wordings > 1:
        write_json_lines(folder.path / "trials.jsonl", [row for group in groups for row in group])
        write_json_lines(folder.path / "pass_rates.jsonl", pass_rate_rows(groups))
    write_json_lines(folder.predictions, rows)
    folder.finish(summary)
    return summary


def _unusable(model: EvaluatedModel, loaded: Loaded) -> dict[str, str]:
    """Question id -> why the model cannot be asked the question."""
    reasons = {question.id: model.why_unusable(question, loaded.durations_s) for question in loaded.questions}
    return {ident: reason for ident, reason in reasons.items() if reason is not None}


def _grade(
    recipe: EvaluationRecipe,
    loaded: Loaded,
    plan: _Plan,
    answers: Answers,
    prompt: Prompt,
) -> list[list[Row]]:
    """The rows of each record: first the questions in the order of the file, then the rejected records.

    A record that repeats an earlier one has none: it would count one question twice. A question has a row for each
    wording, order of its choices and sample. A record without answers has as many equal rows.
    """
    n_rows = recipe.permute * recipe.samples * plan.n_wordings
    groups: dict[str, list[Row]] = {question.id: [] for question in loaded.questions}
    for trial in plan.trials:
        groups[trial.question.id] += [prediction_row(trial, answer, prompt) for answer in answers[trial.key]]
    for question in loaded.questions:
        if question.id in plan.unusable:
            groups[question.id] = [unusable_row(question, f"not asked: {plan.unusable[question.id]}")] * n_rows
    rejected = [record for record in loaded.rejected if not record.repeated]
    return [*groups.values(), *([rejected_row(record)] * n_rows for record in rejected)]


def _failures(answers: Sequence[Answer]) -> dict[str, Any]:
    """`n_failed`; with failed requests also their number among all and their causes, the commonest first.

    Causes that differ in numbers only, such as the id of a request, are one cause and shown by their first example.
    """
    examples: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for answer in answers:
        if answer.failure:
            cause = re.sub(r"[0-9a-f]*[0-9][0-9a-f-]*", "#", answer.failure)
            examples.setdefault(cause, answer.failure)
            counts[cause] += 1
    if not counts:
        return {"n_failed": 0}
    causes = [{"reason": examples[cause], "n": n} for cause, n in counts.most_common()]
    return {"n_failed": counts.total(), "n_requests": len(answers), "failures": causes}


def _is_whole(recipe: EvaluationRecipe) -> bool:
    return recipe.limit is None and not any(recipe.subset.model_dump().values())


def _official(recipe: EvaluationRecipe, rows: Sequence[Row], prompt: Prompt) -> dict[str, Any]:
    """The benchmark's official score; {} when only a part of its questions was asked."""
    if not _is_whole(recipe):
        return {}
    return official_figures(recipe.data.reader, recipe.data.file, rows, prompt.letters_shown)


def _trial_figures(recipe: EvaluationRecipe, plan: _Plan, groups: Sequence[Sequence[Row]]) -> dict[str, Any]:
    """The entries of the summary over several samples, orders or wordings; {} when every answer is hidden. Orders are
    those of the question's own words."""
    without = sum(
        set(texts) == {question.text} for question in plan.questions if (texts := plan.wordings.get(question.id))
    )
    figures = {
        "samples": sample_figures(groups) if recipe.samples > 1 else {},
        "orders": order_figures([group[: recipe.permute] for group in groups]) if recipe.permute > 1 else {},
        "wordings": wording_figures(groups, recipe.permute, without) if plan.wordings else {},
    }
    return {name: values for name, values in figures.items() if values}
