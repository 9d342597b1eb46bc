"""Every memory mode on two and four ranks does what it does on one, with adapters and after the loss of a rank too.

With the same gradients the weights, and what is kept beside them, are the same bit for bit, or up to the last bit where
torch's fused AdamW computes them. In whole runs the gradients
differ by rounding, in float32 or, where weights are bfloat16, in bfloat16.
"""

from pathlib import Path

import pytest
import torch
from scale_runs import (
    completions_of_run,
    differing_metrics,
    on_ranks,
    relative_difference,
    starting_weights,
    write_questions,
    write_recipe,
)
from small_runs import differences, metric_rows, read_run

pytestmark = pytest.mark.slow

EXACT = {"model": {"precision": "float32"}, "grpo": {"learning_rate": 1e-3, "max_completion_tokens": 40}}
COARSE = {
    "model": {"precision": "bf16_mixed"},
    "grpo": {"learning_rate": 1e-4, "max_completion_tokens": 40},
    "memory": {"rollout_rows": 4},
}
"""In bfloat16 a row that is padded to longer ones rounds differently. With rollout_rows every prompt is decoded alone,
on any number of ranks, so that the samples must be equal."""
IN_BACKWARD = {"tokens_per_micro_batch": None, "max_grad_norm": None, "learning_rate": 3e-4}
MODES = {
    "offloaded": (EXACT, {"optimizer": "offloaded"}),
    "8 bits": (EXACT, {"optimizer": "adamw_8bit"}),
    "streamed": (EXACT, {"reference": "streamed"}),
    "int8": (EXACT, {"reference": "int8"}),
    "in backward": (EXACT, {"step_in_backward": True}),
    "offloaded, in backward, streamed": (
        EXACT,
        {"optimizer": "offloaded", "step_in_backward": True, "reference": "streamed"},
    ),
    "copy in bfloat16": (COARSE, {}),
    "corrected": (COARSE, {"weights": "bf16_corrected"}),
    "stochastic": (COARSE, {"weights": "bf16_stochastic"}),
    "corrected, offloaded, streamed": (
        COARSE,
        {"weights": "bf16_corrected", "optimizer": "offloaded", "reference": "streamed"},
    ),
    "stochastic, 8 bits, int8, in backward": (
        COARSE,
        {"weights": "bf16_stochastic", "optimizer": "adamw_8bit", "reference": "int8", "step_in_backward": True},
    ),
}
ADAPTER_MODES = ("offloaded", "8 bits", "in backward")
"""With adapters the others are refused: frozen weights are bfloat16 anyhow, and the reference shares them."""
KILLED_MODES = ("8 bits", "offloaded, in backward, streamed", "corrected, offloaded, streamed")
BFLOAT16 = [mode for mode, (sections, _) in MODES.items() if sections is COARSE]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_questions(folder)
    return folder


def recipe_of(mode: str, data: Path, arch: str = "qwen2_5_omni", lora: bool = False, **sections) -> Path:
    own, memory = MODES[mode]
    grpo = {**own["grpo"], **(IN_BACKWARD if memory.get("step_in_backward") else {})}
    memory = {**own.get("memory", {}), **memory}
    return write_recipe(data, arch, lora, model=own["model"], grpo=grpo, memory=memory, **sections)


def runs(recipe: Path, out: Path, sizes=(1, 2, 4)) -> list[Path]:
    """The folders of the same run on each number of ranks."""
    jobs = [{"recipe": str(recipe), "loop": "grpo", "size": size, "out": str(out / str(size))} for size in sizes]
    for job_result in on_ranks(out, *jobs):
        assert set(job_result["exits"]) == {"done"}, job_result["errors"]
    return [out / str(size) for size in sizes]


def checkpoint(run: Path, step: int = 5) -> Path:
    return run / "checkpoints" / f"step_{step:06d}"


@pytest.mark.filterwarnings("ignore")  # what importing torchao says of its own parts
@pytest.mark.parametrize("mode", MODES)
def test_the_same_gradients_give_the_same_bits_on_any_number_of_ranks(mode, data, tmp_path):
    recipe = recipe_of(mode, data)
    sizes = (1, 2, 3, 4)
    jobs = [{"call": "update_in_mode", "recipe": str(recipe), "out": str(tmp_path / str(n)), "size": n} for n in sizes]
    for job_result in on_ranks(tmp_path, *jobs):
        assert set(job_result["exits"]) == {"done"}, job_result["errors"]
    one, *several = (read_run(tmp_path / str(size)) for size in sizes)
    for run in several:
        if MODES[mode][1].get("optimizer") == "adamw_8bit" or ("weights" in MODES[mode][1] and "offloaded" not in mode):
            for part in ("step_000001", "step_000001/optimizer"):
                assert differences(run[part], one[part]) == []
            continue
        # torch's fused AdamW rounds the last few numbers of a tensor, or of a part of it, in another way.
        for name, weight in one["step_000001"].items():
            torch.testing.assert_close(run["step_000001"][name], weight, rtol=1e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", MODES)
def test_two_and_four_ranks_take_the_steps_of_one_in_every_mode(mode, data, tmp_path):
    one, *several = runs(recipe_of(mode, data), tmp_path)
    start = starting_weights("qwen2_5_omni", checkpoint(one))
    for run in several:
        assert completions_of_run(run)[0] == completions_of_run(one)[0]
        if mode in BFLOAT16:
            first, second = metric_rows(one)[0], metric_rows(run)[0]
            assert second["policy/grad_norm"] == pytest.approx(first["policy/grad_norm"], rel=0.05)
            assert second["loss/kl"] == pytest.approx(first["loss/kl"], rel=0.05)
            continue
        assert completions_of_run(run) == completions_of_run(one)
        assert differing_metrics(one, run, 1e-3) == []
        assert relative_difference(checkpoint(one), checkpoint(run), start) < 1e-3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ADAPTER_MODES)
def test_adapters_take_the_steps_of_one_rank_in_each_mode_that_they_have(mode, data, tmp_path):
    one, *several = runs(recipe_of(mode, data, "qwen2_audio", lora=True), tmp_path)
    for run in several:
        assert completions_of_run(run) == completions_of_run(one)
        assert differing_metrics(one, run, 1e-3) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", KILLED_MODES)
def test_a_run_that_loses_a_rank_goes_on_from_its_checkpoint_and_ends_with_the_same_bits(mode, data, tmp_path):
    recipe = str(recipe_of(mode, data, logging={"checkpoint_every": 2}))
    run = {"recipe": recipe, "loop": "grpo", "size": 2, "out": str(tmp_path / "run")}
    whole, lost, resumed = on_ranks(
        tmp_path, {**run, "out": str(tmp_path / "whole")}, {**run, "lose": [1, 3]}, {**run, "resume": True}
    )
    assert whole["exits"] == ["done", "done"], whole["errors"]
    assert lost["exits"] == ["error", "killed"]
    assert f"The last whole checkpoint is {checkpoint(tmp_path / 'run', 2)}" in lost["errors"][0]
    assert resumed["exits"] == ["done", "done"], resumed["errors"]
    assert completions_of_run(tmp_path / "whole") == completions_of_run(tmp_path / "run")
    expected, ended = read_run(tmp_path / "whole"), read_run(tmp_path / "run")
    for part in ("step_000005", "step_000005/optimizer"):
        assert differences(ended[part], expected[part]) == []
