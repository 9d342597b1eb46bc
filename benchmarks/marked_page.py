"""Puts what a program writes into a page, between the lines that mark its place."""


def between_marks(page: str, begin: str, written: str, end: str) -> str:
    """The page with what is written between its lines `begin` and `end`.

    Raises ValueError where it lacks one of them.
    """
    before, first, rest = page.partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise ValueError(f"the page lacks the line {begin} or {end} after it")
    return f"{before}{begin}\n{written}\n{end}{after}"
