"""A judge's reply -> a score, or the reason why it is none. Strict: nothing is guessed from a longer text.

Read is the first line that says something, without spaces at its edges (a base model goes on with text of its own after
the line it was asked for). consistency and answer: exactly `1` or `0`. quality: a plain decimal from 0 to 1, rounded to
0.1, halves upwards. Not taken: searching the reply for a number, which reads 7 in "7 of 10" and 1 in "Step 1".
"""

import re
from decimal import ROUND_HALF_UP, Decimal

from harken.errors import shown
from harken.judges.judge import Aspect, Verdict

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,9})?")


def parse_reply(aspect: Aspect, reply: str) -> Verdict:
    """Never raises, whatever the reply.

    Example:
        >>> parse_reply("quality", " 0.73\\n\\nCase 6").score
        0.7
    """
    line = reply.strip().partition("\n")[0].strip()
    if not line:
        return Verdict(None, "empty reply")
    if aspect != "quality":
        return Verdict(float(line), "") if line in ("0", "1") else Verdict(None, f"not 1 or 0: {shown(line)}")
    if not _NUMBER.fullmatch(line):
        return Verdict(None, f"not a number: {shown(line)}")
    number = Decimal(line)
    if line.startswith("-") or number > 1:
        return Verdict(None, f"not between 0 and 1: {shown(line)}")
    return Verdict(float(number.quantize(Decimal("0.1"), ROUND_HALF_UP)), "")
