"""Imports an object of the user's own, which a recipe or an option names as `module:object`."""

import importlib

from harken.errors import ConfigError, HarkenError, raised


def import_object(name: str, key: str) -> object:
    """Import `module:object`; the module must be installed or on PYTHONPATH.

    Raises ConfigError, which begins with `key`, where the name has another form, where there is no such module, where
    the module cannot be executed, or where it has no such object.
    """
    module_name, _, object_name = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), object_name)):
        raise ConfigError(f"{key}: {name!r}: expected module:object, such as my_module:my_object")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            f"{key}: {name}: cannot be imported ({error}); install the module or put its folder on PYTHONPATH"
        ) from error
    except HarkenError as error:
        raise ConfigError(f"{key}: {name}: {error}") from error
    except Exception as error:
        raise ConfigError(f"{key}: {name}: {module_name} cannot be imported: {raised(error)}") from error
    if not hasattr(module, object_name):
        raise ConfigError(f"{key}: {name}: {module_name} defines no {object_name}")
    return getattr(module, object_name)
