"""Evaluation folders as `harken evaluate` leaves them, written without a model: the answers are right by chance."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harken.results.summary import summarise

MMAU_ORIGINAL = {"name": "mmau", "version": "original", "part": "test-mini"}
MMAU_V05 = {**MMAU_ORIGINAL, "version": "v05.15.25"}
MMAR = {"name": "mmar", "version": "", "part": ""}
TASKS = {"sound": 6, "music": 7, "speech": 8}
"""Questions of each task, as in MMAU."""
MODALITIES = {
    "sound": 5,
    "music": 5,
    "speech": 5,
    "mix-sound-music": 11,
    "mix-sound-speech": 5,
    "mix-music-speech": 5,
    "mix-sound-music-speech": 5,
}
"""Questions of each modality, as in MMAR."""


def prediction_row(ident: str, correct: bool | None, clip: str | None = None, **changes) -> dict[str, Any]:
    """A row of predictions.jsonl: an easy question about a sound, with four choices."""
    return {
        "id": ident,
        "clip": clip or ident,
        "task": "sound",
        "difficulty": "easy",
        "question": "which?",
        "choices": ["a", "b", "c", "d"],
        "answer": "a",
        "completion": "a",
        "choice": "a",
        "correct": correct,
        "reason": "exact",
        "tokens": 2,
        "ended": True,
        **changes,
    }


FIVE_ROWS = [
    prediction_row("1", True, "x"),
    prediction_row("2", False, "x", task="music", difficulty="hard"),
    prediction_row("3", True, "y", difficulty="hard", choices=["a", "b"]),
    prediction_row("4", False, "z", choice=None, reason="no choice", ended=False),
    prediction_row("5", False, "w", task="", difficulty="", choice=None, choices=[], reason="rejected: no such file"),
]
"""Two right, one wrong, one unreadable, and one record that could not be used."""


def write_evaluation_folder(
    folder: Path,
    seed: int | str,
    *,
    tasks: Mapping[str, int] = TASKS,
    accuracy: float = 0.6,
    benchmark: Mapping[str, str] | None = None,
    audio: str = "clip",
    **summary_changes,
) -> Path:
    """Write predictions.jsonl and summary.json, and return the folder. Two questions share a clip.

    Args:
        tasks: number of questions by task.
        benchmark: what the summary names as its benchmark; None where it names none.
    """
    rng = random.Random(seed)
    rows = [
        prediction_row(f"{task}-{i}", rng.random() < accuracy, f"{task}-{i // 2}.wav", task=task, choices=["a", "b"])
        for task, n in tasks.items()
        for i in range(n)
    ]
    summary = {**summarise(rows), "audio": audio, **summary_changes}
    if benchmark is not None:
        summary["benchmark"] = benchmark
    folder.mkdir(parents=True)
    (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder
