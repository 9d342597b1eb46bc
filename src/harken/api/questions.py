"""Read questions, and ask how a reward values completions."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.benchmarks.registry import find_reader
from harken.config import BUILT_IN_REWARDS, PromptConfig, RewardConfig, parse
from harken.config.plugins import make_importable
from harken.errors import ConfigError
from harken.questions.grader import understand
from harken.questions.prompt import Prompt
from harken.rewards import JudgeScores, compose, custom_rewards, load_custom, reward_parts, step_totals
from harken.types import Question, Rejected


@dataclass(frozen=True, slots=True)
class Rewards:
    """The rewards of the completions of one question.

    Attributes:
        total: one number for each completion, the weighted sum of the parts.
        parts: name of a part -> its values without the weight.
    """

    total: list[float]
    parts: Mapping[str, list[float]]


def read_questions(
    file: str | os.PathLike[str], benchmark: str = "manifest", *, audio_root: str | os.PathLike[str] | None = None
) -> tuple[list[Question], list[Rejected]]:
    """The questions of a file, and the records that cannot be used with their reasons.

    Args:
        benchmark: manifest for harken's JSON lines, the name of a benchmark, or `module:object` for a reader of yours.
        audio_root: the folder of the clips; default: that of the file.

    Raises ConfigError for an unknown reader, DataError where the file cannot be read at all.
    """
    make_importable(Path.cwd())
    return find_reader(benchmark, "benchmark")(Path(file), None if audio_root is None else Path(audio_root))


def compute_rewards(
    parts: str | Sequence[str | Mapping[str, Any]] | Mapping[str, Any] | RewardConfig,
    question: Question,
    completions: Sequence[str],
    *,
    style: str = "omni_r1",
    progress: float = 0.0,
) -> Rewards:
    """Reward the completions of one question, as one step of training would.

    Args:
        parts: names of parts (accuracy, format, adaptive, or `module:function` for one of yours), or mappings with
            name and weight, as `reward.parts` of a recipe; or a mapping with the whole section `reward`, which also has
            the options of parts.
        completions: texts as the model wrote them.
        style: of the prompt, which says what form and which letters are expected.
        progress: updates made / all updates, for the adaptive reward.

    Raises ConfigError for an unknown part and for one that needs a judge or a model, HarkenError where a function of
    yours raises or returns no rewards.
    """
    make_importable(Path.cwd())
    config = parts if isinstance(parts, RewardConfig) else _config(parts)
    if config.judged:
        raise ConfigError(f"compute_rewards: {', '.join(sorted(config.judged))} needs a judge, which training has")
    if config.listening_options is not None:
        raise ConfigError("compute_rewards: listening needs a model that scores the completions, which training has")
    if config.overlong is not None:
        raise ConfigError("compute_rewards: overlong needs grpo.max_completion_tokens, which training has")
    prompt = Prompt.from_config(parse(PromptConfig, {"style": style}, "compute_rewards"))
    responses = [
        understand(
            text,
            question,
            letters_shown=prompt.letters_shown,
            tags_asked=prompt.tags_asked,
            tokens=len(text.split()),
            ended=True,
        )
        for text in completions
    ]
    if not responses:
        return Rewards([], {name: [] for name in config.names})
    own = custom_rewards([load_custom(name) for name in config.names if name not in BUILT_IN_REWARDS], [responses])
    scores = [JudgeScores()] * len(responses)
    totals = step_totals(responses, scores)
    values = reward_parts(responses, scores, len(responses), config, prompt.form, own or {}, totals, progress)
    return Rewards(compose(values, {part.name: part.weight for part in config.parts}), values)


def _config(parts: str | Sequence[str | Mapping[str, Any]] | Mapping[str, Any]) -> RewardConfig:
    if isinstance(parts, Mapping):
        return parse(RewardConfig, dict(parts), "compute_rewards")
    listed = [parts] if isinstance(parts, str) else parts
    named = [{"name": part} if isinstance(part, str) else dict(part) for part in listed]
    return parse(RewardConfig, {"parts": named}, "compute_rewards")
