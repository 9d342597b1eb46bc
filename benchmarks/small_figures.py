"""Figures of one seed of recipes/small, read from the folders of its evaluations."""

from pathlib import Path

from digits_figures import gain, rows_of
from harken.results.evaluation_rows import Row
from harken.stats import Estimate

BASE = "align"
ROWS = {
    BASE: "base: aligned, no GRPO",
    "audio": "GRPO on realaqa, with audio",
    "no_audio": "GRPO on realaqa, without audio",
    "arc": "GRPO on ARC-Easy, text",
    "sft_audio": "control: SFT on realaqa, with audio",
    "sft_arc": "control: SFT on ARC-Easy, text",
}
SETS = {
    "test": "realaqa, with audio",
    "test-no-audio": "realaqa, without",
    "arc": "ARC-Easy",
    "mmau-original": "MMAU original, without audio",
    "mmau-v05": "MMAU v05.15.25, without audio",
}


def answers(seed: Path, row: str, kind: str) -> list[Row]:
    """The rows of an evaluation; [] where it is not there."""
    return rows_of(seed / row / "eval" / kind)


def gain_over(seed: Path, row: str, kind: str, other: str = BASE) -> Estimate | None:
    """The accuracy of a row minus that of another row, paired by question."""
    return gain(answers(seed, other, kind), answers(seed, row, kind))


def readable_gain_over(seed: Path, row: str, kind: str) -> Estimate | None:
    """The accuracy of a row minus that of the base, on the questions for which both models name a choice. Learning to
    name one at all, which `gain_over` counts too, adds nothing to it."""
    both = [answers(seed, each, kind) for each in (BASE, row)]
    named = [{each["id"] for each in rows if each["choice"] is not None} for rows in both]
    return gain(*([each for each in rows if each["id"] in named[0] & named[1]] for rows in both))
