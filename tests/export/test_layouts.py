"""A Qwen2.5-Omni is exported whole or as a thinker, and adapters with the names that a program knows."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from exported_files import OMNI, logits_of, moved, plain_logits_of, weights_of
from safetensors.torch import load_file
from tiny_models import adapted, make_prompt, tiny_folder, write_full_omni

from harken.cli.app import app
from harken.errors import CheckpointError
from harken.export.adapters import export_adapter
from harken.export.weights import export
from harken.models.loading import load_model
from harken.models.omni_processor import IMAGE_SETTINGS, NAMED_TOKENS, complete_omni_processor

WHOLE = transformers.Qwen2_5OmniForConditionalGeneration
THINKER = transformers.Qwen2_5OmniThinkerForConditionalGeneration
QWEN3 = "qwen3_omni_moe"
CODE2WAV = {
    **{"codebook_size": 16, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "decoder_dim": 32},
    **{"num_attention_heads": 2, "num_key_value_heads": 2, "num_quantizers": 2, "upsample_rates": [2]},
    **{"upsampling_ratios": [2]},
}
TALKER = {
    "text_config": {
        **{"vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 16},
        **{"num_attention_heads": 2, "num_key_value_heads": 1, "num_experts": 2, "num_experts_per_tok": 1},
        **{"moe_intermediate_size": 16, "shared_expert_intermediate_size": 16},
        "rope_parameters": {"mrope_section": [3, 3, 2], "rope_type": "default", "rope_theta": 10000.0},
    },
    "code_predictor_config": {
        **{"vocab_size": 32, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 16},
        **{"num_attention_heads": 2, "num_key_value_heads": 1, "num_code_groups": 2},
    },
    **{"num_code_groups": 2, "thinker_hidden_size": 128, "accept_hidden_layer": 1, "spatial_merge_size": 2},
}


@pytest.fixture(scope="module")
def full_qwen3(tmp_path_factory) -> Path:
    """A whole Qwen3-Omni with its talker, as the published ones: a tensor for each expert."""
    folder, thinker = tmp_path_factory.mktemp("qwen3"), tiny_folder(QWEN3)
    config = transformers.Qwen3OmniMoeConfig(
        thinker_config=config_of(thinker), talker_config=TALKER, code2wav_config=CODE2WAV
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = transformers.Qwen3OmniMoeForConditionalGeneration(config)
        for parameter in model.parameters():  # transformers leaves the talker's experts as they lie in memory
            torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(folder, max_shard_size="1MB")
    for file in thinker.iterdir():
        if file.name not in ("config.json", "generation_config.json") and file.suffix != ".safetensors":
            shutil.copyfile(file, folder / file.name)
    return folder


@pytest.mark.parametrize(
    ("base", "layout"), [("full", "full"), ("full", "thinker"), ("full", "vllm"), ("thinker", "full")]
)
def test_a_qwen3_omni_goes_back_into_its_full_checkpoint_and_out_of_it(full_qwen3, tmp_path, base, layout):
    source = full_qwen3 if base == "full" else tiny_folder(QWEN3)
    trained = moved(source, tmp_path / "trained")
    export(trained, tmp_path / "out", base=str(source), layout=layout)
    written, before = weights_of(tmp_path / "out"), weights_of(source)
    if (base, layout) == ("full", "full"):
        assert written.keys() == before.keys()
        changed = {name for name in before if not torch.equal(written[name], before[name])}
        assert {name for name in changed if name.startswith(("talker.", "code2wav.", "thinker.visual."))} == set()
        assert {name for name in before if name.startswith(("thinker.model.", "thinker.audio_tower."))} <= changed
    names = ("", "Thinker")[layout == "thinker"]
    loaded_class = getattr(transformers, f"Qwen3OmniMoe{names}ForConditionalGeneration")
    plain = loaded_class.from_pretrained(tmp_path / "out", dtype=torch.float32).eval()
    assert_gives_the_logits_of(plain, trained, tmp_path / "out")


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("full")
    write_full_omni(folder, max_shard_size="1MB")
    return folder


def config_of(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


def assert_gives_the_logits_of(plain: torch.nn.Module, *folders: Path) -> None:
    """transformers' own model computes what harken computes from these checkpoints."""
    models = [load_model(str(folder), device="cpu") for folder in folders]
    question = make_prompt(models[0], "Which digit?", 0.5)
    with torch.no_grad():
        expected = plain_logits_of(plain, question)
        for model in models:
            assert (logits_of(model, question) - expected).abs().max() < 1e-5


