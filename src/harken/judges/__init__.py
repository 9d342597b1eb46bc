"""Judges: a language model's opinion of what a completion says, asked in the background.

Takes question, reasoning and answer, gives a score or the reason why there is none. A judged text cannot set its own
score by form (quote.py); a reply is read strictly (parse.py); what was answered once is never asked again.
"""

from pathlib import Path

from harken.config import JudgeConfig
from harken.judges.answers import judge_answers
from harken.judges.failures import FailureCount, FailureLimit, count_failures
from harken.judges.judge import Aspect, Judge, Verdict
from harken.judges.prompted_judge import PromptedJudge
from harken.judges.prompts import JudgePrompts
from harken.judges.served_model import ServedModel

__all__ = [
    "Aspect",
    "FailureCount",
    "FailureLimit",
    "Judge",
    "Verdict",
    "count_failures",
    "judge_answers",
    "open_judge",
]


def open_judge(config: JudgeConfig, cache_dir: Path) -> Judge:
    """Open a judge; close it when done.

    Args:
        cache_dir: folder for the replies, kept by content. One process at a time writes there.

    Raises ConfigError for a prompt file that cannot be used or a key that the environment lacks, CheckpointError for a
    local model that cannot be loaded, DataError for a damaged file of replies.
    """
    prompts = JudgePrompts.from_config(config)
    replies = cache_dir / "replies.jsonl"
    if config.endpoint is not None:
        return PromptedJudge(prompts, ServedModel(config.endpoint, replies))
    assert config.local is not None  # JudgeConfig has exactly one
    from harken.judges.local_model import LocalModel  # torch

    return PromptedJudge(prompts, LocalModel(config.local, replies))
