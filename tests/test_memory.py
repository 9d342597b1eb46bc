"""Memory modes: what each keeps is kept exactly, what it drops is refused where a recipe needs it."""

import copy
import io
import math
import re
import shutil
import sys

import pytest
import torch
import yaml
from rich.console import Console

from harken.adamw import BLOCK, join, rounded, split
from harken.checkpoint import restore, save_checkpoint
from harken.config import MemoryConfig, ModelConfig, Recipe, load_recipe
from harken.data.synth import write_demo_set
from harken.errors import CheckpointError, ConfigError, HarkenError
from harken.experience import sample
from harken.halving import halving
from harken.inputs import PromptInputs
from harken.models.loading import frozen_copy, load_policy
from harken.optim import apply_update, build_optimizer, set_rate
from harken.prompt import Prompt
from harken.reference import make_reference, quantized
from harken.rollout import Sampling, rollout
from harken.run_folder import RunFolder
from harken.sampling import uniforms
from harken.shared_prefix import LOGIT_ROWS, score_packed
from harken.train import train
from harken.types import Question
from harken.update import score_with_reference, update
from small_runs import differences, left_by, recipe, rows_of, silent
from tiny_models import ARCHITECTURES, EVERYTHING, completions, gradients, prompt, speaking, tiny_folder, tiny_model

torchao = pytest.mark.filterwarnings("ignore")  # what importing torchao says of its own parts


def net(dtype=torch.float32) -> torch.nn.Module:
    torch.manual_seed(3)
    # 64 x 64 is just large enough for 8 bits, 10 x 64 is not.
    return torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 10)).to(dtype)


def trained(module, optimizer, steps=6, rate=1e-3, most=None, first=0):
    """Steps on seeded batches; returns the norms."""
    norms = []
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        dtype = next(module.parameters()).dtype
        inputs, targets = (torch.randn(8, n, generator=generator).to(dtype) for n in (64, 10))
        set_rate(optimizer, rate)
        (module(inputs) - targets).square().mean().backward()
        norms.append(apply_update(optimizer, rate, most))
    return norms


def optimizer_of(module, seed=0, **memory):
    return build_optimizer(
        module,
        learning_rate=1e-3,
        betas=(0.9, 0.99),
        weight_decay=0.1,
        memory=MemoryConfig.model_validate(memory),
        seed=seed,
    )


def far(found, expected) -> float:
    return max(
        float((a - b).detach().abs().max()) for a, b in zip(found.parameters(), expected.parameters(), strict=True)
    )


def test_a_float32_number_is_a_bfloat16_and_sixteen_bits():
    generator = torch.Generator().manual_seed(0)
    bits = torch.randint(-(2**31), 2**31 - 2**17, (100_000,), generator=generator).to(torch.int32)
    values = bits.view(torch.float32)
    values = torch.cat([values[values.isfinite()], torch.tensor([0.0, -0.0, 1.0, -1.0, 1e-40, -1e-45, 3.0e38])])
    high, low = split(values)
    assert torch.equal(join(high, low).view(torch.int32), values.view(torch.int32))
    error = (high.float() - values).abs()
    assert (error <= (values.to(torch.bfloat16).float() - values).abs() + 1e-45).all()  # the nearest


def test_stochastic_rounding_gives_one_of_the_two_neighbours_and_the_right_mean():
    values = torch.tensor([1.0 + 1 / 512, -1.0 - 3 / 512, 2.5, 1e-6])[:, None].expand(-1, 65_536).contiguous()
    noise = torch.arange(65_536, dtype=torch.int32).expand(4, -1).contiguous()  # each number once
    found = rounded(values, noise).float()
    assert found[0].unique().tolist() == [1.0, 1.0 + 1 / 128]
    assert found[1].unique().tolist() == [-1.0 - 1 / 128, -1.0]
    assert found[2].unique().tolist() == [2.5]
    assert (found.double().mean(1) - values[:, 0].double()).abs().max() < 1e-9


