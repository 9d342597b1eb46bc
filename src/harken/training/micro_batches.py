"""Cuts the rows of a step into micro-batches by their number of tokens."""

from collections.abc import Sequence


def cut_by_tokens(widths: Sequence[int], most_tokens: int, most_rows: int | None = None) -> list[slice]:
    """Cut rows into consecutive parts, each as large as the limits allow.

    Args:
        widths: tokens of each row. The rows of a part are padded to its widest, and the padding counts.
        most_tokens: tokens of a part; a row that is wider by itself is a part by itself.
        most_rows: rows of a part; None = any number.
    """
    parts, start, widest = [], 0, 0
    for i, width in enumerate(widths):
        widest = max(widest, width)
        rows = i - start + 1
        if rows > 1 and (rows * widest > most_tokens or (most_rows is not None and rows > most_rows)):
            parts.append(slice(start, i))
            start, widest = i, width
    return [*parts, slice(start, len(widths))] if widths else []
