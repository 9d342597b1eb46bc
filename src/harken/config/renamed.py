"""Keys of recipes that have another name now, and keys that are gone.

A recipe with an old key is refused with the fix; `config.yaml` of a run that was made before is read under the new
names and without what is gone.
"""

from typing import Any

RENAMED_KEYS = {
    "sft.questions_per_step": "sft.prompts_per_step",
    "reward.parts.options": "reward.adaptive",
}
"""Old key -> new key, without the numbers of entries of lists."""

_BY_TOKENS = "micro-batches are cut by tokens: remove it, or set {}.tokens_per_micro_batch"
REMOVED_KEYS = {
    "grpo.prompts_per_micro_batch": _BY_TOKENS.format("grpo"),
    "sft.prompts_per_micro_batch": _BY_TOKENS.format("sft"),
    "sft.questions_per_micro_batch": _BY_TOKENS.format("sft"),
}
"""`section.key` that is gone -> what to do. None of them changed a result, so a run that had one goes on without it."""


def rename_keys(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a run's `config.yaml` under the names that keys have now, without the keys that are gone.

    A run without `decay_norms_and_biases` was begun by a harken that applied weight decay to all weights.
    """
    values = {
        section: {"decay_norms_and_biases": True, **content}
        if section in ("grpo", "sft") and isinstance(content, dict) and content.get("weight_decay")
        else content
        for section, content in values.items()
    }
    return {
        section: _rename_in(section, content) if isinstance(content, dict) else content
        for section, content in values.items()
    } | ({"reward": _with_adaptive(values["reward"])} if isinstance(values.get("reward"), dict) else {})


def _rename_in(section: str, content: dict[str, Any]) -> dict[str, Any]:
    renamed = {}
    for key, value in content.items():
        name = f"{section}.{key}"
        if name not in REMOVED_KEYS:
            renamed[RENAMED_KEYS.get(name, name).partition(".")[2]] = value
    return renamed


def _with_adaptive(reward: dict[str, Any]) -> dict[str, Any]:
    """The section reward with the options that once stood in the entry of the part adaptive. Entries of other parts had
    `options: null`; any other value there is left, so that it is refused."""
    parts = reward.get("parts")
    if not isinstance(parts, list):
        return reward
    moved, kept = {}, []
    for part in parts:
        if isinstance(part, dict) and "options" in part:
            if part.get("name") == "adaptive" and part["options"] is not None:
                moved = {"adaptive": part["options"]}
            if part.get("name") == "adaptive" or part["options"] is None:
                part = {key: value for key, value in part.items() if key != "options"}
        kept.append(part)
    return {**reward, "parts": kept, **moved}
