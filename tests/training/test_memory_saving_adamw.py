"""Weights and moments in few bytes: each mode is exact in what it keeps, and a refusal names its reason."""

import math
import sys

import pytest
import torch
from small_optimizers import largest_difference, optimizer_of, small_network, train_steps

from harken.config import MemoryConfig
from harken.errors import ConfigError
from harken.models.precision import join_float32, round_stochastically, split_float32
from harken.training.adamw_number_formats import block_size
from harken.training.adamw_update import noise
from harken.training.optimizer import apply_update, build_optimizer

torchao = pytest.mark.filterwarnings("ignore")  # what importing torchao says of its own parts


def test_a_float32_number_is_a_bfloat16_and_sixteen_bits():
    generator = torch.Generator().manual_seed(0)
    bits = torch.randint(-(2**31), 2**31 - 2**17, (100_000,), generator=generator).to(torch.int32)
    values = bits.view(torch.float32)
    values = torch.cat([values[values.isfinite()], torch.tensor([0.0, -0.0, 1.0, -1.0, 1e-40, -1e-45, 3.0e38])])
    high, low = split_float32(values)
    assert torch.equal(join_float32(high, low).view(torch.int32), values.view(torch.int32))
    error = (high.float() - values).abs()
    assert (error <= (values.to(torch.bfloat16).float() - values).abs() + 1e-45).all()  # the nearest


def test_stochastic_rounding_gives_one_of_the_two_neighbours_and_the_right_mean():
    values = torch.tensor([1.0 + 1 / 512, -1.0 - 3 / 512, 2.5, 1e-6])[:, None].expand(-1, 65_536).contiguous()
    noise = torch.arange(65_536, dtype=torch.int32).expand(4, -1).contiguous()  # each number once
    found = round_stochastically(values, noise).float()
    assert found[0].unique().tolist() == [1.0, 1.0 + 1 / 128]
    assert found[1].unique().tolist() == [-1.0 - 1 / 128, -1.0]
    assert found[2].unique().tolist() == [2.5]
    assert (found.double().mean(1) - values[:, 0].double()).abs().max() < 1e-9


@pytest.mark.parametrize("memory", [{"optimizer": "offloaded"}, {"step_in_backward": True}])
def test_offloaded_and_in_the_backward_pass_are_adamw_up_to_rounding(memory):
    plain, module = small_network(), small_network()
    expected = train_steps(plain, optimizer_of(plain))
    found = train_steps(module, optimizer_of(module, **memory))
    assert largest_difference(module, plain) < 1e-6
    assert found == pytest.approx(expected, rel=1e-5)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_corrected_bfloat16_weights_move_as_float32_ones_do():
    """float32 AdamW and the corrected form get the same gradients, which a bfloat16 pass would round."""
    plain, module = small_network(), small_network().to(torch.bfloat16)
    for a, b in zip(plain.parameters(), module.parameters(), strict=True):
        a.data.copy_(b.data)
    optimizers = optimizer_of(plain), optimizer_of(module, weights="bf16_corrected")
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        for a, b in zip(plain.parameters(), module.parameters(), strict=True):
            b.grad = torch.randn(a.shape, generator=generator).to(torch.bfloat16)
            a.grad = b.grad.float()
        for optimizer in optimizers:
            apply_update(optimizer, 1e-6, None)
    for a, b in zip(plain.parameters(), module.parameters(), strict=True):
        whole = join_float32(b.detach(), optimizers[1].state[b]["correction"])
        assert (whole - a).abs().max() < 2e-8  # the last bit of 0.12
        assert (whole - a).abs().max() < 1e-3 * (b.float() - a).abs().max()  # bfloat16 alone is far from it


def moved_share(weights: str) -> float:
    """Mean change of a weight after 200 steps of rate 1e-6 in one direction, as a share of 200 x 1e-6."""
    module = torch.nn.Linear(64, 64, bias=False, dtype=torch.bfloat16)
    torch.nn.init.uniform_(module.weight, 0.02, 0.03)
    before = module.weight.detach().float()
    optimizer = build_optimizer(
        module,
        learning_rate=1e-6,
        betas=(0.9, 0.99),
        weight_decay=0.0,
        memory=MemoryConfig.model_validate({"weights": weights}),
    )
    for _ in range(200):
        module.weight.grad = torch.full_like(module.weight, -0.5)
        apply_update(optimizer, 1e-6, None)
    return float((module.weight.detach().float() - before).mean()) / 2e-4


