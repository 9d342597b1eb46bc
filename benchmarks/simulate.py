"""The account of memory beside simulated GRPO steps of the published sizes, without a GPU: on fake tensors.

    python benchmarks/simulate.py                    # cases that are not in the file of results yet, one process each
    python benchmarks/simulate.py --again --size 7b --ranks 1 4 --mode defaults
    python benchmarks/simulate.py --table            # only writes the table of docs/memory.md again

A case is a size, a number of ranks and a mode of memory: 8 prompts on clips of 10 s, 4 completions of 16 tokens, all
weights trained, checkpointing, bf16_mixed, all blocks. It takes half a minute to some minutes of one core.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from gpu_setup import SIZES, Work, config_of
from harken.config import MemoryConfig, Recipe
from harken.planning.memory import plan_memory
from harken.planning.memory_items import GIB
from harken.planning.planned_run import PlannedRun
from harken.planning.shapes import Shape, shape_of_config
from harken.system.files import write_text
from marked_page import between_marks
from simulated_step import SimulatedRun, simulate_steps

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "simulation.json", ROOT / "docs" / "memory.md"
BEGIN, END = "<!-- written by benchmarks/simulate.py -->", "<!-- end of the table -->"
MODES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "streamed reference": {"reference": "streamed"},
    "int8 reference": {"reference": "int8"},
    "offloaded": {"optimizer": "offloaded"},
    "adamw_8bit": {"optimizer": "adamw_8bit"},
    "bf16_corrected": {"weights": "bf16_corrected"},
    "bf16_corrected, offloaded, streamed": {
        **{"weights": "bf16_corrected", "optimizer": "offloaded", "reference": "streamed"}
    },
    "bf16_stochastic, adamw_8bit, step_in_backward, streamed": {
        **{"weights": "bf16_stochastic", "optimizer": "adamw_8bit", "reference": "streamed", "step_in_backward": True}
    },
}
"""Name of a mode -> the keys of the recipe's memory section that differ from the defaults."""
PROMPTS, GROUP, TOKENS, CLIP_S, MICRO_BATCH_TOKENS = 8, 4, 16, 10.0, 4096
LIMIT_S = 1800


def simulated_run(size: str, ranks: int, mode: str) -> SimulatedRun:
    own = -(-PROMPTS // ranks)
    work = Work(size, None, torch.device("cpu"), CLIP_S, own, GROUP, TOKENS, TOKENS, repeats=1)
    return SimulatedRun(work, ranks, MemoryConfig.model_validate(MODES[mode]), MICRO_BATCH_TOKENS)


def account(run: SimulatedRun, prompt_tokens: int) -> dict[str, int]:
    """Bytes of the parts of a step in the account of `harken plan`, and of what is held in all of them."""
    memory = run.memory.model_copy(update={"rollout_rows": PROMPTS * GROUP})
    settings = run.settings
    recipe = Recipe.model_validate(
        {
            "name": "simulated",
            "model": {
                "path": SIZES[run.work.size] or "tiny",
                "precision": "bf16_mixed",
                "gradient_checkpointing": True,
            },
            "data": {"train": [{"file": "none"}]},
            "grpo": settings.model_dump(mode="json"),
            "memory": memory.model_dump(mode="json"),
        }
    )
    shape = _shape(run.work)
    plan = plan_memory(PlannedRun(recipe, settings, shape, prompt_tokens, CLIP_S, run.ranks))
    held, rollout, training = (sum(item.device for item in part) for part in (plan.held, plan.rollout, plan.training))
    return {"rollout": held + rollout, "update": held + training, "peak": plan.peak}


@functools.cache
def _shape(work: Work) -> Shape:
    return shape_of_config(config_of(work)[0])


def measure_case(size: str, ranks: int, mode: str) -> dict[str, Any]:
    """A row of the results; with "failed" in place of peaks where a process ended with an error."""
    case: dict[str, Any] = {"size": size, "ranks": ranks, "mode": mode}
    done = _in_a_process(size, ranks, mode)
    if isinstance(done, str):
        return {**case, "failed": done}
    peaks, prompt_tokens = done
    return {**case, "prompt_tokens": prompt_tokens, "simulated": peaks}


def _in_a_process(size: str, ranks: int, mode: str) -> tuple[dict[str, int], int] | str:
    """Peaks and tokens of a prompt, or why there are none."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "case.json"
        command = [sys.executable, __file__, "--case", json.dumps([size, ranks, mode]), str(out)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            return f"not done after {LIMIT_S} s"
        if out.is_file():
            peaks, tokens = json.loads(out.read_text(encoding="utf-8"))
            return peaks, tokens
        return next(iter(done.stderr.strip().splitlines()[-1:]), f"ended with code {done.returncode}")


def _simulate_case(case: str, out: str) -> None:
    size, ranks, mode = json.loads(case)
    Path(out).write_text(json.dumps(simulate_steps(simulated_run(size, ranks, mode))), encoding="utf-8")
    sys.stderr.flush()
    os._exit(0)  # else fake tensors and their modes would be taken down in any order


def table(cases: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = ["| model | ranks | memory | part of the peak | simulated, GiB | account, GiB | difference |"]
    lines.append("|---|---:|---|---|---:|---:|---:|")
    for case in cases:
        head = f"| {case['size'].upper()} | {case['ranks']} | {case['mode']} |"
        if "failed" in case:
            lines.append(f"{head} not simulated: {case['failed']} | | | |")
            continue
        part = max(case["simulated"], key=case["simulated"].__getitem__)
        simulated, planned = case["simulated"][part], planned_peak(case)
        difference = f"{100 * (planned / simulated - 1):+.1f} %"
        lines.append(f"{head} {part} | {simulated / GIB:.2f} | {planned / GIB:.2f} | {difference} |")
    return "\n".join(lines)


def planned_peak(case: dict[str, Any]) -> int:
    """The account's bytes for a row of the results."""
    return account(simulated_run(case["size"], case["ranks"], case["mode"]), case["prompt_tokens"])["peak"]


def page(text: str, cases: list[dict[str, Any]]) -> str:
    """The page with the table between its marks."""
    return between_marks(text, BEGIN, table(cases), END)


def read_cases() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []


def _is(case: dict[str, Any], size: str, ranks: int, mode: str) -> bool:
    return (case["size"], case["ranks"], case["mode"]) == (size, ranks, mode)


def _position(case: dict[str, Any]) -> tuple[int, int, int]:
    return [*SIZES].index(case["size"]), case["ranks"], [*MODES].index(case["mode"])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, nargs="+", default=["7b", "3b"])
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--mode", choices=MODES, nargs="+", default=[*MODES])
    parser.add_argument("--again", action="store_true", help="Simulate cases again that are in the file of results.")
    parser.add_argument("--table", action="store_true", help="Simulate nothing; plan again, and write the table.")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.case:
        _simulate_case(*options.case)
    wanted = [(size, ranks, mode) for ranks in options.ranks for size in options.size for mode in options.mode]
    for size, ranks, mode in () if options.table else wanted:
        if options.again or not any(_is(case, size, ranks, mode) for case in read_cases()):
            case = measure_case(size, ranks, mode)
            others = [other for other in read_cases() if not _is(other, size, ranks, mode)]  # others may add some too
            write_text(RESULTS, json.dumps(sorted([*others, case], key=_position), indent=1) + "\n")
            print(table([case]).splitlines()[-1], flush=True)
    write_text(PAGE, page(PAGE.read_text(encoding="utf-8"), read_cases()))


if __name__ == "__main__":
    main()
