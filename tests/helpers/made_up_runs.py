"""Folders as recipes/digits and recipes/small leave them, with made-up answers of every row, for the programs that make
their tables."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evaluation_folders import prediction_row

from harken.results.summary import summarise

WORDS = ("one", "two", "three", "four")
TAKES = 20
"""Takes of each difficulty that are asked about."""


def write_answers(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """What a finished evaluation leaves."""
    rows = list(rows)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "summary.json").write_text(json.dumps(summarise(rows)), encoding="utf-8")


def answer(ident: str, difficulty: str, *, right: bool, thinks: bool, **changes: Any) -> dict[str, Any]:
    """One answer with tags to a question whose choices are WORDS; the first is right."""
    text = f"<answer>{WORDS[0] if right else WORDS[1]}</answer>"
    return prediction_row(
        ident,
        right,
        **{
            **{"difficulty": difficulty, "choices": list(WORDS), "answer": WORDS[0]},
            **{"choice": WORDS[0] if right else WORDS[1], "form": "think" if thinks else "no_think"},
            **{"completion": f"<think>one</think>{text}" if thinks else text, "tokens": 8 if thinks else 4},
            **changes,
        },
    )


def spoken(difficulties: Mapping[str, tuple[int, int]], heard: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Answers about takes of a spoken one.

    Args:
        difficulties: difficulty -> (right answers, answers without thinking), of TAKES.
        heard: the clips that were played, in turn; each question's own where there are none.
    """
    rows = []
    for difficulty, (right, no_think) in difficulties.items():
        for take in range(TAKES):
            clip = {"two": f"clips/two_test_sums_{take:04d}_0_1.wav", "one": f"clips/clean_1_george_{take}.wav"}.get(
                difficulty, f"clips/{difficulty}_1_george_{take}.wav"
            )
            places = {"clip": clip, "heard": heard[take % len(heard)] if heard else clip, "task": "spoken"}
            rows.append(
                answer(f"{difficulty}-{take}", difficulty, right=take < right, thinks=take >= no_think, **places)
            )
    return rows


def write_account(seed: Path, steps: Iterable[str]) -> None:
    row = {"seconds": 20.0, "cpu_s": 10.0, "code": 0, "commit": "a" * 40, "load": 1.0}
    seed.mkdir(parents=True, exist_ok=True)
    (seed / "account.jsonl").write_text("".join(json.dumps({"step": step, **row}) + "\n" for step in steps))


def write_metrics(run: Path, difficulties: Iterable[str]) -> None:
    """A finished run whose no-think rates rise over two windows of steps."""
    write_steps(run, [{f"think/no_think_{name}": step / 20 for name in difficulties} for step in range(1, 21)])


def write_steps(run: Path, metrics: Iterable[dict[str, float]]) -> None:
    """A finished run with the metrics of each of its steps."""
    run.mkdir(parents=True, exist_ok=True)
    rows = [{"step": step, **own} for step, own in enumerate(metrics, 1)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run / "done").touch()
