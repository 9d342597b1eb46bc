"""Imports an object of the user's own, which a recipe or an option names as `module:object`."""

import importlib
from collections.abc import Callable
from typing import Any

from harken.config.plugins import installed, is_object_name
from harken.errors import ConfigError, HarkenError, raised


def import_object(name: str, key: str, kind: str | None = None) -> object:
    """Import `module:object`; the module must be installed, on PYTHONPATH or in the recipe's folder.

    Args:
        kind: the kind of plug-in (`harken.config.plugins.GROUPS`), so that a name which an installed package offers is
            found.

    Raises ConfigError, which begins with `key`, where the name has another form, where there is no such module, where
    the module cannot be executed, or where it has no such object.
    """
    target = name if kind is None else installed(kind).get(name, name)
    if not is_object_name(target):
        raise ConfigError(f"{key}: {name!r}: expected module:object, such as my_module:my_object")
    module_name, _, object_name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            f"{key}: {name}: cannot be imported ({error}); install the module, or put it beside the recipe or into a "
            "folder of PYTHONPATH"
        ) from error
    except HarkenError as error:
        raise ConfigError(f"{key}: {name}: {error}") from error
    except Exception as error:
        raise ConfigError(f"{key}: {name}: {module_name} cannot be imported: {raised(error)}") from error
    if not hasattr(module, object_name):
        raise ConfigError(f"{key}: {name}: {module_name} defines no {object_name}")
    return getattr(module, object_name)


def import_function(name: str, key: str, kind: str | None = None) -> Callable[..., Any]:
    """The same for something that can be called. Raises ConfigError as `import_object` does."""
    function = import_object(name, key, kind)
    if not callable(function):
        raise ConfigError(f"{key}: {name}: is no function but {type(function).__name__}")
    return function
