"""Read the score from a judge's reply, or say why there is none.

Only the first line that is not empty is read, because a base model goes on writing after it. For consistency and answer
the line must be exactly `1` or `0`. For quality it must be a plain decimal from 0 to 1, which is rounded to 0.1, halves
upwards. No number is searched for in a longer text: that would read 7 in "7 of 10" and 1 in "Step 1".
"""

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

from harken.errors import short_repr
from harken.judges.judge import Aspect, Verdict
from harken.types import Criterion

SCORES: Mapping[Aspect, tuple[str, ...]] = {
    "consistency": ("0", "1"),
    "quality": tuple(f"{tenths / 10:.1f}" for tenths in range(11)),
    "answer": ("0", "1"),
}
"""The replies that a judge may give."""
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,9})?")


def parse_points(rubric: Sequence[Criterion], reply: str) -> Verdict:
    """Points / most points of a reply that gives one number for each criterion, apart by spaces or commas, in its first
    line. Never raises, whatever the reply.

    Example:
        >>> parse_points([Criterion("a", "", (0, 1)), Criterion("b", "", (0, 1))], " 1 0\\n").score
        0.5
    """
    line = reply.strip().partition("\n")[0].strip()
    if not line:
        return Verdict(None, "empty reply")
    numbers = re.split(r"\s*,\s*|\s+", line)
    if len(numbers) != len(rubric):
        return Verdict(None, f"not {len(rubric)} scores: {short_repr(line)}")
    for number, criterion in zip(numbers, rubric, strict=True):
        if number not in map(str, criterion.scores):
            return Verdict(None, f"not one of {', '.join(map(str, criterion.scores))}: {short_repr(number)}")
    most = sum(max(criterion.scores) for criterion in rubric)
    return Verdict(sum(map(int, numbers)) / most if most else 0.0, "")


def parse_score(aspect: Aspect, reply: str) -> Verdict:
    """Never raises, whatever the reply.

    Example:
        >>> parse_score("quality", " 0.73\\n\\nCase 6").score
        0.7
    """
    line = reply.strip().partition("\n")[0].strip()
    if not line:
        return Verdict(None, "empty reply")
    if aspect != "quality":
        return Verdict(float(line), "") if line in ("0", "1") else Verdict(None, f"not 1 or 0: {short_repr(line)}")
    if not _NUMBER.fullmatch(line):
        return Verdict(None, f"not a number: {short_repr(line)}")
    number = Decimal(line)
    if line.startswith("-") or number > 1:
        return Verdict(None, f"not between 0 and 1: {short_repr(line)}")
    return Verdict(float(number.quantize(Decimal("0.1"), ROUND_HALF_UP)), "")
