"""Reads a recipe file as a mapping, merged over the recipe that it extends.

A recipe may say `extends: NAME`, a built-in recipe's name or a path relative to its own file, and then holds only what
differs. `harken.config.read` validates the mapping.
"""

from pathlib import Path
from typing import Any

from harken.config.builtin_recipes import builtin_recipes, recipe_file, recipe_text
from harken.config.yaml_text import parse_yaml
from harken.errors import ConfigError, short_repr


def read_merged(path: Path, extended_by: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The values of a recipe file, merged over those of the recipe it extends, which may extend another.

    Args:
        extended_by: the files that led here, from the first recipe on.

    Raises:
        ConfigError: a file cannot be read, or the recipes extend each other in a circle. The error names the files.
    """
    if path.resolve() in [file.resolve() for file in extended_by]:
        circle = " extends ".join(str(file) for file in (*extended_by, path))
        raise ConfigError(f"{circle}: recipes extend each other in a circle; remove one `extends`")
    values = read_mapping(path)
    if "extends" not in values:
        return values
    base = base_file(values.pop("extends"), path)
    return merge(read_merged(base, (*extended_by, path)), values)


def folders_of(path: Path) -> list[Path]:
    """The folder of a recipe and of each that it extends, without that of the built-in recipes, each once.

    Raises ConfigError as `read_merged` does.
    """
    folders: list[Path] = []
    own = {file.resolve() for file in builtin_recipes().values()}
    while True:
        folder = path.resolve().parent
        if path.resolve() not in own and folder not in folders:
            folders.append(folder)
        extends = read_mapping(path).get("extends")
        if extends is None:
            return folders
        path = base_file(extends, path)


def base_file(extends: Any, path: Path) -> Path:
    """The file that the recipe at `path` extends. Raises ConfigError that names both."""
    if not isinstance(extends, str):
        raise ConfigError(f"{path}: extends: expected a built-in recipe's name or a path, found {short_repr(extends)}")
    try:
        base = path.parent / recipe_file(extends)
    except ConfigError as error:
        raise ConfigError(f"{path}: extends: {error}") from error
    if not base.is_file():
        raise ConfigError(f"{path}: extends: there is no file {base}; a path is relative to the file that extends")
    return base


def merge(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Values over those of a base: mappings are merged key by key, everything else replaces what the base has."""
    merged = dict(base)
    for key, value in values.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in one YAML file. Raises ConfigError that names the file."""
    text = recipe_text(path)
    try:
        values = parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{path}: not YAML that a recipe may be: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of keys, found {type(values).__name__}")
    return values
