"""Binds a run to its inputs: a resumed run goes on only with what it began with.

    <run>/ inputs.json    loop, resolved recipe, SHA-256 of every file that the recipe names, base checkpoint, versions
           clips.jsonl    {file, size, mtime_ns} of every clip; with `data.hash_clips` {file, size, sha256}
           history.jsonl  {time, step, event, changes}: changes that were accepted, and extensions

What cannot change a result (`CHANGEABLE`) may differ. The folder of an older harken has no inputs.json: nothing is
compared, and its inputs are recorded from then on.
"""

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import try_to_load_from_cache

from harken.config import Recipe, parse, rename_keys
from harken.config.differences import recipe_differences
from harken.errors import ConfigError, DataError
from harken.models.loading import resolve_checkpoint
from harken.system.environment import package_versions
from harken.system.files import write_json
from harken.system.json_lines import append_json_lines, read_json_lines, write_json_lines
from harken.training.run_folder import RunFolder, step_of
from harken.types import Question

Loop = Literal["grpo", "sft"]
COMMANDS: dict[Loop, str] = {"grpo": "harken train", "sft": "harken sft"}

CHANGEABLE = {
    *("name", "published", "logging", "memory", "probe"),
    *("model.device", "model.gradient_checkpointing"),
    *("data.feature_cache_gib", "data.encoded_cache", "data.hash_clips"),
    *("grpo.tokens_per_micro_batch", "sft.tokens_per_micro_batch"),
    *("judge.endpoint.base_url", "judge.endpoint.api_key_env", "judge.endpoint.concurrency"),
    *("judge.endpoint.requests_per_minute", "judge.endpoint.timeout_s", "judge.endpoint.retries"),
    *("judge.endpoint.retry_wait_s", "judge.local.device", "judge.local.batch_size"),
}
"""Keys and sections of a recipe that may change while a run goes on. The number of ranks is no part of a recipe."""

_SHOWN = 10
"""So many differences are named."""


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
    return differences


def check_clips(
    run: RunFolder, questions: Iterable[Question], *, hashed: bool, accept: bool, resume: bool
) -> list[str]:
    """The same for the clips of the questions. Raises ConfigError as `check_inputs` does."""
    file = run.path / "clips.jsonl"
    clips = sorted({str(question.audio) for question in questions if question.audio is not None})
    current = [_clip(clip, hashed) for clip in clips]
    stored = read_json_lines(file) if resume and file.exists() else None
    differences = [] if stored is None else _clip_differences(stored, current)
    _accept_or_refuse(run, differences, accept)
    if stored != current:
        write_json_lines(file, current)
    return differences


def read_inputs(run: Path) -> dict[str, Any] | None:
    """What inputs.json holds; None where there is no such file. Raises DataError where it is damaged."""
    file = run / "inputs.json"
    if not file.exists():
        return None
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        values["recipe"] = rename_keys(values["recipe"])
        if values["loop"] in COMMANDS and all(isinstance(values[key], dict) for key in ("files", "base", "versions")):
            return values
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise DataError(f"{file}: damaged ({error}); restore it, or remove it to go on without a comparison") from error
    raise DataError(f"{file}: damaged; restore it, or remove it to go on without a comparison")


def append_history(run: Path, event: str, changes: Sequence[str]) -> None:
    """Add a row to the run's history, which report and model card show."""
    step = max((step_of(folder) for folder in RunFolder(run).checkpoints()), default=0)
    time = datetime.now(UTC).isoformat(timespec="seconds")
    append_json_lines(run / "history.jsonl", [{"time": time, "step": step, "event": event, "changes": [*changes]}])


def _accept_or_refuse(run: RunFolder, differences: Sequence[str], accept: bool) -> None:
    if not differences:
        return
    if accept:
        append_history(run.path, "resumed with changes", differences)
        return
    lines = [*differences[:_SHOWN], *([f"{len(differences) - _SHOWN} more"] if len(differences) > _SHOWN else [])]
    listed = "\n".join(f"  {line}" for line in lines)
    raise ConfigError(
        f"{run.path}: these inputs are not those that the run began with:\n{listed}\nRestore them, or go on with "
        "--accept-changes, which writes them into the run's history"
    )


