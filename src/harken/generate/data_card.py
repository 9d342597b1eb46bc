"""The account of a generated set: what went in, what came out, why the rest did not, and what it was made with.

Takes figures as tables of rows, gives card.md and the same tables on the screen. Two runs with the same replies write
the same bytes: the server's address, the time and what came from the cache are not in it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harken.config import GenerationRecipe
from harken.generate.instructions import Instruction
from harken.generate.retries import Asker
from harken.results.formatting import markdown
from harken.types import Question, Rejected

SHAPING = ("sampling", "filters", "seed")
"""Settings that change what is written; the other ones change how fast it comes."""


@dataclass(frozen=True, slots=True)
class Part:
    """One table of a card."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def account(unit: str, n_in: int, n_kept: int, rejected: Sequence[Rejected], kept_in: str) -> Part:
    """In = kept + rejected, by reason."""
    assert n_in == n_kept + len(rejected), (n_in, n_kept, len(rejected))
    counts = Counter(one.reason.partition(":")[0] for one in rejected)
    rows = [("in", str(n_in)), (f"kept, in {kept_in}", str(n_kept))]
    rows += [("rejected, in rejected.jsonl", str(len(rejected)))]
    rows += [(f"- {kind}", str(n)) for kind, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    return Part(f"{unit}: in = kept + rejected", (unit, "n"), rows)


def positions(questions: Sequence[Question]) -> Part:
    """How often the right answer stands at each position."""
    counts = Counter(question.answer for question in questions if question.answer is not None)
    n = max((len(question.choices) for question in questions), default=0)
    return Part("Position of the right answer", ("position", "n"), [(str(i + 1), str(counts[i])) for i in range(n)])


def repeats(questions: Sequence[Question]) -> Part:
    """How varied the questions are."""
    texts = Counter(question.text.casefold() for question in questions)
    wholes = Counter((question.text.casefold(), *sorted(question.choices)) for question in questions)
    rows = [
        ("different question texts", str(len(texts))),
        ("most frequent text", str(max(texts.values(), default=0))),
        ("questions equal to an earlier one, choices too", str(len(questions) - len(wholes))),
    ]
    return Part("Repeats", ("questions", "n"), rows)


def usage(asker: Asker, recipe: GenerationRecipe) -> Part:
    """What the replies took, stored ones included, as the server counts tokens; 0 where it does not say."""
    rows = [("prompt tokens", str(asker.prompt_tokens)), ("completion tokens", str(asker.completion_tokens))]
    if recipe.prices is not None:
        cost = asker.prompt_tokens * recipe.prices.prompt + asker.completion_tokens * recipe.prices.completion
        rows.append(("cost", f"{cost / 1e6:.2f}"))
    return Part("Replies", ("account", "n"), rows)


def card_text(title: str, parts: Sequence[Part], recipe: GenerationRecipe, instruction: Instruction) -> str:
    settings: dict[str, Any] = {"model": recipe.endpoint.model, "instruction_sha256": instruction.sha256}
    values = recipe.model_dump(mode="json")
    settings |= {key: values[key] for key in SHAPING if key in values}
    tables = "\n\n".join(f"## {part.title}\n\n{markdown(part.header, part.rows)}" for part in parts)
    source = "ours" if recipe.prompt_file is None else recipe.prompt_file.name
    written = f"Written by {_code(recipe.endpoint.model)}; wording of the instruction: {_code(source)}."
    return f"# {title}\n\n{written}\n\n{tables}\n\n## Settings\n\n{_indented(settings)}\n"


def show(console: Console, parts: Sequence[Part]) -> None:
    for part in parts:
        table = Table(title=Text(part.title), title_justify="left", box=SIMPLE_HEAD)
        for place, name in enumerate(part.header):
            table.add_column(name, justify="right" if place else "left")
        for row in part.rows:
            table.add_row(*(Text(cell) for cell in row))  # reasons quote replies: never read as markup
        console.print(table)


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _indented(values: Any) -> str:
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return "\n".join(f"    {line}" for line in text.rstrip().split("\n"))
