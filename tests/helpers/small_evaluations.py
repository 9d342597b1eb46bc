"""Small question sets and evaluations, a model that answers them, and evaluations that are interrupted."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import soundfile
from tiny_models import noise, speaking, tiny_model

from harken.config import EvaluationRecipe, parse
from harken.evaluation import journal
from harken.models.audio_lm import AudioLM

SECONDS = (0.02, 0.31, 0.5, 0.77, 1.0, 0.4, 0.9)
"""Lengths of the clips; the first is too short for one audio token."""


def write_set(folder: Path, n: int = 14) -> Path:
    """`n` questions about seven clips of different length, each fifth without a clip."""
    records = []
    for number, seconds in enumerate(SECONDS):
        soundfile.write(folder / f"{number}.wav", noise(seconds, number), 16_000)
    for i in range(n):
        record = {
            **{"id": f"q{i}", "question": f"Which one, {i}?", "choices": ["one", "two", "three"], "answer": "two"},
            **{"task": ("sound", "speech")[i % 2], "difficulty": ("easy", "hard")[i % 3 == 0], "dataset": "small"},
        }
        records.append(record | ({} if i % 5 == 4 else {"audio_id": f"{i % 7}.wav"}))
    path = folder / "q.json"
    path.write_text(json.dumps(records))
    return path


def recipe(file: Path, **changes: Any) -> EvaluationRecipe:
    """A few tokens, batches of three; keys with `__` go into sections."""
    values: dict[str, Any] = {"data": {"file": str(file)}, "max_completion_tokens": 3, "batch_size": 3}
    if "endpoint" not in changes:
        values["model"] = "tiny"
    for key, value in changes.items():
        *sections, last = key.split("__")
        target = values
        for section in sections:
            target = target.setdefault(section, {})
        target[last] = value
    return parse(EvaluationRecipe, values, "test")


def rows_of(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def results_of(folder: Path) -> dict[str, bytes]:
    """Name -> bytes of every file of an evaluation except environment.json, which holds the time."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "environment.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@functools.cache
def talker(arch: str = "qwen2_5_omni") -> AudioLM:
    return speaking(tiny_model(arch), "one", "two", "three", "dog barking")


def interrupted(job, out: Path, monkeypatch, after: int, torn: bool) -> None:
    """Run a job until it has written to its journal `after` times; with `torn`, half of the last write is lost."""
    original, written = journal.append_json_lines, []

    class KilledError(BaseException):
        pass

    def append(path, rows):
        before = path.stat().st_size
        original(path, rows)
        written.append(before)
        if len(written) == after:
            if torn:
                with path.open("rb+") as file:
                    file.truncate((before + path.stat().st_size) // 2)
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(journal, "append_json_lines", append)
        with pytest.raises(KilledError):
            job(out)
