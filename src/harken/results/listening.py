"""Does the model listen? Compares answers with the clip to answers without it, with silence, noise or another clip.

`harken evaluate --listening` runs one evaluation for each of these audio modes and gives their rows to this module.
The *audio gain* is the accuracy with the clip (mode "real") minus the accuracy without it ("none"), paired by question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harken.results.evaluation_rows import Row, read_evaluation_rows
from harken.stats import mean_interval, paired_gain
from harken.system.run_files import PASS_RATES, read_rows

LABELS = ("id", "clip", "task", "difficulty")


def read_mode(folder: Path) -> tuple[Sequence[Row], dict[str, float | None]]:
    """Read the evaluation of one audio mode.

    Returns the rows of predictions.jsonl and, by question id, the share of the question's trials that were right, None
    where the answer is hidden.
    """
    rows, rates = read_evaluation_rows(folder), folder / "pass_rates.jsonl"
    if not rates.exists():
        return rows, {row["id"]: None if row["correct"] is None else float(row["correct"]) for row in rows}
    return rows, {row["id"]: row["pass_rate"] for row in read_rows(rates, PASS_RATES, "evaluate again")}


def listening_rows(
    modes: Mapping[str, tuple[Sequence[Row], Mapping[str, float | None]]],
) -> list[dict[str, Any]]:
    """One row for each question, in the order of mode "real", with these keys:

    - the labels of the question;
    - each mode's name: 1 where the answer was right and 0 where it was wrong, with several trials the share that was
      right, None where the answer is hidden;
    - `gain`: real minus none, None where the answer is hidden;
    - `choices`: the choice in each mode;
    - `changed`: whether the choice without the clip differs from the choice with it;
    - `unreadable`: the modes in which no choice could be read.

    A question that could not be put to the model is wrong in every mode, so its gain is 0.

    Args:
        modes: for each mode what `read_mode` returns.
    """
    rows_by_id = {mode: {row["id"]: row for row in rows} for mode, (rows, _) in modes.items()}
    listening = []
    for row in modes["real"][0]:
        ident = row["id"]
        values = {mode: rates[ident] for mode, (_, rates) in modes.items()}
        choices = {mode: by_id[ident]["choice"] for mode, by_id in rows_by_id.items()}
        real, none = values["real"], values["none"]
        listening.append(
            {
                **{key: row[key] for key in LABELS},
                **values,
                "gain": None if real is None or none is None else real - none,
                "changed": choices["real"] != choices["none"],
                "choices": choices,
                "unreadable": [mode for mode, choice in choices.items() if choice is None],
            }
        )
    return listening


def listening_figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures over all questions, ready for JSON; intervals are 95 %, clustered by clip.

    Each mode has its accuracy, the number of unreadable answers, the accuracy of "real" minus that of this mode, paired
    by question, and the share of questions whose choice differs from that of "real". Questions whose answer is hidden
    count in neither accuracy nor gain.
    """
    known = [row for row in rows if row["real"] is not None]
    modes = {mode: _mode_figures(mode, rows, known) for mode in rows[0]["choices"]}
    return {
        "n": len(rows),
        "n_hidden_answer": len(rows) - len(known),
        "audio_gain": modes["none"]["real_minus_this"],
        "modes": modes,
    }


def _mode_figures(mode: str, rows: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of one mode; `known` are the rows whose answer is not hidden."""
    accuracy = gain = changed = None
    if known:
        accuracy = asdict(mean_interval([row[mode] for row in known], [row["clip"] for row in known]))
    if mode != "real":
        differs = [float(row["choices"][mode] != row["choices"]["real"]) for row in rows]
        changed = asdict(mean_interval(differs, [row["clip"] for row in rows]))
        if known:
            values, real = ({row["id"]: row[name] for row in known} for name in (mode, "real"))
            gain = asdict(paired_gain(values, real, {row["id"]: row["clip"] for row in known}))
    return {
        "n": len(rows),
        "n_unreadable": sum(mode in row["unreadable"] for row in rows),
        "accuracy": accuracy,
        "real_minus_this": gain,
        "changed": changed,
    }
