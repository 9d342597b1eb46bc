"""The answers of an evaluation that is under way, on disk as they are decoded.

A stopped evaluation goes on from there on any number of ranks. Each rank appends to a file of its own:

    <out>/ journal.jsonl  journal_rank_0001.jsonl  ...
"""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from harken.errors import DataError, short_repr
from harken.inference.predict import Batch
from harken.questions.choice_orders import Answer
from harken.system.json_lines import append_json_lines, reopen_json_lines, write_json_lines
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.system.run_files import JOURNAL, read_rows, reopen_rows

Answers = dict[tuple[str, int], list[Answer]]
"""Key of a trial -> its answers, one for each sample."""


class Journal:
    """The answers of one evaluation. `open` comes first."""

    def __init__(self, folder: Path, ranks: Ranks = SINGLE_PROCESS) -> None:
        self._folder, self._ranks = folder, ranks
        self._file = folder / ("journal.jsonl" if ranks.is_main else f"journal_rank_{ranks.rank:04d}.jsonl")

    def open(self, samples: int) -> Answers:
        """The answers of earlier commands, the same on every rank. All ranks take part.

        Args:
            samples: how many answers each trial has.

        Raises HarkenError where the files cannot be read or written, or hold another number of answers.
        """
        rows = self._ranks.broadcast(self._ranks.run_on_main(lambda: self._collect(samples)))
        if not self._ranks.is_main:
            reopen_json_lines(self._file)
        return answers_from_json(rows)

    def append(self, batch: Batch) -> None:
        """Add answers; they are in this rank's file when this returns. Raises HarkenError when it cannot be written."""
        append_json_lines(self._file, answers_to_json({trial.key: answers for trial, answers in batch}))

    def _collect(self, samples: int) -> list[dict[str, Any]]:
        """Put the answers of all ranks of an earlier command into the file of rank 0."""
        rows = reopen_rows(self._file, JOURNAL)
        others = [file for file in journal_files(self._folder) if file != self._file]
        if others:
            rows += [row for file in others for row in read_rows(file, JOURNAL)]
            write_json_lines(self._file, rows)
            for file in others:
                file.unlink()
        for row in rows:
            if len(row["answers"]) != samples:
                raise DataError(
                    f"{self._file}: {len(row['answers'])} answers to {short_repr(row['id'])}, the recipe has {samples} "
                    "samples; remove the file to ask again"
                )
        return rows


def journal_files(folder: Path) -> list[Path]:
    """The journals of all ranks in the folder; that of rank 0 first, where there is one."""
    return sorted(folder.glob("journal.jsonl")) + sorted(folder.glob("journal_rank_*.jsonl"))


def answers_to_json(answers: Answers) -> list[dict[str, Any]]:
    """A row for each trial."""
    return [
        {"id": ident, "order": order, "answers": [astuple(answer) for answer in samples]}
        for (ident, order), samples in answers.items()
    ]


def answers_from_json(rows: Sequence[dict[str, Any]]) -> Answers:
    """The answers that `answers_to_json` wrote."""
    return {(row["id"], row["order"]): [Answer(*values) for values in row["answers"]] for row in rows}
