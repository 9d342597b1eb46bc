"""The programs of recipes/ as modules, for tests that call their functions."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

RECIPES = Path(__file__).parents[2] / "recipes"


def recipe_program(file: str, name: str) -> ModuleType:
    """A program of recipes/, such as small/run.py, under a name by which other programs can import it."""
    spec = importlib.util.spec_from_file_location(name, RECIPES / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
