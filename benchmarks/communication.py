"""Counts the bytes that the collectives of one GRPO step move in a run of two processes, beside the planned bytes.

    python benchmarks/communication.py --out runs/communication.json

The program needs this machine's CPU alone. A tiny Qwen2.5-Omni, made here, trains two steps over gloo in each of a few
settings, and every collective of FSDP in the second step is counted by its tensors. Bytes are those that one rank
receives: (N - 1) / N of the output of an all-gather and of the input of a reduce-scatter. `planned_bytes` knows only
the sizes of the model's units and how often the step runs them, so the same function gives the figures of the 7B sizes,
which docs/scale.md quotes. A few kilobytes of JSON and sums, and the norm of the gradient, are not counted.
"""

import argparse
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

import harken
import harken.grpo.loop
import harken.grpo.step
import harken.training.load_models
from communication_plan import OMNI_7B, planned_bytes, sizes_of
from harken.config import Recipe
from harken.data.demo_set import write_demo_set
from harken.models.policy import load_policy
from harken.models.tiny_checkpoint import question_texts, write_tiny
from harken.system.distributed_run import join_ranks

RANKS = 2


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "float32": ({}, {}),
    "bf16_mixed": ({"precision": "bf16_mixed"}, {}),
    "two micro-batches": ({}, {"prompts_per_step": 4, "tokens_per_micro_batch": 1}),
    "no reference": ({}, {"beta": 0.0}),
    "frozen tower": ({"train_audio_tower": False, "train_projector": False}, {}),
}
"""Name -> the settings that differ in `model` and in `grpo`."""


def recipe_of(folder: Path, model: dict[str, Any], grpo: dict[str, Any]) -> Recipe:
    settings = {
        "steps": 2,
        "prompts_per_step": 2,
        "completions_per_prompt": 2,
        "max_completion_tokens": 4,
        **grpo,
    }
    return Recipe.model_validate(
        {
            "name": "communication",
            "model": {"path": str(folder / "tiny"), **model},
            "data": {"train": [{"file": str(folder / "data" / "train.json")}]},
            "grpo": settings,
        }
    )


def as_on_cuda() -> None:
    """Gather in bfloat16 on the CPU too, and compute layer norms with float32 weights, as CUDA's autocast does."""
    harken.training.load_models.gather_dtype = lambda precision, weights, device_type: torch.bfloat16
    norm = torch.nn.functional.layer_norm

    def in_float32(hidden, shape, weight, bias, eps):
        return norm(hidden.float(), shape, weight.float(), bias.float(), eps)

    torch.nn.functional.layer_norm = in_float32


def count_step(recipe: Recipe, out: Path, counts_file: Path) -> None:
    """Train two steps; rank 0 writes the bytes that the collectives of the last step moved, by kind."""
    from rich.console import Console

    moved: dict[str, int] = {}

    def counting(name: str, tensor: str, place: int):
        original = getattr(dist, name)

        def counted(*args, **kwargs):
            moved[name] = moved.get(name, 0) + (kwargs[tensor] if tensor in kwargs else args[place]).nbytes
            return original(*args, **kwargs)

        setattr(dist, name, counted)

    if recipe.model.precision == "bf16_mixed":
        as_on_cuda()
    has_new_names = hasattr(dist, "all_gather_single")  # torch 2.13
    counting("all_gather_single" if has_new_names else "all_gather_into_tensor", "output_tensor", 0)
    counting("reduce_scatter_single" if has_new_names else "reduce_scatter_tensor", "input", 1)
    gathered = harken.grpo.step.gathered

    def starting(*args, **kwargs):
        moved.clear()
        return gathered(*args, **kwargs)

    harken.grpo.step.gathered = starting
    counts: dict[str, int] = {}
    update = harken.grpo.step.update

    def ending(*args, **kwargs):
        figures = update(*args, **kwargs)
        counts.clear()
        counts.update(moved)
        return figures

    harken.grpo.step.update = ending
    harken.grpo.loop.train(recipe, out, Console(quiet=True))
    if join_ranks().is_main:
        counts_file.write_text(json.dumps(counts))


def measure(recipe: Recipe, folder: Path, name: str) -> dict[str, int]:
    """The counts of a run of two forked processes.

    They meet at a store of this process, which has taken its port, so that no other process can take it.
    """
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    children = []
    for rank in range(RANKS):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                torch.set_num_threads(1)  # before any other thread asks torch, which rebuilds its pool after a fork
                places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": RANKS, "LOCAL_WORLD_SIZE": RANKS}
                places |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port}
                places |= {"TORCHELASTIC_USE_AGENT_STORE": True}  # as under torchrun, so no rank opens the port itself
                os.environ.update({key: str(value) for key, value in places.items()})
                count_step(recipe, folder / name, folder / f"{name}.json")
                status = 0
            except BaseException:  # noqa: BLE001 (reported, then the process ends)
                traceback.print_exc()
            finally:
                os._exit(status)
        children.append(child)
    if any(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0 for child in children):
        sys.exit(f"{name}: a process failed")
    return json.loads((folder / f"{name}.json").read_text())


def count_case(folder: Path, name: str, model: dict[str, Any], grpo: dict[str, Any]) -> dict[str, Any]:
    """Planned and measured bytes of one of CASES."""
    recipe = recipe_of(folder, model, grpo)
    plan = planned_bytes(
        sizes_of(load_policy(recipe.model)),
        RANKS,
        recipe.grpo.prompts_per_step // RANKS,  # one prompt each
        2 if recipe.model.precision == "bf16_mixed" else 4,
        reference=recipe.grpo.beta > 0,
        tower=recipe.model.train_audio_tower,
    )
    moved = measure(recipe, folder, name.replace(" ", "_"))
    measured = sum(moved.values()) * (RANKS - 1) / RANKS
    return {"name": name, "planned_bytes": sum(plan.values()), "measured_bytes": measured, "plan": plan, **moved}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    cases = []
    with tempfile.TemporaryDirectory(prefix="harken-communication-") as name:
        folder = Path(name)
        write_demo_set(folder / "data", seed=0, n_train=8, n_test=4)
        write_tiny("qwen2_5_omni", folder / "tiny", question_texts([folder / "data" / "train.json"]))
        print(f"{'case':<20}{'planned':>12}{'measured':>12}{'ratio':>8}   bytes a rank receives in a step of {RANKS}")
        for case_name, (model, grpo) in CASES.items():
            case = count_case(folder, case_name, model, grpo)
            planned, measured = case["planned_bytes"], case["measured_bytes"]
            print(f"{case_name:<20}{planned:>12.0f}{measured:>12.0f}{measured / planned:>8.3f}")
            cases.append(case)
    large = {}
    for ranks in (8, 64):
        large[ranks] = planned_bytes(OMNI_7B, ranks, 1, 2)
        parts = "  ".join(f"{phase} {count / 1e9:.1f}" for phase, count in large[ranks].items())
        total = sum(large[ranks].values()) / 1e9
        print(f"7B sizes, bf16_mixed, {ranks} ranks, one micro-batch, GB: {parts}  sum {total:.1f}")
    if out is not None:
        versions = {"harken": harken.__version__, "torch": torch.__version__}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"cases": cases, "qwen2_5_omni_7b": large, "versions": versions}, indent=2) + "\n")


if __name__ == "__main__":
    main()
