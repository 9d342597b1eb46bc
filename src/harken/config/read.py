"""A recipe file, `--set` overrides and options -> validated values.

Raises ConfigError alone, naming file, key, value and fix.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from harken.config.recipe import Recipe
from harken.config.section import Section, SectionT
from harken.errors import ConfigError


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a YAML training recipe and apply `key.path=value` overrides, the value parsed as YAML.

    Raises ConfigError naming file, key, value and fix.
    """
    return parse(Recipe, read_yaml(path, overrides), str(path))


def read_yaml(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The mapping in a YAML file, overrides applied. Raises ConfigError."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}; save the recipe as UTF-8") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of keys, found {type(loaded).__name__}")
    for override in overrides:
        apply_override(loaded, override)
    return loaded


def resolve(
    section: type[SectionT],
    recipe: Path | None,
    overrides: Sequence[str],
    options: Mapping[str, Any],
    command: str,
    without: Collection[str] = (),
) -> SectionT:
    """What a command runs: its recipe, `key=value` overrides over it, options that were given (not None) over both.

    Args:
        options: dotted key -> value.
        command: named in errors where there is no recipe.
        without: keys of the recipe that options take the place of.
    """
    origin = str(recipe) if recipe is not None else command
    values = read_yaml(recipe) if recipe is not None else {}
    values = {key: value for key, value in values.items() if key not in without}
    for override in overrides:
        apply_override(values, override)
    for key, value in options.items():
        if value is not None:
            set_key(values, key, value, origin)
    return parse(section, values, origin)


def parse(section: type[SectionT], values: dict[str, Any], origin: str) -> SectionT:
    """Validate a mapping; `origin` is named in errors."""
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{origin}: {line}" for line in _explanations(section, error))) from error


def apply_override(values: dict[str, Any], override: str) -> None:
    """Put `key.path=value` into a recipe's values, the value parsed as YAML. Raises ConfigError."""
    key, separator, text = override.partition("=")
    if not separator or not all(key.split(".")):
        raise ConfigError(f"--set {override}: expected key=value, for example grpo.learning_rate=1e-6")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML: {error}") from error
    set_key(values, key, value, f"--set {override}")


def set_key(values: dict[str, Any], key: str, value: Any, origin: str) -> None:
    """Put a value at `key.path` into a recipe's values; `origin` begins the ConfigError where a part of the path is no
    section."""
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


def _explanations(section: type[Section], error: ValidationError) -> list[str]:
    details = error.errors()
    # A list whose only entry is wrong is also reported as too short; the entry's own error says more.
    nested = {detail["loc"][:n] for detail in details for n in range(len(detail["loc"]))}
    telling = [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in nested]
    return [_explain(section, detail) for detail in telling]


def _explain(section: type[Section], detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "recipe"
    if detail["type"] == "extra_forbidden":
        for part in detail["loc"][:-1]:
            if isinstance(part, str):
                section = _section_in(section.model_fields[part].annotation)
        return f"{key}: unknown key; known here: {', '.join(section.model_fields)}"
    if detail["type"] == "missing":
        return f"{key}: missing"
    return f"{key}: {detail['msg'].removeprefix('Value error, ')} (found {detail['input']!r})"


def _section_in(annotation: Any) -> type[Section]:
    """The section a field holds, alone, in a tuple or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(_section_in(part) for part in get_args(annotation) if part not in (type(None), ...))
