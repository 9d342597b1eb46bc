"""The files that a recipe names: those of its keys, and the modules of the user's own functions and benchmarks.

A run or an evaluation is bound to what these files hold. Of a module its own file counts, not what it imports.
"""

import contextlib
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harken.config.section import Section


def named_files(recipe: Section, objects: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Path]]:
    """Yield (key, file) for every file that the recipe names and that exists.

    Args:
        objects: (what it is, name) of what the recipe may name as `module:object`; other names are passed over. The key
            of such a file is `module of a <what>: <name>`.
    """
    yield from _files_in(recipe.model_dump(), "")
    for what, name in objects:
        spec = None
        with contextlib.suppress(ImportError, ValueError):  # whoever uses the name says what is wrong with it
            spec = importlib.util.find_spec(name.partition(":")[0]) if ":" in name else None
        if spec is not None and spec.origin is not None and Path(spec.origin).is_file():
            yield f"module of a {what}: {name}", Path(spec.origin)


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
