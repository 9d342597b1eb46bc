"""The soft overlong penalty of DAPO: long completions lose up to 1, more and more towards the longest."""


def overlong(tokens: int, longest: int, buffer: int) -> float:
    """The penalty of a completion, in [-1, 0] (DAPO, arXiv 2503.14476, eq. 13).

        0 up to `longest - buffer` tokens, then (longest - buffer - tokens) / buffer, which is -1 at `longest`

    Args:
        tokens: of the completion, its end-of-sequence token included.
        longest: the most tokens that a completion may have.
        buffer: the number of last tokens over which the penalty grows, from 1 to `longest`.

    Example:
        >>> [overlong(tokens, longest=10, buffer=4) for tokens in (6, 7, 10)]
        [0.0, -0.25, -1.0]
    """
    over = tokens - (longest - buffer)
    return 0.0 if over <= 0 else max(-1.0, -over / buffer)
