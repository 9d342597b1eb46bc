"""Adds the weighted parts of the reward up, so that each completion gets one number."""

from collections.abc import Mapping, Sequence


def compose(parts: Mapping[str, Sequence[float]], weights: Mapping[str, float]) -> list[float]:
    """Sum over the parts of weight x value, for each completion (Audio-Thinker, equation 7).

    Args:
        parts: part name -> [R] values; all parts have the same length.
        weights: part name -> weight, for exactly these parts.

    Returns:
        [R] rewards.

    Raises ValueError where there are no parts, where the names differ (a part without a weight would silently count
    for nothing) or where the lengths differ.
    """
    if not parts:
        raise ValueError("no reward part: name one in reward.parts, for example accuracy")
    if parts.keys() != weights.keys():
        raise ValueError(f"reward parts {sorted(parts)} and weights {sorted(weights)} differ")
    if len({len(values) for values in parts.values()}) > 1:
        raise ValueError(f"reward parts differ in length: { {name: len(values) for name, values in parts.items()} }")
    columns = [[weights[name] * value for value in values] for name, values in parts.items()]
    return [sum(row) for row in zip(*columns, strict=True)]