@pytest.mark.parametrize("memory", [{"optimizer": "offloaded"}, {"step_in_backward": True}])
def test_offloaded_and_in_the_backward_pass_are_adamw_up_to_rounding(memory):
    plain, module = net(), net()
    expected = trained(plain, optimizer_of(plain))
    found = trained(module, optimizer_of(module, **memory))
    assert far(module, plain) < 1e-6
    assert found == pytest.approx(expected, rel=1e-5)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_corrected_bfloat16_weights_move_as_float32_ones_do():
    """The same gradients, which a bfloat16 pass would round: float32 AdamW and the corrected form side by side."""
    plain, module = net(), net().to(torch.bfloat16)
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
        whole = join(b.detach(), optimizers[1].state[b]["correction"])
        assert (whole - a).abs().max() < 2e-8  # the last bit of 0.12
        assert (whole - a).abs().max() < 1e-3 * (b.float() - a).abs().max()  # bfloat16 alone is far from it


def moved_share(weights: str) -> float:
    """Mean of all moves after 200 steps of rate 1e-6 along one direction, as a share of 200 x 1e-6."""
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
    """Spacing of bfloat16 at 0.025 is 1.2e-4: a step of 1e-6 rounds to nothing, 200 of them are 1.6 spacings."""
    assert moved_share("bf16_stochastic") == pytest.approx(1.0, abs=0.03)
    assert moved_share("bf16_corrected") == pytest.approx(1.0, abs=0.3)  # the nearest of few values


@torchao
def test_eight_bits_are_near_adamw_and_a_quarter_of_its_size():
    pytest.importorskip("torchao")
    plain, module = net(), net()
    optimizers = optimizer_of(plain), optimizer_of(module, optimizer="adamw_8bit")
    trained(plain, optimizers[0], 20)
    trained(module, optimizers[1], 20)
    start = net()
    assert 0 < far(module, plain) < 0.2 * far(plain, start)
    state = optimizers[1].state[module[0].weight]
    assert state["exp_avg"].dtype == state["exp_avg_sq"].dtype == torch.uint8
    assert state["exp_avg_scale"].numel() == 64 * 64 // BLOCK
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
    whole, half, other = net(dtype), net(dtype), net(dtype)
    trained(whole, optimizer_of(whole, **memory), 6)
    first = optimizer_of(half, **memory)
    trained(half, first, 3)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(half.state_dict())
    second = optimizer_of(other, **memory)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    trained(other, second, 3, first=3)
    assert far(other, whole) == 0
    if "stochastic" in str(memory):
        again = net(dtype)
        trained(again, optimizer_of(again, seed=1, **memory), 6)
        assert far(again, whole) > 0
    unlike = optimizer_of(net(torch.bfloat16), weights="bf16_corrected", optimizer="adamw_8bit")
    with pytest.raises(ValueError, match="another mode of memory"):
        unlike.load_state_dict(second.state_dict())


@torchao
def test_an_update_in_pieces_is_the_update(monkeypatch):
    for memory in (MODES["8 bits"], MODES["corrected"], MODES["offloaded"]):
        dtype = torch.bfloat16 if "weights" in memory else torch.float32
        whole, pieces = net(dtype), net(dtype)
        trained(whole, optimizer_of(whole, **memory))
        monkeypatch.setattr("harken.adamw.PIECE", 2 * BLOCK)
        trained(pieces, optimizer_of(pieces, **memory))
        monkeypatch.undo()
        assert far(pieces, whole) == 0


def test_a_gradient_that_is_not_finite_ends_the_run_and_says_what_moved():
    for memory, says in (
        ({"optimizer": "offloaded"}, "no update was made"),
        ({"step_in_backward": True}, "go on from"),
    ):
        module = net()
        optimizer = optimizer_of(module, **memory)
        (module(torch.ones(1, 64)) * math.inf).sum().backward()
        with pytest.raises(FloatingPointError, match=says):
            apply_update(optimizer, 1e-3, None)


