"""Keys of recipes that have another name now.

A recipe with an old key is refused with the new name; `config.yaml` of a run that was made before is read under the new
names.
"""

from typing import Any

RENAMED_KEYS = {
    "sft.questions_per_step": "sft.prompts_per_step",
    "sft.questions_per_micro_batch": "sft.prompts_per_micro_batch",
}
"""Old `section.key` -> new `section.key`."""


def rename_keys(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a run's `config.yaml` under the names that keys have now."""
    return {
        section: _rename_in(section, content) if isinstance(content, dict) else content
        for section, content in values.items()
    }


def _rename_in(section: str, content: dict[str, Any]) -> dict[str, Any]:
    new_names = {
        old.partition(".")[2]: new.partition(".")[2]
        for old, new in RENAMED_KEYS.items()
        if old.partition(".")[0] == section
    }
    return {new_names.get(key, key): value for key, value in content.items()}