def _inputs(recipe: Recipe, loop: Loop) -> dict[str, Any]:
    return {
        "loop": loop,
        "recipe": recipe.model_dump(mode="json"),
        "files": {key: _sha256(file) for key, file in _named_files(recipe)},
        "base": _base(recipe.model.path),
        "versions": package_versions(),
    }


def _differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    lines = []
    if stored["loop"] != current["loop"]:
        lines.append(f"loop: {COMMANDS[stored['loop']]} began the run, {COMMANDS[current['loop']]} is to go on with it")
    # Parsed, so that a key that is newer than the run has its default. A file counts by its content, not by its name.
    before = parse(Recipe, stored["recipe"], "inputs.json").model_dump(mode="json")
    files = {**stored["files"], **current["files"]}
    before, now = (_without(recipe, files) for recipe in (before, current["recipe"]))
    lines += [f"recipe: {line}" for line in recipe_differences(before, now, CHANGEABLE)]
    lines += _changed("file", stored["files"], current["files"])
    lines += _changed("base checkpoint", stored["base"], current["base"])
    lines += _changed("version of", stored["versions"], current["versions"], show=True)
    return lines


def _without(value: Any, keys: Iterable[str], prefix: str = "") -> Any:
    """A part of a recipe without the names of files, as dictionaries, so that entries of lists have keys too."""
    if isinstance(value, list):
        value = {str(number): entry for number, entry in enumerate(value)}
    if not isinstance(value, dict):
        return value
    return {
        key: None if f"{prefix}{key}" in keys else _without(entry, keys, f"{prefix}{key}.")
        for key, entry in value.items()
    }


def _changed(what: str, stored: Mapping[str, Any], current: Mapping[str, Any], *, show: bool = False) -> list[str]:
    lines = []
    for key in {**stored, **current}:
        before, now = stored.get(key), current.get(key)
        if before != now:
            lines.append(f"{what} {key}: " + (f"{before} then, {now} now" if show else _how_changed(before, now)))
    return lines


def _how_changed(before: Any, now: Any) -> str:
    return "new" if before is None else "gone" if now is None else "changed"


def _named_files(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """(key, file) of every file that the recipe names, and of the modules of its own reward functions."""
    yield from _files_in(recipe.model_dump(), "")
    for part in recipe.reward.parts:
        module = part.name.partition(":")[0] if ":" in part.name else None
        spec = None if module is None else importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None and Path(spec.origin).is_file():
            yield f"reward function {part.name}", Path(spec.origin)


def _files_in(value: Any, key: str) -> Iterator[tuple[str, Path]]:
    if isinstance(value, Path):
        if value.is_file():
            yield key, value
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield from _files_in(entry, f"{key}.{name}".removeprefix("."))
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            yield from _files_in(entry, f"{key}.{number}")


def _base(path: str) -> dict[str, Any]:
    """Size and time of each file of the base checkpoint, SHA-256 of small ones; of a Hub id its commit."""
    folder = Path(resolve_checkpoint(path))
    if folder.is_dir():
        files = sorted(file for file in folder.iterdir() if file.is_file())
        return {"checkpoint": str(folder.resolve()), **{file.name: _state_of(file) for file in files}}
    cached = try_to_load_from_cache(path, "config.json")
    return {"checkpoint": path, "commit": Path(cached).parent.name if isinstance(cached, str) else None}


def _state_of(file: Path) -> list[Any]:
    size = file.stat().st_size
    return [size, _sha256(file) if size < 1 << 24 else file.stat().st_mtime_ns]


def _clip(path: str, hashed: bool) -> dict[str, Any]:
    file = Path(path)
    state = file.stat()
    mark = {"sha256": _sha256(file)} if hashed else {"mtime_ns": state.st_mtime_ns}
    return {"file": path, "size": state.st_size, **mark}


def _clip_differences(stored: Sequence[Mapping[str, Any]], current: Sequence[Mapping[str, Any]]) -> list[str]:
    """A clip is compared by what both know of it."""
    before, now = ({str(row.get("file")): row for row in rows} for rows in (stored, current))
    lines = []
    for name in {**before, **now}:
        old, new = before.get(name), now.get(name)
        if old is None or new is None:
            lines.append(f"clip {name}: {_how_changed(old, new)}")
        elif any(old[key] != new[key] for key in old.keys() & new.keys()):
            lines.append(f"clip {name}: changed")
    return lines


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