def test_a_missing_torchao_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "torchao"] + ["torchao"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"adamw_8bit needs torchao.*pip install 'harken\[gpu\]'"):
        optimizer_of(net(), optimizer="adamw_8bit")


def test_bfloat16_weights_without_a_mode_that_keeps_updates_are_refused():
    with pytest.raises(ValueError, match="rounds small updates away"):
        optimizer_of(net(torch.bfloat16), optimizer="offloaded")
    with pytest.raises(ValueError, match="takes bfloat16 weights"):
        optimizer_of(net(), weights="bf16_corrected")


def test_autocast_serves_no_weights_of_before_an_update():
    module = net()
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


BF16 = {"model": {"path": "m", "precision": "bf16_mixed"}}
REFUSED = {
    "a norm of all gradients": ({"memory": {"step_in_backward": True}}, "set grpo.max_grad_norm: null"),
    "several micro-batches": (
        {"memory": {"step_in_backward": True}, "grpo": {"max_grad_norm": None}},
        "grpo.prompts_per_micro_batch is 1 of 8: set grpo.prompts_per_micro_batch: 8",
    ),
    "bfloat16 in float32": ({"memory": {"weights": "bf16_corrected"}}, "needs model.precision: bf16_mixed"),
    "adapters in bfloat16": (
        {"memory": {"weights": "bf16_stochastic"}, "model": {**BF16["model"], "lora": {}}},
        "is for full fine-tuning",
    ),
    "adapters streamed": (
        {"memory": {"reference": "streamed"}, "model": {"path": "m", "lora": {}}},
        "with lora the reference shares",
    ),
    "an unknown mode": ({"memory": {"optimizer": "sgd"}}, "'adamw', 'adamw_8bit' or 'offloaded' (found 'sgd')"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_recipe_that_needs_what_its_mode_drops_is_refused(kind, tmp_path):
    sections, says = REFUSED[kind]
    values = {"name": "x", "model": {"path": "m"}, "data": {"train": [{"file": "q"}]}, **sections}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError) as caught:
        load_recipe(tmp_path / "r.yaml")
    assert says in str(caught.value)


def test_a_recipe_for_one_loop_need_not_fit_the_other(tmp_path):
    values = recipe(tmp_path, tmp_path).model_dump(mode="json") | {"memory": {"step_in_backward": True}}
    values["sft"]["max_grad_norm"] = None
    plan = Recipe.model_validate(values)
    with pytest.raises(ConfigError, match=r"set grpo\.max_grad_norm: null"):
        train(plan, tmp_path / "run", silent())
    assert not (tmp_path / "run").exists()


def two(model):
    return [prompt(model, "Which digit is spoken in the audio?", 0.5), prompt(model, "What is 2 + 2?", None)]


def scored(model, said):
    inputs = two(model)
    with torch.no_grad():
        return score_packed(model, model.embed(inputs, model.encode_audio(inputs)), said).logp


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("tower", [True, False], ids=["everything", "language model"])
def test_a_streamed_reference_is_the_copy_bit_for_bit(arch, tower):
    policy = tiny_model(arch, torch.float32)
    policy.set_trainable(audio_tower=tower, projector=tower, language_model=True)
    kept, streamed = frozen_copy(policy), make_reference(policy, "streamed")
    said = completions(policy, [3, 1, 4, 2])
    expected = scored(kept, said)
    with torch.no_grad():
        for parameter in policy.module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    for _ in range(2):
        assert torch.equal(scored(streamed, said), expected)
    assert (scored(policy, said) - expected).abs().max() > 0.01
    names = [name for name, parameter in streamed.module.named_parameters() if parameter.untyped_storage().nbytes() < 9]
    assert names
    assert all(".layers." in name for name in names)
    assert any("audio_tower" in name for name in names) == tower
    shapes = {name: parameter.shape for name, parameter in policy.module.named_parameters()}
    assert {name: parameter.shape for name, parameter in streamed.module.named_parameters()} == shapes


def test_a_streamed_reference_survives_a_pass_that_was_broken_off():
    policy = tiny_model("qwen2_5_omni", torch.float32)
    policy.set_trainable(**EVERYTHING)
    streamed, said = make_reference(policy, "streamed"), completions(policy, [3, 1, 4, 2])
    expected = scored(streamed, said)
    block = streamed.parts["language_model"].layers[1].mlp
    broken = block.register_forward_pre_hook(out_of_memory(1))
    with pytest.raises(torch.OutOfMemoryError):
        scored(streamed, said)
    broken.remove()
    assert torch.equal(scored(streamed, said), expected)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_8_bit_reference_has_a_scale_a_row_and_is_near_the_copy(arch):
    policy = tiny_model(arch, torch.float32)
    policy.set_trainable(**EVERYTHING)
    eight, said = make_reference(policy, "int8"), completions(policy, [3, 1, 4, 2])
    error = (scored(eight, said) - scored(policy, said)).abs().max()
    assert 0 < error < 0.2
    codes = dict(eight.module.named_buffers())["lm_head.weight"]
    assert codes.dtype == torch.int8
    assert eight.device == policy.device
    for name, linear in policy.module.named_modules():
        if type(linear) is torch.nn.Linear:
            codes, scale = (dict(eight.module.named_buffers())[f"{name}.{kind}"] for kind in ("weight", "scale"))
            assert (codes * scale - linear.weight).abs().max() <= scale.max() / 2 * 1.001
            assert codes.abs().amax(1).eq(127).all()


def test_a_row_of_zeros_stays_zeros_in_8_bits():
    codes, scale = quantized(torch.tensor([[0.0, 0.0], [1.0, -0.5]]))
    assert codes.tolist() == [[0, 0], [127, -64]] or codes.tolist() == [[0, 0], [127, -63]]
    assert torch.isfinite(codes * scale).all()


def test_logits_of_long_completions_in_pieces_are_the_logits(monkeypatch):
    found = {}
    said = None
    for rows in (LOGIT_ROWS, 3):
        model = tiny_model("qwen2_5_omni")
        model.set_trainable(**EVERYTHING)
        said = said or completions(model, [3, 1, 4, 2])
        made = []
        model.module.lm_head.register_forward_hook(lambda head, given, out, made=made: made.append(len(out)))
        monkeypatch.setattr("harken.shared_prefix.LOGIT_ROWS", rows)
        inputs = two(model)
        scores = score_packed(model, model.embed(inputs, model.encode_audio(inputs)), said)
        scores.logp.square().sum().backward()
        found[rows] = (scores.logp.detach(), scores.entropy, gradients(model), made)
    one, pieces = found[LOGIT_ROWS], found[3]
    assert one[3] == [10]
    assert pieces[3] == [3, 3, 3, 1, *pieces[3][4:]]
    assert sorted(pieces[3][4:]) == [1, 3, 3, 3]  # once more in the backward pass
    assert (pieces[0] - one[0]).abs().max() < 1e-12
    assert (pieces[1] - one[1]).abs().max() < 1e-12
    for name, gradient in one[2].items():
        assert (pieces[2][name] - gradient).abs().max() <= 1e-9 * (1 + gradient.abs().max()), name


@pytest.mark.parametrize("most", [1, 2, 3, 4, 7, 100])
def test_decoding_in_portions_changes_no_sample(most):
    model = speaking(tiny_model(), "one", "two", "three", sharpness=0.7)
    inputs = [*two(model), prompt(model, "Which?", 0.9)]
    with torch.no_grad():
        prompts = model.embed(inputs, model.encode_audio(inputs))
    draws = torch.stack([torch.from_numpy(uniforms(0, 1, f"q{p}", g, 6)) for p in range(3) for g in range(3)])
    rows = []
    model.module.lm_head.register_forward_hook(lambda head, given, out: rows.append(len(out)))
    whole = rollout(model, prompts, 3, Sampling(1.2, 6), draws)
    assert max(rows) == 9
    rows.clear()
    found = rollout(model, prompts, 3, Sampling(1.2, 6), draws, most)
    assert max(rows) <= most
    for name in ("tokens", "mask", "ended"):
        assert torch.equal(getattr(found, name), getattr(whole, name)), name
    assert (found.logp - whole.logp).abs().max() < 1e-9


def out_of_memory(most: int):
    """A hook that refuses more than so many rows, as a full card would; `.refused` counts."""

    def refuse(module, given, *_):
        if len(given[0]) > most - 1:
            refuse.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB. GPU 0 is full")

    refuse.refused = 0
    return refuse


QUESTIONS = [Question(name, f"What is {name} + 2?", ("one", "two"), 0, None) for name in "abcd"]


def stepped(start, settings, fits, in_backward=False):
    """Weights and figures of one step where more than `fits` questions at once do not fit into the policy's pass."""
    policy, reference, notes = copy.deepcopy(start), frozen_copy(start), []
    prompts = Prompt.from_config(recipe("m", "d").prompt)
    inputs = PromptInputs(policy, prompts, 1)
    batches = list(sample(policy, QUESTIONS, inputs(QUESTIONS), prompts, settings, seed=0, step=1))
    for batch in batches:
        batch.rewards, batch.reward = {}, torch.zeros(len(batch.questions), 2)
        batch.advantages = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(len(batch.questions))
    optimizer = torch.optim.SGD([p for p in policy.module.parameters() if p.requires_grad], lr=0.1)
    # In the last block, after other batches and blocks have left their gradients.
    hook = out_of_memory(fits + 1)
    backward = lambda module, given, out: hook(module, out)  # noqa: E731
    policy.parts["language_model"].layers[0].register_full_backward_hook(backward)
    reference.parts["language_model"].layers[2].mlp.register_forward_pre_hook(out_of_memory(fits + 1))
    score_with_reference(policy, reference, batches, settings, notes.append)
    figures = update(policy, batches, settings, optimizer, 0.1, notes.append)
    return policy, figures, notes, [len(batch.questions) for batch in batches]


@pytest.mark.parametrize("arch", ARCHITECTURES[:1])
def test_a_micro_batch_that_does_not_fit_is_halved_and_changes_nothing(arch):
    start = speaking(tiny_model(arch), "one", "two", sharpness=0.4)
    start.set_trainable(**EVERYTHING)
    settings = recipe("m", "d").grpo.model_copy(
        update={"prompts_per_micro_batch": 4, "max_completion_tokens": 4, "num_iterations": 2, "max_grad_norm": 1.0}
    )
    whole, expected, silence, sizes = stepped(start, settings, 4)
    assert (silence, sizes) == ([], [4])
    for fits, left in ((2, [2, 2]), (1, [1, 1, 1, 1]), (3, [2, 2])):
        policy, figures, notes, sizes = stepped(start, settings, fits)
        assert sizes == left
        assert notes[0].startswith("a micro-batch of 4 questions does not fit into memory; going on with 2 (CUDA out")
        assert far(policy.module, whole.module) < 1e-12
        for name in ("loss", "kl", "entropy", "grad_norm", "logp_gap_max"):
            assert getattr(figures, name) == pytest.approx(getattr(expected, name), abs=1e-10), name
    with pytest.raises(HarkenError, match=r"one question with its 2 completions .*`harken plan`"):
        stepped(start, settings, 0)


def test_only_the_largest_micro_batches_count_as_too_large():
    class Groups:
        def __init__(self, n):
            self.questions, self.responses = [None] * n, [None] * n

        def groups(self, first, last):
            return Groups(min(last, len(self.questions)) - first)

    batches, undone = [Groups(5), Groups(2)], []

    def run():
        if len(batches[0].questions) > 1:
            raise torch.OutOfMemoryError("full")
        return "done"

    notes = []
    assert halving(batches, run, lambda: undone.append(1), notes.append) == "done"
    assert [len(batch.questions) for batch in batches] == [1] * 7
    assert [note.split()[3] + note.split("with ")[1][0] for note in notes] == ["53", "32", "21"]
    assert len(undone) == 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_demo_set(folder, seed=0, n_train=8, n_test=4)
    return folder / "train.json"


RUNS = {
    "corrected, offloaded, streamed": {
        **{"weights": "bf16_corrected", "optimizer": "offloaded", "reference": "streamed", "rollout_rows": 3},
    },
    "stochastic, 8 bits, in backward": {
        **{"weights": "bf16_stochastic", "optimizer": "adamw_8bit", "step_in_backward": True, "reference": "int8"},
    },
}


@torchao
@pytest.mark.parametrize("kind", RUNS)
def test_a_checkpoint_in_a_mode_of_memory_restores_every_bit(kind, tmp_path):
    memory = {key: value for key, value in RUNS[kind].items() if key not in ("reference", "rollout_rows")}
    run = RunFolder.create(tmp_path / "run", recipe(tiny_folder("qwen2_5_omni"), tmp_path))

    def fresh():
        model = load_policy(ModelConfig(path=str(tiny_folder("qwen2_5_omni")), device="cpu"), torch.bfloat16)
        return model, optimizer_of(model.module, **memory)

    def step(model, optimizer, seed):
        generator = torch.Generator().manual_seed(seed)
        trains = [p for p in model.module.parameters() if p.requires_grad]
        set_rate(optimizer, 1e-4)
        sum((p * torch.randn(p.shape, generator=generator)).sum() for p in trains).backward()
        apply_update(optimizer, 1e-4, None)

    whole, optimizer = fresh()
    step(whole, optimizer, 1)
    save_checkpoint(run, 1, whole, optimizer, keep=1)
    step(whole, optimizer, 2)
    other, again = fresh()
    assert far(other.module, whole.module) > 0
    assert restore(run.checkpoint(1), other, again) == 1
    step(other, again, 2)
    assert far(other.module, whole.module) == 0
    assert differences(again.state_dict()["state"], optimizer.state_dict()["state"]) == []
    plain = build_optimizer(net(), learning_rate=1e-3, betas=(0.9, 0.99), weight_decay=0.0)
    with pytest.raises(CheckpointError, match="of other parameters"):
        restore(run.checkpoint(1), other, plain)


@pytest.mark.slow
@torchao
@pytest.mark.parametrize("kind", RUNS)
def test_a_run_in_a_mode_of_memory_goes_on_bit_for_bit(kind, data, tmp_path):
    values = recipe(tiny_folder("qwen2_5_omni"), data, evaluate_every=None).model_dump(mode="json")
    values["memory"] = RUNS[kind]
    values["model"]["precision"] = "bf16_mixed"
    values["grpo"] |= {"max_grad_norm": None, "learning_rate": 1e-3}
    values["reward"]["parts"] = [{"name": "small_runs:told_apart"}]  # accuracy would be 0 for all: nothing to learn
    plan = Recipe.model_validate(values)
    said = io.StringIO()
    train(plan, tmp_path / "whole", Console(file=said, width=200))
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step_000006")
    train(plan, tmp_path / "run", silent(), resume=True)
    assert differences(left_by(tmp_path / "run"), left_by(tmp_path / "whole")) == []
    before, weights = (left_by(tmp_path / "whole")[f"step_{step:06d}"] for step in (4, 6))
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert differences(weights, before)
    rows = rows_of(tmp_path / "whole")
    assert all(row["policy/grad_norm"] > 0 for row in rows)
    found = re.search(r"reference in 8 bits: KL of ([-0-9.e]+) nats a token .* on (\d+) tokens", said.getvalue())
    if "int8" in RUNS[kind].values():
        assert found, said.getvalue()
        # The first step's KL is the bias too, of other samples: the policy has not moved.
        assert 0 < float(found[1]) < 30 * rows[0]["loss/kl"]
        assert rows[0]["loss/kl"] < 30 * float(found[1])
    else:
        assert found is None
        assert rows[0]["loss/kl"] < 1e-6 * rows[-1]["loss/kl"] or rows[0]["loss/kl"] < 1e-9
