"""The folder of one evaluation, begun, gone on with, or finished.

    <out>/ config.yaml  environment.json  rejected.jsonl  journal.jsonl (while it runs)  predictions.jsonl  summary.json

Takes a recipe and a path, gives a folder that belongs to this recipe or an error that names the difference. Not taken:
an option to resume; the same command goes on, and another recipe is never mixed in.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harken.config import EvaluationRecipe, as_yaml, parse, read_run_values
from harken.errors import ConfigError
from harken.system.environment import describe_environment
from harken.system.files import remove_leftovers, write_json, write_text

_HOW = {"base_url", "api_key_env", "concurrency", "requests_per_minute", "timeout_s", "retries", "retry_wait_s"}
"""Keys of `endpoint` that say how a server is asked and not what: they may change while an evaluation goes on."""


class EvaluationFolder:
    """Raises ConfigError where `path` holds another recipe's evaluation, or `recipe`'s on data that changed since."""

    def __init__(self, path: Path, recipe: EvaluationRecipe) -> None:
        self.path, self.recipe = path, recipe
        self.rejected = path / "rejected.jsonl"
        self.journal = path / "journal.jsonl"
        self.predictions = path / "predictions.jsonl"
        self.replies = path / "replies.jsonl"
        self.data_sha256 = _sha256(recipe.data.file)
        self._check()

    @property
    def summary(self) -> dict[str, Any] | None:
        """What a finished evaluation found; None where it is not finished."""
        path = self.path / "summary.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def begin(self) -> None:
        """Write what the evaluation is. config.yaml comes last: with it the folder belongs to the recipe."""
        remove_leftovers(self.path)
        if not (self.path / "config.yaml").exists():
            write_json(self.path / "environment.json", {**describe_environment(), "data_sha256": self.data_sha256})
            write_text(self.path / "config.yaml", as_yaml(self.recipe))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary, with which the evaluation is done; every other file is there before."""
        write_json(self.path / "summary.json", summary)
        self.journal.unlink(missing_ok=True)

    def _check(self) -> None:
        config = self.path / "config.yaml"
        if not config.exists():
            return
        try:
            there = parse(EvaluationRecipe, read_run_values(self.path), str(config))
        except ConfigError as error:
            raise ConfigError(f"{self.path}: holds something that is no evaluation; choose another --out") from error
        lines = _differences(there.model_dump(mode="json"), self.recipe.model_dump(mode="json"))
        if lines:
            listed = "\n".join(f"  {line}" for line in lines)
            raise ConfigError(
                f"{self.path}: holds an evaluation with another recipe; choose another --out, or go on with its own. "
                f"It differs in\n{listed}"
            )
        begun = json.loads((self.path / "environment.json").read_text(encoding="utf-8"))
        if begun["data_sha256"] != self.data_sha256:
            raise ConfigError(
                f"{self.path}: {self.recipe.data.file} has changed since this evaluation began; choose another --out"
            )


def _differences(there: Mapping[str, Any], now: Mapping[str, Any], place: str = "") -> list[str]:
    """`key.path: a there, b now` for each value that differs; what an answer does not depend on is left out."""
    found: list[str] = []
    for key in {**there, **now}:
        a, b, name = there.get(key), now.get(key), f"{place}{key}"
        if (place == "endpoint." and key in _HOW) or name == "published":
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            found += _differences(a, b, f"{name}.")
        elif a != b:
            found.append(f"{name}: {a!r} there, {b!r} now")
    return found


def _sha256(file: Path) -> str | None:
    """None where it cannot be read: the reader says why."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None
