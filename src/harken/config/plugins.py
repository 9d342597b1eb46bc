"""Names of the user's own functions and objects in recipes, and where they are imported from.

A recipe names one as `module:object`. The folder of the recipe is importable, and so is what is installed or on
PYTHONPATH. An installed package may give one a bare name, as an entry point of one of `GROUPS` (docs/extending.md).
"""

import functools
import importlib.metadata
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

GROUPS = {
    "benchmark": "harken.benchmarks",
    "reader": "harken.readers",
    "rule": "harken.rules",
    "reward": "harken.rewards",
    "judge": "harken.judges",
    "model": "harken.models",
    "architecture": "harken.architectures",
}
"""Kind of a plug-in -> the group of entry points in which packages name theirs."""


@functools.cache
def installed(kind: str) -> Mapping[str, str]:
    """Name -> `module:object` of every plug-in of this kind that an installed package offers."""
    return {entry.name: entry.value.replace(" ", "") for entry in importlib.metadata.entry_points(group=GROUPS[kind])}


def is_object_name(name: str) -> bool:
    """Whether a name has the form `module:object`, such as `my_package.rewards:brief`."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), attribute))


def names_objects(value: Any) -> bool:
    """Whether a text anywhere in the values of a recipe has the form `module:object`."""
    if isinstance(value, dict):
        return any(names_objects(entry) for entry in value.values())
    if isinstance(value, list | tuple):
        return any(names_objects(entry) for entry in value)
    return isinstance(value, str) and is_object_name(value)


def make_importable(folder: Path) -> None:
    """Let modules of a folder be imported by name; what is installed comes first, so that no stray file replaces it."""
    path = str(folder.resolve())
    if path not in sys.path:
        sys.path.append(path)
