"""The data card of a generated set: how many records went in and came out, why the others did not, and the settings.

The tables are written to card.md and printed. Two runs with the same replies write the same bytes: a card holds neither
the server's address nor the time nor what came from stored replies.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml

from harken.config import GenerationRecipe
from harken.generate.clients import GeneratorClient
from harken.generate.instructions import Instruction
from harken.prepare.data_card import CardTable
from harken.types import Question

CARD_SETTINGS = ("sampling", "filters", "seed")
"""Settings that change what is written; the other ones only change how fast it comes."""


def account_table(unit: str, n_read: int, n_kept: int, counts: Counter[str], kept_in: str) -> CardTable:
    """Count the records read, kept and rejected, and the rejected ones by reason."""
    assert n_read == n_kept + counts.total(), (n_read, n_kept, counts.total())
    rows = [("read", str(n_read)), (f"kept, in {kept_in}", str(n_kept))]
    rows += [("rejected, in rejected.jsonl", str(counts.total()))]
    rows += [(f"- {kind}", str(n)) for kind, n in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    return CardTable(f"{unit}: read = kept + rejected", (unit, "n"), rows)


class WrittenQuestions:
    """Counts questions one after another: the positions of their right answers, and how varied they are. Memory holds
    16 bytes of hashes a question."""

    def __init__(self) -> None:
        self.n = 0
        self._at: Counter[int] = Counter()
        self._n_choices = 0
        self._texts, self._wholes = array("q"), array("q")

    def add(self, question: Question) -> None:
        self.n += 1
        if question.answer is not None:
            self._at[question.answer] += 1
        self._n_choices = max(self._n_choices, len(question.choices))
        text = question.text.casefold()
        self._texts.append(hash(text))
        self._wholes.append(hash((text, *sorted(question.choices))))

    def balance_table(self) -> CardTable:
        """How often the right answer stands at each position; the counts differ by one at most."""
        rows = [(str(index + 1), str(self._at[index])) for index in range(self._n_choices)]
        return CardTable("Position of the right answer", ("position", "n"), rows)

    def repeats_table(self) -> CardTable:
        """How varied the questions are."""
        _, of_text = np.unique(np.frombuffer(self._texts, np.int64), return_counts=True)
        n_different = len(np.unique(np.frombuffer(self._wholes, np.int64)))
        rows = [
            ("different question texts", str(len(of_text))),
            ("questions with the most frequent text", str(max(of_text, default=0))),
            ("questions that repeat an earlier one with its choices", str(self.n - n_different)),
        ]
        return CardTable("Repeats", ("questions", "n"), rows)


def usage_table(client: GeneratorClient, recipe: GenerationRecipe) -> CardTable:
    """Count the tokens of all replies, stored ones included, as the server counts them; 0 where it does not say."""
    rows = [("prompt tokens", str(client.prompt_tokens)), ("completion tokens", str(client.completion_tokens))]
    if recipe.prices is not None:
        cost = client.prompt_tokens * recipe.prices.prompt + client.completion_tokens * recipe.prices.completion
        rows.append(("cost", f"{cost / 1e6:.2f}"))
    return CardTable("Replies", ("what", "n"), rows)


def card_markdown(title: str, tables: Sequence[CardTable], recipe: GenerationRecipe, instruction: Instruction) -> str:
    settings: dict[str, Any] = {"model": recipe.endpoint.model, "instruction_sha256": instruction.sha256}
    values = recipe.model_dump(mode="json")
    settings |= {key: values[key] for key in CARD_SETTINGS if key in values}
    wording = "harken's own" if recipe.prompt_file is None else _code(recipe.prompt_file.name)
    model = f"{_code(recipe.endpoint.model)} wrote this set. The wording of its instruction is {wording}."
    parts = [f"# {title}", model, *(table.markdown() for table in tables), "## Settings", _indented_yaml(settings)]
    return "\n\n".join(parts) + "\n"


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _indented_yaml(values: Any) -> str:
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return "\n".join(f"    {line}" for line in text.rstrip().split("\n"))
