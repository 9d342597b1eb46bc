"""Says in a dozen lines what a run was: recipe, data, hardware, commit, time.

The report and the model card show these lines. A value that the run folder does not hold is left out.
"""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from harken.report.curves import number
from harken.report.run import Run
from harken.report.run_files import JsonObject

_BRIEF = ("recipe", "method", "steps", "hardware")
"""The facts that stand in the line under which the others fold."""


def run_names(paths: Sequence[Path]) -> list[str]:
    """A name for each path: its last two parts, or as many as tell all paths apart."""
    longest = max(len(path.parts) for path in paths)
    for parts in itertools.count(2):
        names = ["/".join(path.parts[-parts:]).lstrip("/") for path in paths]
        if len(set(names)) == len(names) or parts >= longest:
            return names
    raise AssertionError


def run_facts(name: str, run: Run) -> dict[str, Any]:
    """{name, facts: [(label, value)], brief: the chief of them, config: config.yaml and environment.json as text}."""
    supervised = any("loss/sft" in row for row in run.metrics)
    section = "sft" if supervised else "grpo"
    config, machine = run.config, run.environment
    seconds = [value for row in run.metrics if (value := number(row.get("time/step_s"))) is not None]
    values = {
        "recipe": _get(config, "name"),
        "method": "supervised fine-tuning" if supervised else "GRPO",
        "model": _get(config, "model", "path"),
        "trained parts": _trained_parts(config),
        "data": ", ".join(_source(source) for source in _list(_get(config, "data", "train"))),
        "questions": _question_counts(run.counts),
        "clips": _clip_counts(run.counts),
        "prompt style": _get(config, "prompt", "style"),
        "rewards": None if supervised else _rewards(config),
        "steps": _steps(run, _get(config, section, "steps")),
        "each step": _step_size(config, section),
        "learning rate": _get(config, section, "learning_rate"),
        "beta": None if supervised else _get(config, "grpo", "beta"),
        "seed": _get(config, "seed"),
        "history": "; ".join(map(_event, run.history)),
        "started": _start_time(machine.get("started")),
        "time in training steps": _duration(sum(seconds)) if seconds else None,
        "hardware": _hardware(machine),
        "commit": _commit(machine.get("commit")),
        "versions": _versions(machine),
    }
    facts = [(label, str(value)) for label, value in values.items() if value not in (None, "", [])]
    text = yaml.safe_dump(dict(config), sort_keys=False) + "\n" + yaml.safe_dump(dict(machine), sort_keys=False)
    brief = " · ".join(value for label, value in facts if label in _BRIEF)
    return {"name": name, "facts": facts, "brief": brief, "config": text}


def shared_facts_first(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The facts of several runs, where the facts that all runs share stand once, in front."""
    if len(runs) == 1:
        return list(runs)
    shared = [fact for fact in runs[0]["facts"] if all(fact in run["facts"] for run in runs)]
    rest = [{**run, "facts": [fact for fact in run["facts"] if fact not in shared]} for run in runs]
    return [{"name": "All runs", "facts": shared, "brief": "what they share", "config": ""}, *rest]


def progress_line(run: Run) -> str:
    """How far a run has come, in one line."""
    last = run.metrics[-1] if run.metrics else {}
    return f"step {last.get('step', 0):,}, {len(run.rollouts):,} kept rollouts, {len(run.evaluations):,} evaluations"


def _get(values: JsonObject, *keys: str) -> Any:
    """The value at a path of keys, None where a key is missing."""
    value: Any = values
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _source(source: Any) -> str:
    values = source if isinstance(source, dict) else {}
    file = str(values.get("file", "unknown file"))
    return f"{file} (without audio)" if values.get("audio") == "none" else file


def _question_counts(counts: JsonObject) -> str:
    """How many questions train the model, how many are for development, and how many records were rejected."""
    words = {"trained_on": "for training", "development": "for development", "rejected": "rejected"}
    known = [(number(counts.get(key)), purpose) for key, purpose in words.items()]
    return ", ".join(f"{n:,.0f} {purpose}" for n, purpose in known if n is not None)


def _clip_counts(counts: JsonObject) -> str:
    """How many clips are unusual; "" where none is, and for a run of an older harken."""
    words = {
        "cut": "cut short or damaged and used as far as they decode",
        "beyond_full_scale": "beyond full scale in places, which are clipped",
        "cancelled": "silent after mixing because their channels cancel each other out",
    }
    known = [(number(_get(counts, "clips", key)), kind) for key, kind in words.items()]
    return ", ".join(f"{n:,.0f} {kind}" for n, kind in known if n)


def _event(row: JsonObject) -> str:
    """One change of the run on its way, as `after step 100: resumed with changes: version of torch: ...`."""
    changes = [str(change) for change in _list(row.get("changes"))]
    shown = ", ".join(changes[:3]) + (f" and {len(changes) - 3} more" if len(changes) > 3 else "")
    return f"after step {row.get('step')}: {row.get('event')}" + (f": {shown}" if shown else "")


def _trained_parts(config: JsonObject) -> str:
    lora = _get(config, "model", "lora", "rank")
    if lora:
        return f"LoRA adapter of rank {lora}"
    parts = {
        "audio tower": "train_audio_tower",
        "projector": "train_projector",
        "language model": "train_language_model",
        "router": "train_router",
    }
    return ", ".join(name for name, key in parts.items() if _get(config, "model", key))


def _rewards(config: JsonObject) -> str:
    """The reward parts with their weights. Older runs have a mapping of weights where newer ones have `parts`."""
    reward = _get(config, "reward")
    parts = _list(_get(config, "reward", "parts"))
    if parts:
        weights = {str(_get(part, "name")): number(_get(part, "weight")) for part in parts}
    else:
        weights = {name: number(weight) for name, weight in reward.items()} if isinstance(reward, dict) else {}
    return ", ".join(f"{name} × {weight:g}" for name, weight in weights.items() if weight)


def _steps(run: Run, planned: Any) -> str:
    done = max((int(step) for row in run.metrics if (step := number(row.get("step"))) is not None), default=0)
    return f"{done:,} of {planned:,}" if isinstance(planned, int) else f"{done:,}"


def _step_size(config: JsonObject, section: str) -> str | None:
    if section == "sft":
        questions = _get(config, "sft", "prompts_per_step")
        return f"{questions} questions" if questions else None
    prompts, group = _get(config, "grpo", "prompts_per_step"), _get(config, "grpo", "completions_per_prompt")
    return f"{prompts} questions × {group} completions" if prompts and group else None


def _hardware(machine: JsonObject) -> str:
    devices = [str(device) for device in _list(machine.get("devices"))]
    if devices:
        return ", ".join(f"{devices.count(device)} × {device}" for device in dict.fromkeys(devices))
    threads = machine.get("threads")
    name = str(machine.get("processor") or "CPU")
    return f"{name}, {threads} thread{'' if threads == 1 else 's'}" if threads else ""


def _commit(commit: Any) -> str | None:
    if not isinstance(commit, str):
        return None
    name, _, dirty = commit.partition("-")
    return f"{name[:12]}, with uncommitted changes" if dirty else name[:12]


def _versions(machine: JsonObject) -> str:
    versions = {package: _get(machine, "packages", package) for package in ("harken", "torch", "transformers")}
    return ", ".join(f"{package} {version}" for package, version in versions.items() if version)


def _start_time(text: Any) -> str:
    """`2026-01-02 03:04 UTC`; a value that is not a time in ISO 8601 as it is."""
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return "" if text is None else str(text)
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _duration(seconds: float) -> str:
    if seconds < 59.5:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
