"""The questions a run trains on: read, checked as a whole, split.

Takes the recipe's sources, gives training and development questions; writes rejected.jsonl and says on screen what was
kept and left out. Nothing is skipped in silence: records = kept + rejected.
"""

from rich.console import Console
from rich.markup import escape

from harken.config import Recipe
from harken.data.load import Loaded, load_sources, refuse_if_too_many, split_dev, write_rejected
from harken.inputs import leave_out_unusable
from harken.models.base import AudioLM
from harken.prompt import Prompt
from harken.run_folder import RunFolder
from harken.types import Question


def load_training_data(
    recipe: Recipe, model: AudioLM, prompt: Prompt, run: RunFolder, console: Console
) -> tuple[list[Question], list[Question]]:
    """(train, dev). Raises DataError where more than `data.max_rejected_share` cannot be used."""
    loaded = load_sources(recipe.data.train, need_answer=True)
    kept, too_long = leave_out_unusable(
        loaded.questions, loaded.durations_s, model, prompt, recipe.data.max_prompt_tokens
    )
    checked = Loaded(kept, [*loaded.rejected, *too_long], loaded.durations_s)
    write_rejected(run.rejected, checked.rejected)
    n_rejected = len(checked.rejected)
    console.print(
        f"data: {len(kept) + n_rejected} records, {len(kept)} kept, {n_rejected} rejected"
        + (f" (listed in {escape(str(run.rejected))})" if n_rejected else ""),
        highlight=False,
        soft_wrap=True,
    )
    refuse_if_too_many(checked, recipe.data.max_rejected_share, run.rejected)
    train, dev = split_dev(kept, recipe.data.dev_share, recipe.seed)
    if dev:
        console.print(f"      {len(train)} to train on, {len(dev)} for development", highlight=False)
    return train, dev
