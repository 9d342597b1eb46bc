"""The questions a run trains on: read, checked as a whole, split.

Takes the recipe's sources, gives training and development questions; writes rejected.jsonl and data.json
and says on screen what was kept and left out. Nothing is skipped in silence: records = kept + rejected.
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from harken.benchmarks.registry import find_reader
from harken.config import Recipe
from harken.data.curriculum import easy_to_hard, read_pass_rates
from harken.data.dev_split import split_dev
from harken.data.load import Loaded, load_sources, refuse_if_too_many, write_rejected
from harken.inference.unusable_questions import split_unusable
from harken.models.audio_lm import AudioLM
from harken.questions.prompt import Prompt
from harken.system.console import print_line
from harken.system.files import write_json
from harken.system.json_lines import write_json_lines
from harken.training.run_folder import RunFolder
from harken.types import Question, Rejected


def load_training_data(
    recipe: Recipe, model: AudioLM, prompt: Prompt, run: RunFolder, console: Console, *, supervised: bool = False
) -> tuple[list[Question], list[Question]]:
    """(train, dev). Raises DataError where more than `data.max_rejected_share` cannot be used.

    `supervised`: for SFT, which cannot use a record that its prompt makes no completion of.
    """
    loaded = load_sources(recipe.data.train, find_reader, need_answer=True)
    kept, too_long = split_unusable(loaded.questions, loaded.durations_s, model, prompt, recipe.data.max_prompt_tokens)
    kept, untold = _leave_out_untold(kept, prompt) if supervised else (kept, [])
    checked = Loaded(kept, [*loaded.rejected, *too_long, *untold], loaded.durations_s)
    write_rejected(run.rejected, checked.rejected)
    n_rejected = len(checked.rejected)
    print_line(
        console,
        f"data: {len(kept) + n_rejected} records, {len(kept)} kept, {n_rejected} rejected"
        + (f" (listed in {run.rejected})" if n_rejected else ""),
    )
    refuse_if_too_many(checked, recipe.data.max_rejected_share, run.rejected)
    train, dev = split_dev(kept, recipe.data.dev_share, recipe.seed)
    if recipe.data.pass_rates is not None:
        train = _climbing(train, recipe.data.pass_rates, run, console)
    if dev:
        print_line(console, f"      {len(train)} to train on, {len(dev)} for development")
    counts = {"records": len(kept) + n_rejected, "kept": len(kept), "rejected": n_rejected}
    write_json(run.data, {**counts, "trained_on": len(train), "development": len(dev)})
    return train, dev


def _climbing(questions: Sequence[Question], path: Path, run: RunFolder, console: Console) -> list[Question]:
    """Easy to hard, without what is always or never right, which is counted and listed."""
    rates = read_pass_rates(path)
    kept, dropped = easy_to_hard(questions, rates, path)
    write_json_lines(run.dropped, [{"id": question.id, "pass_rate": rates[question.id]} for question in dropped])
    never = sum(rates[question.id] == 0 for question in dropped)
    print_line(
        console,
        f"      {len(kept)} from easy to hard; dropped: {never} never right, {len(dropped) - never} always right "
        f"(listed in {run.dropped})",
    )
    return kept


def _leave_out_untold(questions: Sequence[Question], prompt: Prompt) -> tuple[list[Question], list[Rejected]]:
    kept, rejected = [], []
    for question in questions:
        fault = prompt.target_fault(question)
        if fault is None:
            kept.append(question)
        else:
            file, _, line = question.source.rpartition(":")
            rejected.append(Rejected(file, int(line), question.id, fault))
    return kept, rejected
