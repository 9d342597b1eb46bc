"""The folder of one evaluation, which belongs to one recipe, one model and one version of data and packages.

    <out>/ config.yaml  environment.json  rejected.jsonl  predictions.jsonl  summary.json
           journal.jsonl, clips.jsonl (while it runs)

The same recipe continues an evaluation that was stopped there; another recipe, or what else would change an answer, is
refused, with the names of what differs.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.config import EvaluationRecipe, as_yaml, parse, read_run_values
from harken.config.differences import mapping_differences, recipe_differences, shortened
from harken.config.named_files import named_files
from harken.data.clip_states import clip_differences, clip_states
from harken.errors import ConfigError, DataError
from harken.evaluation.baselines import BASELINES
from harken.evaluation.journal import journal_files
from harken.evaluation.own_model import is_own_model, module_state
from harken.models.checkpoint_states import checkpoint_differences, checkpoint_state
from harken.system.environment import describe_environment, package_versions, version_differences
from harken.system.file_states import FileState, sha256_of
from harken.system.files import remove_leftovers, write_json, write_text
from harken.system.json_lines import write_json_lines
from harken.system.run_files import CLIPS, EVALUATION_ENVIRONMENT, SUMMARY, read_object, read_rows
from harken.types import Question

_RESTORE = "restore it, or choose another --out"
_CHANGEABLE_KEYS = {
    "published",
    "import_from",
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
        self._clips = path / "clips.jsonl"
        self.data_sha256 = _sha256(recipe.data.file)
        self._refuse_another_evaluation()

    @property
    def is_finished(self) -> bool:
        """Whether every question is answered: the summary exists, and no request failed."""
        path = self.path / "summary.json"
        return path.exists() and not read_object(path, SUMMARY, "remove it to go on").get("n_failed")

    def begin(self, questions: Iterable[Question]) -> None:
        """Write what the evaluation begins with, or compare it with what an earlier command wrote.

        config.yaml is written last: from then on the folder belongs to the recipe.

        Raises ConfigError where model, clips or versions are not those of the earlier command.
        """
        remove_leftovers(self.path)
        model, clips = self._model_state(), clip_states(questions, hashed=False)
        if (self.path / "config.yaml").exists():
            self._refuse_other_inputs(model, clips)
            return
        write_json_lines(self._clips, clips)
        environment = {**describe_environment(), "data_sha256": self.data_sha256}
        environment |= {"files": self._other_files(), "model": model}
        write_json(self.path / "environment.json", environment)
        write_text(self.path / "config.yaml", as_yaml(self.recipe))

    def _other_files(self) -> dict[str, str]:
        """SHA-256 of the files that the recipe names beside the questions, and of the user's own benchmarks."""
        objects = [("benchmark", self.recipe.data.reader), ("prompt", self.recipe.prompt.style)]
        files = named_files(self.recipe, objects)
        return {key: sha256_of(file) for key, file in files if key != "data.file"}

    def _model_state(self) -> dict[str, Any] | None:
        if self.recipe.model is None or self.recipe.model in BASELINES:
            return None
        if is_own_model(self.recipe.model):
            return module_state(self.recipe.model)
        return checkpoint_state(self.recipe.model, hashed=False)

    def _refuse_other_inputs(self, model: Mapping[str, Any] | None, clips: Sequence[FileState]) -> None:
        environment = read_object(self.path / "environment.json", EVALUATION_ENVIRONMENT, _RESTORE)
        differences = version_differences(environment.get("packages") or {}, package_versions())
        if isinstance(files := environment.get("files"), dict):  # an older harken recorded none
            differences += mapping_differences("file", files, self._other_files())
        if model is not None and isinstance(stored := environment.get("model"), dict):
            differences += checkpoint_differences(stored, model)
        if self._clips.exists():
            differences += clip_differences(read_rows(self._clips, CLIPS, _RESTORE), clips)
        if differences:
            raise ConfigError(
                f"{self.path}: holds answers from other inputs; choose another --out, or restore them. These differ:\n"
                + "\n".join(f"  {line}" for line in shortened(differences))
            )

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary, which marks the evaluation as finished. Every other file must be there before."""
        write_json(self.path / "summary.json", summary)
        for journal in journal_files(self.path):
            journal.unlink()
        if self.is_finished:
            self._clips.unlink(missing_ok=True)

    def _refuse_another_evaluation(self) -> None:
        config = self.path / "config.yaml"
        if not config.exists():
            return
        try:
            stored = parse(EvaluationRecipe, read_run_values(self.path), str(config))
        except ConfigError as error:
            raise ConfigError(f"{config}: holds something that is no evaluation; choose another --out") from error
        differences = recipe_differences(
            stored.model_dump(mode="json"), self.recipe.model_dump(mode="json"), _CHANGEABLE_KEYS
        )
        if differences:
            lines = "\n".join(f"  {difference}" for difference in differences)
            raise ConfigError(
                f"{self.path}: holds an evaluation with another recipe; choose another --out, or use its recipe. "
                f"These values differ:\n{lines}"
            )
        environment = read_object(self.path / "environment.json", EVALUATION_ENVIRONMENT, _RESTORE)
        if environment["data_sha256"] != self.data_sha256:
            raise ConfigError(
                f"{self.path}: {self.recipe.data.file} has changed since this evaluation began; choose another --out"
            )


def _sha256(file: Path) -> str | None:
    """None when the file cannot be read; the reader of the data then raises an error that says why."""
    try:
        return sha256_of(file)
    except DataError:
        return None


def how_to_go_on(out: Path) -> str:
    """What a stopped evaluation has kept and how it goes on, for the error of a rank that lost another."""
    return f"The answers so far are kept in {out}; run the same command again, on any number of ranks"
