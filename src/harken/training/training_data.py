"""Loads the questions that a run trains on: reads them, checks all of them before the first step, splits them.

What was kept and what was rejected is shown on the console and written into the run folder (`rejected.jsonl`,
`data.json`). No record is skipped silently: records = kept + rejected.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from harken.benchmarks.registry import find_reader
from harken.config import Recipe
from harken.data.curriculum import easy_to_hard, read_pass_rates
from harken.data.dev_split import split_dev
from harken.data.load import Loaded, load_sources, refuse_if_too_many, write_rejected
from harken.data.records import rejection
from harken.errors import DataError
from harken.inference.unusable_questions import split_unusable
from harken.models.audio_lm import AudioLM
from harken.questions.prompt import Prompt
from harken.system.console import print_line
from harken.system.files import write_json
from harken.system.json_lines import write_json_lines
from harken.system.progress import StepProgress
from harken.training.run_folder import RunFolder
from harken.types import Question, Rejected


def read_training_data(recipe: Recipe, run: RunFolder, console: Console, *, supervised: bool = False) -> Loaded:
    """Read the sources and check every clip, without the checkpoint.

    Args:
        supervised: for SFT, which writes the reference of an open question whatever the reward scores.

    Raises DataError where more than `data.max_rejected_share` of the records cannot be used; the list of them is in the
    run folder then.
    """
    with StepProgress(console, "checking clips", 0, 500) as progress:
        loaded = load_sources(
            recipe.data.train,
            find_reader,
            need_answer=True,
            open_answers=supervised or recipe.reward.scores_open_answers,
            on_progress=progress.update,
        )
    _refuse_if_too_many(loaded, recipe, run)
    return loaded


def load_training_data(
    recipe: Recipe,
    loaded: Loaded,
    model: AudioLM,
    prompt: Prompt,
    run: RunFolder,
    console: Console,
    *,
    supervised: bool = False,
) -> tuple[list[Question], list[Question]]:
    """(questions to train on, development part).

    Args:
        loaded: what `read_training_data` gave.
        model: renders prompts; it needs no weights.
        supervised: for SFT, which also rejects a record from which its prompt cannot make a target completion.

    Raises DataError where more than `data.max_rejected_share` of the records cannot be used.
    """
    kept, too_long = split_unusable(loaded.questions, loaded.durations_s, model, prompt, recipe.data.max_prompt_tokens)
    kept, without_target = _split_without_target(kept, prompt) if supervised else (kept, [])
    checked = Loaded(kept, [*loaded.rejected, *too_long, *without_target], loaded.durations_s)
    _refuse_if_too_many(checked, recipe, run)
    write_rejected(run.rejected, checked.rejected)
    n_rejected = len(checked.rejected)
    print_line(
        console,
        f"data: {len(kept) + n_rejected:,} records, {len(kept):,} kept, {n_rejected:,} rejected"
        + (f" (listed in {run.rejected})" if n_rejected else ""),
    )
    for sentence in loaded.clips.sentences():
        print_line(console, f"      {sentence}")
    train, development = split_dev(kept, recipe.data.dev_share, recipe.seed)
    if recipe.data.pass_rates is not None:
        train = _from_easy_to_hard(train, recipe.data.pass_rates, run, console)
    if development:
        print_line(console, f"      {len(train):,} to train on, {len(development):,} for development")
    show_mixture(train, recipe, console)
    counts = {"records": len(kept) + n_rejected, "kept": len(kept), "rejected": n_rejected}
    parts = {"trained_on": len(train), "development": len(development)}
    write_json(run.data, {**counts, **parts, "clips": asdict(loaded.clips)})
    return train, development


def show_mixture(train: Sequence[Question], recipe: Recipe, console: Console) -> None:
    """Say what each file contributes where files are mixed by weight. Raises DataError where one has no question."""
    weights = [source.weight for source in recipe.data.train if source.weight is not None]
    counts = Counter(question.source_number for question in train)
    for number, weight in enumerate(weights):
        file = recipe.data.train[number].file
        if not counts[number]:
            raise DataError(
                f"data.train.{number}: {file} has weight {weight:g} and no question to train on: correct the file, or "
                "remove it"
            )
        share = weight / sum(weights)
        print_line(console, f"      {share:.1%} of the prompts from {file} ({counts[number]:,} questions)")


def _refuse_if_too_many(loaded: Loaded, recipe: Recipe, run: RunFolder) -> None:
    try:
        refuse_if_too_many(loaded, recipe.data.max_rejected_share, run.rejected)
    except DataError:
        write_rejected(run.rejected, loaded.rejected)
        raise


def _from_easy_to_hard(questions: Sequence[Question], file: Path, run: RunFolder, console: Console) -> list[Question]:
    """The questions in the order of their pass rates, without those that are always or never right, which are listed.

    Args:
        file: the pass rates.
    """
    rates = read_pass_rates(file)
    kept, dropped = easy_to_hard(questions, rates, file)
    write_json_lines(run.dropped, [{"id": question.id, "pass_rate": rates[question.id]} for question in dropped])
    never = sum(rates[question.id] == 0 for question in dropped)
    print_line(
        console,
        f"      {len(kept)} from easy to hard; dropped: {never} never right, {len(dropped) - never} always right "
        f"(listed in {run.dropped})",
    )
    return kept


def _split_without_target(questions: Sequence[Question], prompt: Prompt) -> tuple[list[Question], list[Rejected]]:
    """(questions with a target completion, the others with the reason)."""
    kept, rejected = [], []
    for question in questions:
        fault = prompt.target_fault(question)
        if fault is None:
            kept.append(question)
        else:
            rejected.append(rejection(question, fault))
    return kept, rejected
