"""Reads what a command runs: a recipe file, what it extends, `--set` overrides and options, as validated values.

Every error is a ConfigError that names the file, the key, the value and the fix.
"""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from harken.config.evaluation import EvaluationRecipe
from harken.config.explain import explanations
from harken.config.extends import folders_of, merge, read_mapping, read_merged
from harken.config.generation import CaptionRecipe, ParaphraseRecipe, QuestionRecipe, ReasoningRecipe
from harken.config.plugins import make_importable, names_objects
from harken.config.recipe import Recipe
from harken.config.renamed import rename_keys
from harken.config.section import Section, SectionT
from harken.config.yaml_text import parse_yaml
from harken.errors import ConfigError


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a training recipe and apply `key.path=value` overrides, the value parsed as YAML. Raises ConfigError."""
    return parse(Recipe, read_values(path, overrides), str(path))


def load_any_recipe(path: Path) -> Section:
    """Read a recipe of any kind. Raises ConfigError."""
    values = read_values(path)
    return parse(kind_of(values), values, str(path))


def kind_of(values: Mapping[str, Any]) -> type[Section]:
    """Which class of recipe the values are for: generation recipes have an endpoint and no `data`; `model` is a section
    of a training recipe, and a name in an evaluation recipe."""
    if "endpoint" in values and "data" not in values:
        if "manifest" not in values:
            return QuestionRecipe
        if "wordings" in values:
            return ParaphraseRecipe
        return ReasoningRecipe if "captions" in values else CaptionRecipe
    return Recipe if isinstance(values.get("model"), dict) else EvaluationRecipe


def read_values(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The values of a recipe file, merged over what it extends, with overrides applied. Raises ConfigError."""
    values = read_merged(path)
    for override in overrides:
        apply_override(values, override)
    if kind_of(values) in (Recipe, EvaluationRecipe):
        return with_import_folders(values, folders_of(path))
    return values


def load_run_recipe(run: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a training run, from the `config.yaml` of its folder, with overrides. Raises ConfigError."""
    values = read_run_values(run)
    for override in overrides:
        apply_override(values, override)
    return parse(Recipe, values, str(run / "config.yaml"))


def read_run_values(run: Path) -> dict[str, Any]:
    """The values in the `config.yaml` of a run or an evaluation, which an older harken may have written.

    Raises ConfigError where the file cannot be read.
    """
    return rename_keys(read_mapping(run / "config.yaml"))


def as_yaml(section: Section) -> str:
    """All values of a recipe, defaults too, as `config.yaml` of a run folder holds them."""
    return yaml.safe_dump(section.model_dump(mode="json"), sort_keys=False)


def resolve_recipe(
    section: type[SectionT],
    recipe: Path | None,
    overrides: Sequence[str],
    options: Mapping[str, Any],
    command: str,
    without: Collection[str] = (),
    values: Mapping[str, Any] | None = None,
) -> SectionT:
    """The recipe of a command, with `key=value` overrides over it and the options that are not None over both.

    Args:
        options: dotted key -> value.
        command: what errors name where there is no recipe file.
        without: keys of the recipe that options replace as a whole.
        values: further values over the recipe's, below overrides and options.
    """
    origin = str(recipe) if recipe is not None else command
    values = merge(read_merged(recipe) if recipe is not None else {}, deepcopy(dict(values or {})))
    values = {key: value for key, value in values.items() if key not in without}
    for override in overrides:
        apply_override(values, override)
    for key, value in options.items():
        if value is not None:
            set_key(values, key, value, origin)
    if section in (Recipe, EvaluationRecipe):
        above = [] if recipe is None else folders_of(recipe)
        values = with_import_folders(values, [*above, Path.cwd()])  # the options were typed in the working folder
    return parse(section, values, origin)


def parse(section: type[SectionT], values: dict[str, Any], origin: str) -> SectionT:
    """Validate a mapping. Errors name `origin`, the file or command that the values come from. Raises ConfigError."""
    try:
        recipe = section.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{origin}: {line}" for line in explanations(section, error))) from error
    if isinstance(recipe, Recipe | EvaluationRecipe):
        for folder in recipe.import_from:
            make_importable(folder)
    return recipe


def with_import_folders(values: dict[str, Any], folders: Sequence[Path]) -> dict[str, Any]:
    """The values with `import_from`, where they name an object of the user's own and do not set it."""
    if "import_from" in values or not names_objects(values):
        return values
    return {**values, "import_from": [str(folder) for folder in dict.fromkeys(folders)]}


def apply_override(values: dict[str, Any], override: str) -> None:
    """Put `key.path=value` into a recipe's values, the value parsed as YAML. Raises ConfigError."""
    key, separator, text = override.partition("=")
    if not separator or not all(key.split(".")):
        raise ConfigError(f"--set {override}: expected key=value, for example grpo.learning_rate=1e-6")
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"--set {override}: the value is not YAML that a recipe may hold: {error}") from error
    set_key(values, key, value, f"--set {override}")


def set_key(values: dict[str, Any], key: str, value: Any, origin: str) -> None:
    """Put a value at `key.path` into a recipe's values.

    Raises ConfigError, which begins with `origin`, where a part of the path is not a section or an entry of a list.
    """
    *parts, last = key.split(".")
    target: Any = values
    for part in parts:
        target = _child(target, part, origin)
    if isinstance(target, list):
        target[_index(target, last, origin)] = value
    else:
        target[last] = value


def _child(target: Any, part: str, origin: str) -> Any:
    if isinstance(target, list):
        return target[_index(target, part, origin)]
    child = target.setdefault(part, {})
    if not isinstance(child, dict | list):
        raise ConfigError(f"{origin}: {part!r} is a single value, not a section")
    return child


def _index(target: list[Any], part: str, origin: str) -> int:
    if not part.isdigit() or int(part) >= len(target):
        raise ConfigError(f"{origin}: {part!r} is not an entry of a list of {len(target)}")
    return int(part)
