"""Judges: language models that score the reasoning or the answer of a completion, in the background.

    judge.py                         the interface: `Judge`, and the `Verdict` that it returns
    prompted_judge.py                the judge that comes with harken: it prompts a language model and reads the score
    own_judge.py                     a function of the user's own in its place
    served_model.py, local_model.py  that language model, behind a server or in this process
    prompts.py, wording/             what the language model is shown
    quoting.py                       how completions are quoted, so that they cannot set their own score
    score_parsing.py                 how a score is read from a reply
    failures.py                      how failed calls are counted, and when there are too many
    step_verdicts.py                 the completions of a training step, for `harken.grpo.rewarding`
    answers.py                       the answers of an evaluation, for `harken.evaluation.evaluate`

`harken.rewards` says what a score earns.
"""

from pathlib import Path

from harken.config import JudgeConfig
from harken.judges.answers import add_judged_column, add_open_column, add_rubric_column, judge_answers
from harken.judges.failures import FailureCount, FailureLimit, count_failures
from harken.judges.judge import Aspect, Judge, Verdict
from harken.judges.own_judge import OwnJudge
from harken.judges.prompted_judge import PromptedJudge
from harken.judges.prompts import JudgePrompts
from harken.judges.served_model import ServedJudgeModel

__all__ = [
    "Aspect",
    "FailureCount",
    "FailureLimit",
    "Judge",
    "Verdict",
    "add_judged_column",
    "add_open_column",
    "add_rubric_column",
    "count_failures",
    "judge_answers",
    "open_judge",
]


def open_judge(config: JudgeConfig, cache_dir: Path) -> Judge:
    """Open a judge. The caller closes it.

    Args:
        cache_dir: folder where replies are stored by content, so that the same prompt is never sent twice. One process
            at a time may write there.

    Raises ConfigError for a prompt file that cannot be used or a key that the environment lacks, CheckpointError for a
    local model that cannot be loaded, DataError for a damaged file of replies, InUseError while another process writes
    that file.
    """
    if config.function is not None:
        return OwnJudge(config.function)
    prompts = JudgePrompts.from_config(config)
    replies = cache_dir / "replies.jsonl"
    if config.endpoint is not None:
        return PromptedJudge(prompts, ServedJudgeModel(config.endpoint, replies))
    assert config.local is not None  # JudgeConfig has exactly one of the two
    from harken.judges.local_model import LocalJudgeModel  # imports torch

    return PromptedJudge(prompts, LocalJudgeModel(config.local, replies))
