"""What a run was, in a dozen lines: recipe, data, hardware, commit, time.

Takes a `Run`, gives names and values as text. A value that the folder does not hold is left out.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from harken.report.curves import number
from harken.report.run import Row, Run


def run_names(paths: Sequence[Path]) -> list[str]:
    """The last two parts of each path, or as many as tell them apart."""
    longest = max(len(path.parts) for path in paths)
    for parts in itertools.count(2):
        names = ["/".join(path.parts[-parts:]).lstrip("/") for path in paths]
        if len(set(names)) == len(names) or parts >= longest:
            return names
    raise AssertionError


def run_facts(name: str, run: Run) -> dict[str, Any]:
    """{name, facts: [(name, value)], config: config.yaml and environment.json as text}."""
    supervised = any("loss/sft" in row for row in run.metrics)
    section = "sft" if supervised else "grpo"
    config, machine = run.config, run.environment
    steps = _get(config, section, "steps")
    done = max((int(step) for row in run.metrics if (step := number(row.get("step"))) is not None), default=0)
    seconds = [value for row in run.metrics if (value := number(row.get("time/step_s"))) is not None]
    found = {
        "recipe": _get(config, "name"),
        "method": "supervised, on the answers" if supervised else "GRPO",
        "model": _get(config, "model", "path"),
        "trained": _trained(config),
        "data": ", ".join(_source(one) for one in _list(_get(config, "data", "train"))),
        "questions": _questions(run.counts),
        "prompt": _get(config, "prompt", "style"),
        "rewards": None if supervised else _rewards(config),
        "steps": f"{done:,} of {steps:,}" if isinstance(steps, int) else f"{done:,}",
        "a step": _step(config, section),
        "learning rate": _get(config, section, "learning_rate"),
        "beta": None if supervised else _get(config, "grpo", "beta"),
        "seed": _get(config, "seed"),
        "started": machine.get("started"),
        "time in steps": _duration(sum(seconds)) if seconds else None,
        "hardware": _hardware(machine),
        "commit": _commit(machine.get("commit")),
        "versions": ", ".join(
            f"{package} {_get(machine, 'packages', package)}"
            for package in ("harken", "torch", "transformers")
            if _get(machine, "packages", package)
        ),
    }
    facts = [(key, str(value)) for key, value in found.items() if value not in (None, "", [])]
    text = yaml.safe_dump(dict(config), sort_keys=False) + "\n" + yaml.safe_dump(dict(machine), sort_keys=False)
    return {"name": name, "facts": facts, "config": text}


def in_common(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The facts of several runs, with what is the same in all of them said once, in front."""
    if len(runs) == 1:
        return list(runs)
    same = [fact for fact in runs[0]["facts"] if all(fact in run["facts"] for run in runs)]
    rest = [{**run, "facts": [fact for fact in run["facts"] if fact not in same]} for run in runs]
    return [{"name": "In all runs", "facts": same, "config": ""}, *rest]


def status(run: Run) -> str:
    """One line of a run that goes on."""
    last = run.metrics[-1] if run.metrics else {}
    return f"step {last.get('step', 0):,}, {len(run.rollouts):,} kept rollouts, {len(run.evaluations):,} evaluations"


def _get(values: Row, *keys: str) -> Any:
    found: Any = values
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _source(source: Any) -> str:
    file = str(_get({"one": source}, "one", "file"))
    return f"{file} (without audio)" if _get({"one": source}, "one", "audio") == "none" else file


def _questions(counts: Row) -> str:
    """How many trained the model, stood aside and were left out."""
    words = {"trained_on": "trained on", "development": "for development", "rejected": "rejected"}
    known = [(number(counts.get(key)), said) for key, said in words.items()]
    return ", ".join(f"{n:,.0f} {said}" for n, said in known if n is not None)


def _trained(config: Row) -> str:
    lora = _get(config, "model", "lora", "rank")
    if lora:
        return f"LoRA, rank {lora}"
    parts = {
        "audio tower": "train_audio_tower",
        "projector": "train_projector",
        "language model": "train_language_model",
    }
    return ", ".join(name for name, key in parts.items() if _get(config, "model", key))


def _rewards(config: Row) -> str:
    parts = _get(config, "reward")
    weights = {name: number(weight) for name, weight in parts.items()} if isinstance(parts, dict) else {}
    return ", ".join(f"{name} × {weight:g}" for name, weight in weights.items() if weight)


def _step(config: Row, section: str) -> str | None:
    if section == "sft":
        questions = _get(config, "sft", "questions_per_step")
        return f"{questions} questions" if questions else None
    prompts, group = _get(config, "grpo", "prompts_per_step"), _get(config, "grpo", "completions_per_prompt")
    return f"{prompts} questions × {group} completions" if prompts and group else None


def _hardware(machine: Row) -> str:
    devices = [str(one) for one in _list(machine.get("devices"))]
    if devices:
        return ", ".join(f"{devices.count(one)} × {one}" for one in dict.fromkeys(devices))
    threads = machine.get("threads")
    name = str(machine.get("processor") or "CPU")
    return f"{name}, {threads} thread{'' if threads == 1 else 's'}" if threads else ""


def _commit(commit: Any) -> str | None:
    if not isinstance(commit, str):
        return None
    name, _, dirty = commit.partition("-")
    return f"{name[:12]}, with changes" if dirty else name[:12]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
