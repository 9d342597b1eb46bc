"""Does the model listen? The same questions with the clip, without it, and with silence, noise or another's clip.

Takes the rows of one evaluation per mode, gives one row a question and the figures over all. *Audio gain* is real
minus none, paired by question. Pure but for `read_mode`. Not taken: leaving out questions that could not be asked; they
are wrong in every mode and their gain is 0.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harken.results.compare import Row, read_predictions
from harken.stats import mean_interval, paired_gain

LABELS = ("id", "clip", "task", "difficulty")


def read_mode(folder: Path) -> tuple[Sequence[Row], dict[str, float | None]]:
    """(rows of predictions.jsonl, id -> share of its trials that were right; None where the answer is hidden)."""
    rows, rates = read_predictions(folder), folder / "pass_rates.jsonl"
    if not rates.exists():
        return rows, {row["id"]: None if row["correct"] is None else float(row["correct"]) for row in rows}
    with rates.open(encoding="utf-8") as lines:
        return rows, {row["id"]: row["pass_rate"] for row in map(json.loads, lines)}


def listening_rows(
    modes: Mapping[str, tuple[Sequence[Row], Mapping[str, float | None]]],
) -> list[dict[str, Any]]:
    """One row a question, in order: its labels, for each mode whether it was right (0 or 1; with several trials the
    share that was), `gain` = real minus none, `choices` by mode, `changed` = another choice without the clip than with
    it, and `unreadable`, the modes in which no choice could be read. Values are null where the answer is hidden."""
    by_id = {mode: {row["id"]: row for row in rows} for mode, (rows, _) in modes.items()}
    result = []
    for row in modes["real"][0]:
        ident = row["id"]
        values = {mode: rates[ident] for mode, (_, rates) in modes.items()}
        choices = {mode: rows[ident]["choice"] for mode, rows in by_id.items()}
        heard, unheard = values["real"], values["none"]
        gain = None if heard is None or unheard is None else heard - unheard
        result.append(
            {
                **{key: row[key] for key in LABELS},
                **values,
                "gain": gain,
                "changed": choices["real"] != choices["none"],
                "choices": choices,
                "unreadable": [mode for mode, choice in choices.items() if choice is None],
            }
        )
    return result


def listening_figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """For each mode: accuracy, unreadable answers, real minus this mode paired by question, and the share of questions
    whose choice differs from the one with the clip; intervals of 95 %, clustered by clip. Questions whose answer is
    hidden have no accuracy and no gain."""
    known = [row for row in rows if row["real"] is not None]
    clips = {row["id"]: row["clip"] for row in rows}
    modes = {}
    for mode in rows[0]["choices"]:
        heard = {row["id"]: row["real"] for row in known}
        instead = {row["id"]: row[mode] for row in known}
        changed = [float(row["choices"][mode] != row["choices"]["real"]) for row in rows]
        modes[mode] = {
            "n": len(rows),
            "n_unreadable": sum(mode in row["unreadable"] for row in rows),
            "accuracy": asdict(mean_interval(list(instead.values()), [row["clip"] for row in known]))
            if known
            else None,
            "real_minus_this": asdict(paired_gain(instead, heard, clips)) if known and mode != "real" else None,
            "changed": asdict(mean_interval(changed, list(clips.values()))) if mode != "real" else None,
        }
    return {
        "n": len(rows),
        "n_hidden_answer": len(rows) - len(known),
        "audio_gain": modes["none"]["real_minus_this"],
        "modes": modes,
    }
