"""The settings of runs as flat keys, and those that differ between runs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harken.report.run_files import JsonObject

ABSENT = "–"
"""Shown in place of a setting that a run does not have."""


def settings_that_differ(configs: Sequence[JsonObject]) -> dict[str, list[str]]:
    """`section.key` -> its value in each of the settings, for the keys that `differing_keys` names."""
    flat = [flatten(config) for config in configs]
    return {key: [settings.get(key, ABSENT) for settings in flat] for key in differing_keys(flat)}


def differing_keys(runs: Sequence[Mapping[str, str]]) -> list[str]:
    """The keys of flat settings that are not the same in all runs that have them.

    A key that only some runs have counts where another run has a value in place of its section, as `model.lora.rank`
    beside `model.lora: null`. Otherwise the others were made by a harken that did not have the key.
    """
    keys = dict.fromkeys(key for settings in runs for key in settings)
    return [
        key for key in keys if len({settings[key] for settings in runs if key in settings}) > 1 or _replaced(key, runs)
    ]


def _replaced(key: str, runs: Sequence[Mapping[str, str]]) -> bool:
    parts = key.split(".")
    sections = {".".join(parts[:length]) for length in range(1, len(parts))}
    return any(not sections.isdisjoint(settings) for settings in runs)


def flatten(values: Mapping[Any, Any], prefix: str = "") -> dict[str, str]:
    """Every value that is no mapping, as text, by its path of keys. A list is one value, written as JSON."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return flat