def test_stochastic_rounding_keeps_the_movement_that_rounding_to_nearest_drops():
    """bfloat16 numbers near 0.025 are 1.2e-4 apart: a step of 1e-6 is rounded away, 200 of them are 1.6 spacings."""
    assert moved_share("bf16_stochastic") == pytest.approx(1.0, abs=0.03)
    assert moved_share("bf16_corrected") == pytest.approx(1.0, abs=0.3)  # the nearest of few values


@torchao
def test_eight_bits_are_near_adamw_and_a_quarter_of_its_size():
    pytest.importorskip("torchao")
    plain, module = small_network(), small_network()
    optimizers = optimizer_of(plain), optimizer_of(module, optimizer="adamw_8bit")
    train_steps(plain, optimizers[0], 20)
    train_steps(module, optimizers[1], 20)
    start = small_network()
    assert 0 < largest_difference(module, plain) < 0.2 * largest_difference(plain, start)
    state = optimizers[1].state[module[0].weight]
    assert state["exp_avg"].dtype == state["exp_avg_sq"].dtype == torch.uint8
    assert state["exp_avg_scale"].shape == (64, 1)
    assert optimizers[1].state[module[2].weight]["exp_avg"].dtype == torch.float32


MODES = {
    "8 bits": {"optimizer": "adamw_8bit"},
    "offloaded": {"optimizer": "offloaded"},
    "corrected": {"weights": "bf16_corrected"},
    "stochastic": {"weights": "bf16_stochastic"},
    "all small": {"weights": "bf16_stochastic", "optimizer": "adamw_8bit", "step_in_backward": True},
    "corrected, offloaded, in backward": {
        **{"weights": "bf16_corrected", "optimizer": "offloaded", "step_in_backward": True},
    },
}


@torchao
@pytest.mark.parametrize("mode", MODES)
def test_a_state_saved_and_loaded_goes_on_bit_for_bit(mode, tmp_path):
    memory = MODES[mode]
    dtype = torch.bfloat16 if "weights" in memory else torch.float32
    whole, half, other = small_network(dtype), small_network(dtype), small_network(dtype)
    train_steps(whole, optimizer_of(whole, **memory), 6)
    first = optimizer_of(half, **memory)
    train_steps(half, first, 3)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(half.state_dict())
    second = optimizer_of(other, **memory)
    for parameter, saved in zip(other.parameters(), half.parameters(), strict=True):
        second.set_exact_weight(parameter, first.exact_weight(saved))  # as a checkpoint does
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    train_steps(other, second, 3, first=3)
    assert largest_difference(other, whole) == 0
    if "stochastic" in str(memory):
        again = small_network(dtype)
        train_steps(again, optimizer_of(again, seed=1, **memory), 6)
        assert largest_difference(again, whole) > 0
    unlike = optimizer_of(small_network(torch.bfloat16), weights="bf16_corrected", optimizer="adamw_8bit")
    with pytest.raises(ValueError, match="another mode of memory"):
        unlike.load_state_dict(second.state_dict())


@torchao
def test_an_update_in_pieces_is_the_update(monkeypatch):
    for memory in (MODES["8 bits"], MODES["corrected"], MODES["offloaded"]):
        dtype = torch.bfloat16 if "weights" in memory else torch.float32
        whole, pieces = small_network(dtype), small_network(dtype)
        train_steps(whole, optimizer_of(whole, **memory))
        monkeypatch.setattr("harken.training.memory_saving_adamw.PIECE", 512)
        monkeypatch.setattr("harken.training.host_adamw.PIECE", 512)
        monkeypatch.setattr("harken.training.host_adamw.CACHED", 128)
        train_steps(pieces, optimizer_of(pieces, **memory))
        monkeypatch.undo()
        assert largest_difference(pieces, whole) == 0


