"""The folder of one evaluation, which belongs to one recipe on one version of the data.

    <out>/ config.yaml  environment.json  rejected.jsonl  journal.jsonl (while it runs)  predictions.jsonl  summary.json

The same recipe continues an evaluation that was stopped there; another recipe is refused, with the values that differ.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harken.config import EvaluationRecipe, as_yaml, parse, read_run_values
from harken.config.differences import recipe_differences
from harken.errors import ConfigError
from harken.evaluation.journal import journal_files
from harken.system.environment import describe_environment
from harken.system.files import remove_leftovers, write_json, write_text

_CHANGEABLE_KEYS = {
    "published",
    "endpoint.base_url",
    "endpoint.extra_headers",
    "endpoint.max_tokens_key",
    "max_failed_share",
    "endpoint.api_key_env",
    "endpoint.concurrency",
    "endpoint.requests_per_minute",
    "endpoint.timeout_s",
    "endpoint.retries",
    "endpoint.retry_wait_s",
}
"""Keys on which no answer depends: they may change while an evaluation goes on."""


class EvaluationFolder:
    """Raises ConfigError when `path` holds the evaluation of another recipe, or when the data has changed since."""

    def __init__(self, path: Path, recipe: EvaluationRecipe) -> None:
        self.path, self.recipe = path, recipe
        self.rejected = path / "rejected.jsonl"
        self.predictions = path / "predictions.jsonl"
        self.replies = path / "replies.jsonl"
        self.data_sha256 = _sha256(recipe.data.file)
        self._refuse_another_evaluation()

    @property
    def is_finished(self) -> bool:
        """Whether every question is answered: the summary exists, and no request failed."""
        path = self.path / "summary.json"
        return path.exists() and not json.loads(path.read_text(encoding="utf-8")).get("n_failed")

    def begin(self) -> None:
        """Write config.yaml and environment.json, unless an earlier command did.

        config.yaml is written last: from then on the folder belongs to the recipe.
        """
        remove_leftovers(self.path)
        if not (self.path / "config.yaml").exists():
            write_json(self.path / "environment.json", {**describe_environment(), "data_sha256": self.data_sha256})
            write_text(self.path / "config.yaml", as_yaml(self.recipe))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary, which marks the evaluation as finished. Every other file must be there before."""
        write_json(self.path / "summary.json", summary)
        for journal in journal_files(self.path):
            journal.unlink()

    def _refuse_another_evaluation(self) -> None:
        config = self.path / "config.yaml"
        if not config.exists():
            return
        try:
            stored = parse(EvaluationRecipe, read_run_values(self.path), str(config))
        except ConfigError as error:
            raise ConfigError(f"{self.path}: holds something that is no evaluation; choose another --out") from error
        differences = recipe_differences(
            stored.model_dump(mode="json"), self.recipe.model_dump(mode="json"), _CHANGEABLE_KEYS
        )
        if differences:
            lines = "\n".join(f"  {difference}" for difference in differences)
            raise ConfigError(
                f"{self.path}: holds an evaluation with another recipe; choose another --out, or use its recipe. "
                f"These values differ:\n{lines}"
            )
        environment = json.loads((self.path / "environment.json").read_text(encoding="utf-8"))
        if environment["data_sha256"] != self.data_sha256:
            raise ConfigError(
                f"{self.path}: {self.recipe.data.file} has changed since this evaluation began; choose another --out"
            )


def _sha256(file: Path) -> str | None:
    """None when the file cannot be read; the reader of the data then raises an error that says why."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None


def how_to_go_on(out: Path) -> str:
    """What a stopped evaluation has kept and how it goes on, for the error of a rank that lost another."""
    return f"The answers so far are kept in {out}; run the same command again, on any number of ranks"
