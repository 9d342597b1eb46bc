"""What a run needs beside its data and its checkpoint, checked before either is read."""

import importlib.util
from pathlib import Path

from harken.config import BUILT_IN_REWARDS, GrpoConfig, JudgeConfig, Recipe, SftConfig
from harken.data.curriculum import read_pass_rates
from harken.judges.prompts import JudgePrompts
from harken.questions.prompt import Prompt
from harken.rewards import load_custom
from harken.system.model_client import refuse_unreachable
from harken.training.forgetting_probe import check_probe
from harken.training.trackers import not_installed


def check_without_checkpoint(recipe: Recipe, settings: GrpoConfig | SftConfig, out: Path) -> None:
    """Raise ConfigError, DataError or ServerError for what would stop the run later: the prompt, files that the recipe
    names, reward modules, trackers, the judge's prompts and address."""
    Prompt.from_config(recipe.prompt)
    if recipe.data.pass_rates is not None:
        read_pass_rates(recipe.data.pass_rates)
    if recipe.probe is not None:
        check_probe(recipe.probe)
    for name in recipe.logging.trackers:
        if importlib.util.find_spec(name) is None:
            raise not_installed(name)
    if isinstance(settings, SftConfig):
        return
    for name in recipe.reward.names:
        if name not in BUILT_IN_REWARDS:
            load_custom(name)
    if recipe.judge is not None and recipe.reward.judged:
        _check_judge(recipe.judge, out / "judge" / "replies.jsonl")


def _check_judge(judge: JudgeConfig, replies: Path) -> None:
    """The server is only asked for where no reply of it is kept yet: a run that goes on may find all it needs there."""
    JudgePrompts.from_config(judge)
    if judge.endpoint is not None and not replies.exists():
        refuse_unreachable(judge.endpoint, "judge.endpoint.base_url")
