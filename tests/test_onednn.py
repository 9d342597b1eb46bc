"""Linear layers through oneDNN are linear layers: values and gradients in float64, and where torch's own are taken."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harken.models import onednn
from harken.models.loading import load_model
from harken.models.lora import add_adapters
from harken.models.onednn import TOKENS_BEFORE, OneDnnLinear, Reordered, onednn_pays, reordering, use_onednn
from harken.rollout import Sampling, rollout
from tiny_models import ARCHITECTURES, plain_logp, prompt, tiny_folder


@pytest.fixture(autouse=True)
def _on_any_processor_and_of_any_size(monkeypatch):
    monkeypatch.setattr(onednn, "onednn_pays", lambda: True)
    monkeypatch.setattr(onednn, "SMALLEST", 1)


def linear(inputs: int, outputs: int, **options) -> nn.Linear:
    torch.manual_seed(0)
    layer = nn.Linear(inputs, outputs, **options)
    use_onednn(layer)
    assert isinstance(layer, OneDnnLinear)
    return layer


@pytest.mark.parametrize("shape", [(5,), (1, 5), (7, 5), (2, 7, 5), (3, 0, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_the_product_in_float64(shape, bias):
    layer, x = linear(5, 9, bias=bias), torch.randn(shape, requires_grad=True)
    exact = copy.deepcopy(layer).double()
    y = x.detach().double().requires_grad_()
    weights = torch.randn(*shape[:-1], 9)
    said, expected = layer(x), y @ exact.weight.T + (exact.bias if bias else 0)
    with torch.no_grad():
        assert torch.equal(layer(x), said)
    (said * weights).sum().backward()
    (expected * weights).sum().backward()
    pairs = [(said, expected), (x.grad, y.grad), *zip(_gradients(layer), _gradients(exact), strict=True)]
    for ours, wanted in pairs:
        torch.testing.assert_close(ours, wanted.float(), atol=1e-6, rtol=1e-5)


def _gradients(layer: nn.Linear) -> list:
    return [parameter.grad for parameter in layer.parameters()]


def test_inputs_and_gradients_that_lie_oddly_in_memory_are_read_as_what_they_are():
    layer = linear(4, 3)
    x = torch.randn(4, 6).t().requires_grad_()
    layer(x[:, None].expand(6, 2, 4)).sum().backward()  # the gradient of a sum is one number, expanded
    torch.testing.assert_close(layer.weight.grad, (2 * x.sum(0)).expand(3, 4))
    torch.testing.assert_close(x.grad, (2 * layer.weight.sum(0)).expand(6, 4))


def test_what_does_not_train_gets_no_gradient():
    layer, x = linear(4, 3), torch.randn(2, 4)
    layer.weight.requires_grad_(False)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert layer.bias.grad.tolist() == [2, 2, 2]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_are_computed_by_torch(dtype):
    layer, x = linear(4, 3).to(dtype), torch.randn(2, 4, dtype=dtype)
    assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))


def test_autocast_gives_bfloat16_as_it_does_for_any_linear_layer():
    layer, x = linear(4, 3), torch.randn(2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))
        assert layer(x).dtype == torch.bfloat16


def test_small_layers_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(onednn, "SMALLEST", 12)
    large, small = nn.Linear(4, 3), nn.Linear(4, 2)
    use_onednn(nn.ModuleList([large, small]))
    assert [type(large), type(small)] == [OneDnnLinear, nn.Linear]


def test_a_layer_called_token_after_token_says_the_same_from_reordered_weights():
    layer, rows = linear(70, 90), torch.randn(20, 8, 1, 70)
    with torch.no_grad():
        expected = [layer(row[: 8 - t // 4]) for t, row in enumerate(rows)]  # rows leave
        with reordering(layer):
            for t, row in enumerate(rows):
                torch.testing.assert_close(layer(row[: 8 - t // 4]), expected[t], atol=1e-6, rtol=1e-5)
                assert (layer.reordered.made is None) == (t < TOKENS_BEFORE)
        assert layer.reordered is None


def test_reordered_weights_are_gone_when_decoding_ends_however_it_ends():
    layer, x = linear(4, 3), torch.randn(2, 4)

    def broken_off() -> None:
        with reordering(layer):
            for _ in range(TOKENS_BEFORE + 1):
                layer(x)
            raise KeyboardInterrupt

    with torch.no_grad():
        with pytest.raises(KeyboardInterrupt):
            broken_off()
        layer.weight.mul_(2)  # as an update does
        torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_completions_are_sampled_alike_from_reordered_weights(arch, monkeypatch):
    model = load_model(str(tiny_folder(arch)), device="cpu")
    asked, uniforms = [prompt(model, "Which digit?", 1.0)], torch.rand(3, 8, dtype=torch.float64)
    prompts, found, used = model.embed(asked, model.encode_audio(asked)), [], []
    monkeypatch.setattr(onednn, "Reordered", lambda: used.append(Reordered()) or used[-1])
    for before in (100, 2):
        assert all(one.made is None for one in used)
        monkeypatch.setattr(onednn, "TOKENS_BEFORE", before)
        found.append(rollout(model, prompts, 3, Sampling(1.0, 8), uniforms))
    assert sum(one.made is not None for one in used) > 10
    assert torch.equal(found[0].tokens, found[1].tokens)
    torch.testing.assert_close(found[0].logp, found[1].logp, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("vendor", "capability", "pays"),
    [("AuthenticAMD", "AVX512", True), ("AuthenticAMD", "AVX2", False), ("GenuineIntel", "AVX512", False)],
)
def test_it_is_taken_on_amd_processors_with_avx_512(tmp_path, monkeypatch, vendor, capability, pays):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nvendor_id\t: {vendor}\n")
    monkeypatch.setattr("harken.cpu.CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert onednn_pays() is pays


def test_it_is_not_taken_where_the_processor_does_not_say_what_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("harken.cpu.CPU_INFO", tmp_path / "none")
    assert onednn_pays() is False


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_loaded_model_says_the_same_through_either(arch, monkeypatch):
    models = []
    for pays in (True, False):
        monkeypatch.setattr(onednn, "onednn_pays", lambda pays=pays: pays)
        models.append(load_model(str(tiny_folder(arch)), device="cpu"))
    kinds = [sum(isinstance(layer, OneDnnLinear) for layer in model.module.modules()) for model in models]
    assert kinds[0] > 10
    assert kinds[1] == 0
    asked, said = prompt(models[0], "Which digit?", 1.0), torch.tensor([5, 6, 7])
    ours, theirs = (plain_logp(model.module, asked, said) for model in models)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert models[0].module.state_dict().keys() == models[1].module.state_dict().keys()


def test_adapters_are_put_on_such_layers():
    model = load_model(str(tiny_folder("qwen2_5_omni")), device="cpu")
    add_adapters(model, "base", rank=2, alpha=4, audio_tower=False, projector=False, language_model=True)
    based = [layer for name, layer in model.module.named_modules() if name.endswith("q_proj.base_layer")]
    assert based
    assert all(isinstance(layer, OneDnnLinear) for layer in based)
