"""Binds a run to its inputs: a resumed run goes on only with what it began with.

    <run>/ inputs.json    loop, resolved recipe, SHA-256 of every file that the recipe names, base checkpoint, versions
           clips.jsonl    {file, size, mtime_ns} of every clip; with `data.hash_clips` sha256 too
           history.jsonl  {time, step, event, changes}: changes that were accepted, and extensions

What cannot change a result (`CHANGEABLE`) may differ. The folder of an older harken has no inputs.json: nothing is
compared, and its inputs are recorded from then on.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from harken.config import GrpoConfig, Recipe, as_yaml, load_run_recipe, parse, rename_keys
from harken.config.differences import mapping_differences, recipe_differences, shortened
from harken.config.named_files import named_files
from harken.data.clip_states import COPIED, clip_differences, clip_states
from harken.errors import ConfigError
from harken.models.checkpoint_states import checkpoint_differences, checkpoint_state
from harken.system.environment import package_versions, version_differences
from harken.system.file_states import sha256_of
from harken.system.files import write_json, write_text
from harken.system.json_lines import append_json_lines, write_json_lines
from harken.system.run_files import CLIPS, INPUTS, read_object, read_rows
from harken.training.run_folder import RunFolder, step_of
from harken.types import Question

Loop = Literal["grpo", "sft"]
COMMANDS: dict[Loop, str] = {"grpo": "harken train", "sft": "harken sft"}

CHANGEABLE = {
    *("name", "published", "import_from", "logging", "memory", "probe"),
    *("model.device", "model.gradient_checkpointing", "model.cudnn_attention"),
    *("data.feature_cache_gib", "data.encoded_cache", "data.hash_clips"),
    *("grpo.tokens_per_micro_batch", "sft.tokens_per_micro_batch"),
    *("judge.endpoint.base_url", "judge.endpoint.api_key_env", "judge.endpoint.concurrency"),
    *("judge.endpoint.requests_per_minute", "judge.endpoint.timeout_s", "judge.endpoint.retries"),
    *("judge.endpoint.retry_wait_s", "judge.local.device", "judge.local.batch_size"),
}
"""Keys and sections of a recipe that may change while a run goes on. The number of ranks is no part of a recipe."""
UNUSED: dict[Loop, set[str]] = {
    "grpo": {"sft"},
    "sft": {"reward", "judge", *(f"grpo.{key}" for key in GrpoConfig.model_fields if key != "max_completion_tokens")},
}
"""What else may change because the loop does not read it. SFT measures its development part with answers of GRPO's
length."""


def check_inputs(run: RunFolder, recipe: Recipe, loop: Loop, *, accept: bool, resume: bool) -> list[str]:
    """Record the inputs of a new run, or compare those of a run that goes on with the recorded ones.

    Returns the differences that were accepted. They are in the run's history then.

    Raises ConfigError with the names of what differs, unless `accept` is set.
    """
    current = _inputs(recipe, loop)
    stored = read_inputs(run.path) if resume else None
    differences = [] if stored is None else _differences(stored, current)
    _accept_or_refuse(run, differences, accept)
    write_json(run.path / "inputs.json", current)
    if resume and load_run_recipe(run.path) != recipe:
        write_text(run.path / "config.yaml", as_yaml(recipe))
    return differences


def check_clips(
    run: RunFolder, questions: Iterable[Question], *, hashed: bool, accept: bool, resume: bool
) -> list[str]:
    """The same for the clips of the questions. Raises ConfigError as `check_inputs` does."""
    file = run.path / "clips.jsonl"
    current = clip_states(questions, hashed=hashed)
    stored = read_rows(file, CLIPS, "restore it, or remove it") if resume and file.exists() else None
    differences = [] if stored is None else clip_differences(stored, current)
    _accept_or_refuse(run, differences, accept, f". {COPIED}")
    if stored != current:
        write_json_lines(file, current)
    return differences


def read_inputs(run: Path) -> dict[str, Any] | None:
    """What inputs.json holds; None where there is no such file. A key that is newer than the run has its default.

    Raises DataError where the file is damaged, ConfigError where its recipe is none.
    """
    file = run / "inputs.json"
    if not file.exists():
        return None
    values = read_object(file, INPUTS, "restore it, or remove it to go on without a comparison")
    recipe = parse(Recipe, rename_keys(values["recipe"]), str(file))
    return {**values, "recipe": recipe.model_dump(mode="json")}


def append_history(run: Path, event: str, changes: Sequence[str]) -> None:
    """Add a row to the run's history, which report and model card show."""
    step = max((step_of(folder) for folder in RunFolder(run).checkpoints()), default=0)
    time = datetime.now(UTC).isoformat(timespec="seconds")
    append_json_lines(run / "history.jsonl", [{"time": time, "step": step, "event": event, "changes": [*changes]}])


def _accept_or_refuse(run: RunFolder, differences: Sequence[str], accept: bool, advice: str = "") -> None:
    if not differences:
        return
    if accept:
        append_history(run.path, "resumed with changes", differences)
        return
    listed = "\n".join(f"  {line}" for line in shortened(differences))
    raise ConfigError(
        f"{run.path}: these inputs are not those that the run began with:\n{listed}\nRestore them, or go on with "
        f"--accept-changes, which writes them into the run's history{advice}"
    )


def _inputs(recipe: Recipe, loop: Loop) -> dict[str, Any]:
    return {
        "loop": loop,
        "recipe": recipe.model_dump(mode="json"),
        "files": {key: sha256_of(file) for key, file in named_files(recipe, _objects(recipe))},
        "base": checkpoint_state(recipe.model.path, hashed=recipe.data.hash_clips),
        "versions": package_versions(),
    }


def _differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    lines = []
    if stored["loop"] != current["loop"]:
        lines.append(f"loop: {COMMANDS[stored['loop']]} began the run, {COMMANDS[current['loop']]} is to go on with it")
    inputs = (stored, current)
    base = checkpoint_differences(stored["base"], current["base"])
    # What is compared by its content is not compared by its place.
    places = {**stored["files"], **current["files"], **({} if base else {"model.path": None})}
    before, now = (_without(each["recipe"], places) for each in inputs)
    unused = UNUSED[current["loop"]]
    lines += [f"recipe: {line}" for line in recipe_differences(before, now, CHANGEABLE | unused)]
    files = ({key: digest for key, digest in each["files"].items() if _root(key) not in unused} for each in inputs)
    lines += mapping_differences("file", *files)
    return [*lines, *base, *version_differences(stored["versions"], current["versions"])]


def _root(key: str) -> str:
    """The section of a recipe that names a file."""
    for what in ("reward", "judge"):
        if key.startswith(f"module of a {what}: "):
            return what
    return key.partition(".")[0]


def _without(value: Any, places: Container[str], prefix: str = "") -> Any:
    """A part of a recipe without the places of files and of clips, as dictionaries, so that entries of lists have keys
    too."""
    if isinstance(value, list):
        value = {str(number): entry for number, entry in enumerate(value)}
    if not isinstance(value, dict):
        return value
    return {
        key: None if f"{prefix}{key}" in places or key == "audio_root" else _without(entry, places, f"{prefix}{key}.")
        for key, entry in value.items()
    }


def _objects(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """(kind, name) of every setting that may name a `module:object`."""
    if recipe.model.architecture is not None:
        yield "architecture", recipe.model.architecture
    yield from (("reward", part.name) for part in recipe.reward.parts)
    yield from (("benchmark", source.reader) for source in recipe.data.train)
    yield "prompt", recipe.prompt.style
    if recipe.judge is not None and recipe.judge.function is not None:
        yield "judge", recipe.judge.function
