"""Writes docs/performance.md from the results in benchmarks/results.

    python benchmarks/performance_page.py

`performance_page.md.j2` has the sentences, and the results have the figures. A section without results is left out.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from audio_step import GROUP
from harken.system.files import write_text
from harness import RESULTS
from own_step import FORMS
from passes import AIMED_SHARE
from performance_counts import counts
from performance_parts import Cases, measured_on, seconds, spread, table
from text_step import bound

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
PEERS = {"ms-swift": "ms-swift", "repeated": "the repeated form"}
"""A side of the audio step -> its name in a sentence."""


def passes(cases: Cases) -> dict[str, str]:
    rows = []
    for name, case in cases.items():
        row = [name, f"{case['bound']:.2f}"]
        for kind in ("policy", "reference"):
            row += [spread(case["ratio"][kind]), f"{case['ratio'][kind]['median'] / case['bound']:.0%}"]
        for kind in ("policy", "reference"):
            # Results from before attention in two parts name the packed row under one mask "packed".
            masked = f"{kind} masked" if f"{kind} masked" in case["seconds"] else f"{kind} packed"
            repeated, masked = (case["seconds"][side]["cpu_s"]["median"] for side in (f"{kind} repeated", masked))
            row.append(f"{repeated / masked:.2f}")
        rows.append(row)
    below = [
        f"{kind} at {name} ({case['ratio'][kind]['median'] / case['bound']:.1%})"
        for name, case in cases.items()
        for kind in ("policy", "reference")
        if case["ratio"][kind]["median"] < case["aim"]
    ]
    head = ["shape", "bound", "policy", "of bound", "reference", "of bound", "policy, one mask", "reference, one mask"]
    return {
        "table": table(head, rows),
        "aim": f"{AIMED_SHARE:.0%}",
        "below": ", ".join(below),
        "measured_on": measured_on(cases),
    }


def text_step(cases: Cases) -> dict[str, str]:
    rows = [
        [
            *(name, form, seconds(case, "trl"), seconds(case, form), spread(case["ratio"][form])),
            *(f"{case['bound'][form]:.2f}", f"{case['aim']:g}"),
        ]
        for name, case in cases.items()
        for form in FORMS
    ]
    return {
        "table": table(["shape", "form", "TRL", "harken", "ratio", "bound", "aim"], rows),
        "sampling": ", ".join(f"{seconds(case, 'sampling')} ({name})" for name, case in cases.items()),
        "measured_on": measured_on(cases),
    }


def audio_step(cases: Cases) -> dict[str, str]:
    prompt = next(iter(cases.values()))["prompt_tokens"]
    rows = [
        [
            *(name, peer, form, seconds(case, peer), seconds(case, form), spread(case["ratio"][peer][form])),
            *(f"{bound(prompt, int(name.removeprefix('R=')), GROUP, form):.2f}", f"{case['aim'][peer]:g}"),
        ]
        for name, case in cases.items()
        for peer in PEERS
        for form in FORMS
    ]
    ingredients = list(next(iter(cases.values()))["ingredients"])
    saved = [
        [name, *(spread(case["ingredients"][ingredient]) for ingredient in ingredients)] for name, case in cases.items()
    ]
    return {
        "prompt_tokens": str(prompt),
        "below_the_aim": "\n".join(line for name, case in cases.items() if (line := below_the_aim(name, case))),
        "table": table(["completion", "against", "form", "peer", "harken", "ratio", "bound", "aim"], rows),
        "ingredients": table(["completion", *ingredients], saved),
        "gflop_per_s": f"{list(cases.values())[-1]['gflop_per_s']:.0f}",
        "measured_on": measured_on(cases),
    }


def below_the_aim(name: str, case: Mapping[str, Any]) -> str:
    """The step that a missed aim would need, beside the arithmetic of a step; "" where no aim is missed."""
    missed = [
        f"{aim:g} times as fast as {peer_name} is a step of {case['seconds'][peer]['cpu_s']['median'] / aim:.2f} s"
        for peer, peer_name in PEERS.items()
        if case["ratio"][peer]["continued"]["median"] < (aim := case["aim"][peer])
    ]
    if not missed:
        return ""
    return (
        f"- {name}: {', '.join(missed)}. harken's takes {seconds(case, 'continued')}, of which sampling "
        f"{seconds(case, 'sampling')}. Its scored and prefilled tokens are {case['matrices_s']:.2f} s of the language "
        f"model's matrices at the measured rate of {case['gflop_per_s']:.0f} GFLOP/s; to read those matrices once for "
        f"each sampled token takes {case['reading_s']:.2f} s at {case['gb_per_s']:.0f} GB/s."
    )


def growth(cases: Cases) -> dict[str, str]:
    completions, prompts, memory = cases["completions per prompt"], cases["prompts per step"], cases["bytes"]
    rows = [
        [f"P={row['P']} R={row['R']} G={row['G']}", str(row["tokens"])]
        + [f"{row[key] / 2**20:.1f} MiB" for key in ("saved_bytes", "cache_bytes")]
        for row in memory["rows"]
    ]
    return {
        "completions": ", ".join(f"{seconds(completions, side)} ({side})" for side in completions["seconds"]),
        "ratio": spread(completions["ratio"]),
        "aim": f"{completions['aim']:g}",
        "prompts": ", ".join(f"{value:.2f} s ({name})" for name, value in prompts["seconds_a_prompt"].items()),
        "table": table(["shape", "P + G R", "saved for backward", "keys and values of the rollout"], rows),
        "kib_per_token": f"{memory['bytes_per_token'] / 1024:.1f}",
        "largest_distance": f"{memory['largest_distance']:.1%}",
        "measured_on": measured_on(cases),
    }


def input_pipeline(cases: Cases) -> dict[str, str]:
    rows = [
        [name, seconds(case, "files"), seconds(case, "memory"), spread(case["ratio"]), spread(case["ratio_wall"])]
        for name, case in cases.items()
    ]
    head = ["completion", "files", "memory", "ratio of process seconds", "ratio on the clock"]
    return {"table": table(head, rows), "measured_on": measured_on(cases)}


def omni_step_h100(result: Mapping[str, Any]) -> dict[str, str]:
    machine = result["machine"]
    rows = [
        [row["size"], row["prompts_x_group"], str(row["completion_tokens"]), "yes" if row["checkpointing"] else "no"]
        + [f"{row[form]['seconds']:.3f} s, {row[form]['gib']:.1f} GiB" for form in ("packed", "repeated")]
        + [f"{row['ratio']:.2f}", f"{row['rollout_prefill_once_s']:.3f} s", f"{row['rollout_generate_s']:.3f} s"]
        for row in result["rows"]
    ]
    head = ["size", "prompts x G", "completion tokens", "checkpointing", "packed row", "repeated", "ratio"]
    versions = ", ".join(f"{package} {version}" for package, version in machine["versions"].items())
    return {
        "prompt_tokens": str(result["prompt_tokens"]),
        "table": table([*head, "rollout, prefill once", "rollout, generate"], rows),
        "measured_on": f"Measured on {machine['device']}, {versions}, commit {machine['commit']}.",
    }


def before_after(cases: Cases) -> dict[str, str]:
    rows = [
        [
            name,
            *(f"{case['seconds'][side]['cpu_s']['median']:.2f} s" for side in ("before", "now")),
            spread(case["ratio"]),
        ]
        for name, case in cases.items()
    ]
    ratios = [case["ratio"]["median"] for case in cases.values()]
    return {
        "commit": next(iter(cases.values()))["before"],
        "table": table(["work", "before", "now", "ratio"], rows),
        "least": f"{min(ratios):.2f}",
        "most": f"{max(ratios):.2f}",
        "measured_on": measured_on(cases),
    }


def before_objectives(cases: Cases) -> dict[str, str]:
    rows = [
        [
            name,
            *(f"{case['seconds'][side]['cpu_s']['median']:.3f} s" for side in ("before", "now")),
            f"{case['ratio']['median']:.3f}",
            f"{case['interval'][0]:.3f} to {case['interval'][1]:.3f}",
            f"{case['ratio']['low']:.2f} to {case['ratio']['high']:.2f}",
        ]
        for name, case in cases.items()
    ]
    return {
        "commit": next(iter(cases.values()))["before"],
        "table": table(["work", "before", "now", "ratio", "95 % interval of the median", "all rounds"], rows),
        "least": f"{min(case['interval'][0] for case in cases.values()):.3f}",
        "most": f"{max(case['interval'][1] for case in cases.values()):.3f}",
        "measured_on": measured_on(cases),
    }


SECTIONS = (
    passes,
    text_step,
    audio_step,
    growth,
    input_pipeline,
    before_after,
    before_objectives,
    counts,
    omni_step_h100,
)
"""Each is named as its file of results."""


def page(folder: Path) -> str:
    values: dict[str, dict[str, str]] = {}
    for section in SECTIONS:
        file = folder / f"{section.__name__}.json"
        if file.exists():
            values[section.__name__] = section(json.loads(file.read_text(encoding="utf-8")))
        else:
            values[section.__name__] = {}
    text = Path(__file__).with_suffix(".md.j2").read_text(encoding="utf-8")
    return jinja2.Template(text, undefined=jinja2.StrictUndefined, keep_trailing_newline=True).render(values)


if __name__ == "__main__":
    write_text(PAGE, page(RESULTS))