# A full base in the full layout, and a thinker as a thinker, are what test_export.py tests.
@pytest.mark.parametrize(
    ("base", "layout"), [("full", "thinker"), ("full", "vllm"), ("thinker", "full"), ("thinker", "vllm")]
)
def test_every_layout_of_every_base_gives_the_logits_of_the_trained_model(full, tmp_path, base, layout):
    source = full if base == "full" else tiny_folder(OMNI)
    trained = moved(source, tmp_path / "trained")
    export(trained, tmp_path / "out", base=str(source), layout=layout)
    whole = layout != "thinker"
    config = config_of(tmp_path / "out")
    assert config["model_type"] == ("qwen2_5_omni" if whole else "qwen2_5_omni_thinker")
    assert config["architectures"] == [(WHOLE if whole else THINKER).__name__]
    names = weights_of(tmp_path / "out").keys()
    parts = {name.split(".")[0] for name in names}
    assert parts == ({"thinker"} if whole else {"audio_tower", "lm_head", "model", "visual"})
    assert (tmp_path / "out" / "spk_dict.pt").exists() == whole
    plain = (WHOLE if whole else THINKER).from_pretrained(tmp_path / "out", dtype=torch.float32).eval()
    assert not whole or not plain.has_talker
    assert_gives_the_logits_of(plain, trained, tmp_path / "out")
    index = tmp_path / "out" / "model.safetensors.index.json"
    if base == "full":
        values = json.loads(index.read_text())
        assert {
            name: name in load_file(tmp_path / "out" / file) for name, file in values["weight_map"].items()
        } == dict.fromkeys(names, True)
        assert values["metadata"]["total_size"] == sum(
            tensor.nbytes for tensor in weights_of(tmp_path / "out").values()
        )


def test_a_whole_model_has_the_processor_that_engines_load_even_where_its_base_lacks_it(tmp_path):
    base = shutil.copytree(tiny_folder(OMNI), tmp_path / "base")
    for file, keys in (("preprocessor_config.json", IMAGE_SETTINGS), ("tokenizer_config.json", NAMED_TOKENS)):
        values = json.loads((base / file).read_text())
        values.pop("model_specific_special_tokens", None)
        (base / file).write_text(json.dumps({key: value for key, value in values.items() if key not in keys}))
    trained = moved(base, tmp_path / "trained")
    export(trained, tmp_path / "out", base=str(base))
    settings = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text())
    assert IMAGE_SETTINGS.items() <= settings.items()
    assert settings["chunk_length"] == 300
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert {name: getattr(tokenizer, name) for name in NAMED_TOKENS} == NAMED_TOKENS
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").glob("*.json")}
    complete_omni_processor(tmp_path / "out")
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").glob("*.json")} == before


def test_a_layout_of_another_architecture_is_refused(tmp_path):
    base = tiny_folder("qwen2_audio")
    with pytest.raises(CheckpointError, match=r"only Qwen2\.5-Omni and Qwen3-Omni have a thinker; leave out --layout"):
        export(moved(base, tmp_path / "trained"), tmp_path / "out", base=str(base), layout="thinker")
    assert not (tmp_path / "out").exists()


def adapter_of(arch: str, folder: Path, **parts: bool) -> Path:
    folder.mkdir()
    chosen = {"audio_tower": False, "projector": False, "language_model": True, **parts}
    adapted(arch, chosen, torch.float32).save(folder)
    return folder


PLACE = {OMNI: "thinker.model.", "audioflamingo3": "language_model.model."}
"""Where the layers of the language model are in vLLM's own names."""


@pytest.mark.parametrize("arch", PLACE)
def test_an_adapter_for_vllm_has_its_names_and_the_same_tensors(tmp_path, arch):
    adapter = adapter_of(arch, tmp_path / "adapter")
    export_adapter(adapter, tmp_path / "out", "vllm")
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (adapter, tmp_path / "out"))
    layers = [
        f"{n}.{part}"
        for n in range(3)
        for part in (
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.o_proj",
            "mlp.gate_proj",
            "mlp.up_proj",
            "mlp.down_proj",
        )
    ]
    assert after.keys() == {
        f"base_model.model.{PLACE[arch]}layers.{layer}.lora_{side}.weight" for layer in layers for side in "AB"
    }
    for name, tensor in before.items():
        assert torch.equal(after[f"base_model.model.{PLACE[arch]}layers.{name.partition('.layers.')[2]}"], tensor)
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["target_modules"] == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


@pytest.mark.parametrize(
    ("arch", "parts", "reason"),
    [
        ("qwen2_audio", {}, "vLLM applies no adapters to qwen2_audio"),
        (OMNI, {"projector": True}, "vLLM takes no trained projector beside an adapter"),
        (OMNI, {"audio_tower": True}, r"vLLM adapts the language model alone, and here is \S*audio_tower"),
    ],
)
def test_an_adapter_that_vllm_would_not_apply_whole_is_refused(tmp_path, arch, parts, reason):
    adapter = adapter_of(arch, tmp_path / "adapter", **parts)
    with pytest.raises(CheckpointError, match=f"{reason}.*export without --adapter, which merges it"):
        export_adapter(adapter, tmp_path / "out", "vllm")
    assert not (tmp_path / "out").exists()


def test_options_that_do_not_go_together_are_refused(tmp_path, capsys):
    for options in (["--adapter", "--layout", "vllm"], ["--for", "vllm"]):
        with pytest.raises(SystemExit):
            app(["export", str(tmp_path), "--out", str(tmp_path / "out"), *options])
    errors = capsys.readouterr().err
    assert "an adapter has no base in it" in errors
    assert "--for goes with --adapter" in errors
