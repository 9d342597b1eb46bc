"""Metrics about the rewards of a step, from values of all ranks: thinking, the judge, and what the clip adds."""

from collections.abc import Mapping, Sequence

from harken.config import RewardConfig
from harken.judges import FailureCount
from harken.rewards.reward_parts import penalty_factors_at


def think_figures(shares: Sequence[float], progress: float, config: RewardConfig) -> dict[str, float]:
    """Lambda and the penalty factors as means over all completions; empty without the adaptive reward.

    Args:
        shares: lambda of each completion.
    """
    if config.adaptive_options is None:
        return {}
    factors = [penalty_factors_at(share, progress, config) for share in shares]
    return {
        "think/lambda": _mean(shares),
        "think/factor_think": _mean([pair.think for pair in factors]),
        "think/factor_no_think": _mean([pair.no_think for pair in factors]),
    }


def listening_figures(gains: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """Mean gains in nats over all completions that are about a clip, and over the right ones; a mean over nothing is
    left out.

    Args:
        gains: (gain, whether the answer is right) of each.
    """
    means = {
        "listening/gain_nats": [gain for gain, _ in gains],
        "listening/gain_nats_right": [gain for gain, correct in gains if correct],
    }
    return {name: _mean(values) for name, values in means.items() if values}


def judge_figures(
    scores: Sequence[Mapping[str, float | None]], latency_s: Sequence[float], failures: FailureCount, waited_s: float
) -> dict[str, float]:
    """Calls, failed calls and times; mean scores over the completions that the judge could score. A mean over nothing
    is left out.

    Args:
        scores: aspect -> score of each completion.
        latency_s: one value a call.
        waited_s: the longest wait of a rank.
    """
    figures = {
        "judge/asked": float(failures.n_calls),
        "judge/failed": float(failures.n_failed),
        "judge/failed_share": failures.failed_share,
    }
    for aspect in ("consistency", "quality", "answer"):
        known = [value for score in scores if (value := score[aspect]) is not None]
        if known:
            figures[f"judge/{aspect}"] = _mean(known)
    if latency_s:
        figures["time/judge_latency_s"] = _mean(latency_s)
    return figures | {"time/judge_wait_s": waited_s}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
