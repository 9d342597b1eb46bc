"""Tables, figures and circumstances of docs/performance.md, for performance_page.py."""

from collections.abc import Mapping, Sequence
from typing import Any

Cases = Mapping[str, Any]
"""Name of a case -> what was measured, as the programs write it."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown. Cells that begin with a number stay on one line."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    unbroken = [[cell.replace(" ", "\u00a0") if cell[:1].isdigit() else cell for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, marks, *unbroken])


def spread(values: Mapping[str, float]) -> str:
    return f"{values['median']:.2f} ({values['low']:.2f} to {values['high']:.2f})"


def seconds(case: Mapping[str, Any], side: str) -> str:
    return f"{case['seconds'][side]['cpu_s']['median']:.2f} s"


def measured_on(cases: Cases) -> str:
    """One line for each set of circumstances, with the cases that were measured in them."""
    places: dict[str, list[str]] = {}
    for name, case in cases.items():
        machine = case["machine"]
        versions = ", ".join(f"{package} {version}" for package, version in machine["versions"].items())
        rounds = {side["cpu_s"]["n"] for side in case.get("seconds", {}).values()}
        text = f"{machine['device']}, {machine['threads']} thread, {versions}, commit {machine['commit']}"
        text += f", load {machine['load']}"
        places.setdefault(text + (f", rounds: {min(rounds)}" if rounds else ""), []).append(name)
    if len(places) == 1:
        return f"Measured on {next(iter(places))}."
    return "\n".join(f"- {', '.join(names)}: {place}" for place, names in places.items())
