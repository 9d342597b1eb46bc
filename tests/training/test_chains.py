"""Two stages in a row, in every mode of memory: the second trains exactly what the first has written."""

import pytest
import torch
from command_line import harken
from small_runs import LOOPS, quiet_console
from stages import TINY_RATE, exact_policy, parameters_of, published_base, stage

from harken.data.demo_set import write_demo_set

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FULL = {
    "float32": {},
    "frozen in bfloat16": {"frozen_dtype": "bfloat16"},
    "8-bit moments": {"optimizer": "adamw_8bit"},
    "offloaded": {"optimizer": "offloaded"},
    "in backward": {"step_in_backward": True},
    "8-bit moments in backward": {"optimizer": "adamw_8bit", "step_in_backward": True},
    "corrected": {"weights": "bf16_corrected"},
    "corrected, 8-bit moments": {"weights": "bf16_corrected", "optimizer": "adamw_8bit"},
    "corrected, offloaded": {"weights": "bf16_corrected", "optimizer": "offloaded"},
    "corrected, in backward": {"weights": "bf16_corrected", "step_in_backward": True},
    "streamed reference": {"reference": "streamed"},
    "int8 reference": {"reference": "int8"},
    "corrected, int8 reference": {"weights": "bf16_corrected", "reference": "int8"},
}
ADAPTERS = {
    "float32": {"frozen_dtype": "float32"},
    "frozen in bfloat16": {"frozen_dtype": "bfloat16"},
    "8-bit moments": {"optimizer": "adamw_8bit"},
    "offloaded": {"optimizer": "offloaded"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_demo_set(folder, seed=0, n_train=8, n_test=4)
    return folder / "train.json"


@pytest.fixture(scope="module", params=["full", "adapters"])
def first(request, data, tmp_path_factory):
    """(run folder, its weights, those of its base) of a first stage from a base in bfloat16, whose changes bfloat16
    cannot hold."""
    folder = tmp_path_factory.mktemp(request.param)
    base = published_base(folder)
    LOOPS["sft"](stage(base, data, lora=request.param == "adapters"), folder / "first", quiet_console())
    weights, before = parameters_of(folder / "first"), parameters_of(base)
    lost = [not torch.equal(w, w.bfloat16().float()) for name, w in weights.items() if not torch.equal(w, before[name])]
    assert all(lost), "bfloat16 would round something of every changed weight"
    assert lost
    return folder / "first", weights, before


def second_stage(run, data, out, mode, *, lora=False):
    """Run a GRPO step whose update is too small to change a float32 that is not 0. Returns the weights it writes."""
    recipe = stage(run, data, TINY_RATE, lora=lora, **mode)
    grpo = {"steps": 1, "learning_rate": TINY_RATE, "max_grad_norm": None}
    recipe = recipe.model_copy(update={"grpo": recipe.grpo.model_copy(update=grpo)})
    LOOPS["grpo"](recipe, out, quiet_console())
    return parameters_of(out)


@pytest.mark.parametrize("mode", FULL)
def test_what_a_stage_changed_trains_and_is_written_exactly_in_every_mode_of_the_next(mode, first, data, tmp_path):
    run, weights, _ = first
    exact = exact_policy(stage(run, data, **FULL[mode]))
    assert len(exact) > 50
    assert all(torch.equal(weight, weights[name]) for name, weight in exact.items())
    written = second_stage(run, data, tmp_path / "second", FULL[mode])
    assert all((written[name] - weight).abs().max() < 1e-25 for name, weight in weights.items() if name in exact)


@pytest.mark.parametrize("mode", ADAPTERS)
def test_what_a_stage_changed_is_below_the_adapters_of_the_next_exactly(mode, first, data, tmp_path):
    run, weights, _ = first
    written = second_stage(run, data, tmp_path / "second", ADAPTERS[mode], lora=True)
    assert all((written[name] - weight).abs().max() < 1e-25 for name, weight in weights.items())


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_8bit"])
def test_stochastic_bfloat16_starts_from_a_neighbour_of_every_weight_and_is_right_on_average(optimizer, first, data):
    run, weights, _ = first
    recipe = stage(run, data, weights="bf16_stochastic", optimizer=optimizer)
    errors = []
    for name, rounded in exact_policy(recipe).items():
        exact = weights[name]
        down = (exact.view(torch.int32) >> 16 << 16).view(torch.float32)  # towards 0
        up = ((exact.view(torch.int32) >> 16) + 1 << 16).view(torch.float32)
        value = rounded.float()
        assert ((value == down) | (value == up)).all()
        step = (up - down).abs()
        errors.append(((value - exact).double() / step.double()).flatten())
    errors = torch.cat(errors)
    assert errors.std() > 0.1
    assert abs(float(errors.mean())) < 5 * float(errors.std()) / len(errors) ** 0.5


@pytest.mark.parametrize(
    ("mode", "lora"),
    [
        *(("float32", False), ("corrected, offloaded", False), ("8-bit moments", False)),
        *(("float32", True), ("8-bit moments", True)),  # weights in bfloat16 are for full fine-tuning
    ],
)
def test_the_loss_that_an_export_of_the_second_stage_prints_is_that_measured_by_hand(mode, lora, first, data, tmp_path):
    run, _, before = first  # an export is compared with what the first stage started from
    LOOPS["sft"](stage(run, data, 1e-5, lora=lora, **FULL[mode]), tmp_path / "second", quiet_console())
    result = harken("export", tmp_path / "second", "--out", tmp_path / "out", "--dtype", "bfloat16")
    assert result.code == 0, result.err
    after, written = parameters_of(tmp_path / "second"), parameters_of(tmp_path / "out")
    moved = sum(int((after[k] != before[k]).sum()) for k in after)
    returned = sum(int(((after[k] != before[k]) & (written[k] == before[k])).sum()) for k in after)
    change = torch.cat([(after[k].double() - before[k].double()).flatten() for k in after])
    error = torch.cat([(written[k].double() - after[k].double()).flatten() for k in after])
    text = " ".join((result.out + result.err).split())
    assert f"rounding returned {returned / moved:.1%} of {moved} changed weights" in text
    assert f"relative error of the change {float(error.norm() / change.norm()):.1%}" in text
    assert "--dtype float32 keeps what was trained" in text