def test_offloaded_in_float32_is_torchs_fused_adamw_bit_for_bit():
    plain, module = small_network(), small_network()
    train_steps(plain, optimizer_of(plain), most=0.5)
    train_steps(module, optimizer_of(module, optimizer="offloaded"), most=0.5)
    assert largest_difference(module, plain) == 0


def test_offloaded_bfloat16_weights_are_rounded_as_loading_rounds_them_also_halfway_between_two():
    halfway = 1 + (2 * torch.arange(128.0) + 1)[None] / 256  # each between 1 + k / 128 and the next
    module = torch.nn.Linear(128, 1, bias=False, dtype=torch.bfloat16)
    loaded, correction = split_float32(halfway)
    assert (loaded != halfway.to(torch.bfloat16)).sum() == 64  # torch rounds every second one down, to even
    module.weight.data = loaded.clone()
    memory = MemoryConfig(weights="bf16_corrected", optimizer="offloaded")
    settings = {"learning_rate": 0.0, "betas": (0.9, 0.99), "weight_decay": 0.0, "memory": memory}
    optimizer = build_optimizer(module, **settings, corrections={"weight": correction})
    assert torch.equal(module.weight, loaded)
    module.weight.grad = torch.ones_like(loaded)
    optimizer.step()
    assert torch.equal(module.weight, loaded)


def test_blocks_of_8_bits_divide_a_row_so_that_a_part_of_the_rows_has_its_own():
    rows = {3584: 256, 18_944: 256, 11_008: 256, 1280 * 3: 256, 128 * 3: 192, 128: 128, 96: 96, 1: 0, 63: 0, 127: 127}
    assert {row: block_size(row) for row in rows} == rows


def test_the_noise_of_a_weight_follows_from_its_number_and_is_uniform():
    key = torch.tensor(12345)
    whole = noise(key, torch.tensor(0), 2**20)
    assert torch.equal(noise(key, torch.tensor(1000), 500), whole[1000:1500])
    assert (whole.min(), whole.max()) == (0, 65_535)
    assert float(whole.double().mean()) == pytest.approx(32_767.5, abs=4 * 65_536 / 12**0.5 / 2**10)
    counts = torch.bincount(whole >> 8, minlength=256).double()
    assert float(((counts - 4096) ** 2 / 4096).sum()) < 360  # chi-square, 255 degrees of freedom: 0.99999 quantile 363
    other = noise(torch.tensor(54_321), torch.tensor(0), 2**20)
    pairs = torch.stack([whole, other, whole.roll(1)]).double()
    assert (torch.corrcoef(pairs) - torch.eye(3)).abs().max() < 0.005


def test_a_gradient_that_is_not_finite_ends_the_run_and_says_what_moved():
    for memory, says in (
        ({"optimizer": "offloaded"}, "no update was made"),
        ({"step_in_backward": True}, "go on from"),
    ):
        module = small_network()
        optimizer = optimizer_of(module, **memory)
        (module(torch.ones(1, 64)) * math.inf).sum().backward()
        with pytest.raises(FloatingPointError, match=says):
            apply_update(optimizer, 1e-3, None)


def test_a_missing_torchao_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "torchao"] + ["torchao"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"adamw_8bit needs torchao.*pip install 'harken\[gpu\]'"):
        optimizer_of(small_network(), optimizer="adamw_8bit")


def test_bfloat16_weights_without_a_mode_that_keeps_updates_are_refused():
    with pytest.raises(ValueError, match="rounds small updates away"):
        optimizer_of(small_network(torch.bfloat16), optimizer="offloaded")
    with pytest.raises(ValueError, match="takes bfloat16 weights"):
        optimizer_of(small_network(), weights="bf16_corrected")


def test_autocast_uses_the_weights_after_an_update():
    module = small_network()
    optimizer = optimizer_of(module)
    with torch.autocast("cpu", torch.bfloat16):
        before = module(torch.ones(1, 64))
        before.sum().backward()
        apply_update(optimizer, 0.1, None)
        after = module(torch.ones(1, 64))
    with torch.autocast("cpu", torch.bfloat16):
        expected = module(torch.ones(1, 64))
    assert not torch.equal(before, after)
    assert torch.equal(after, expected)
