"""Exported folders hold the base's files with the trained weights, and transformers' own classes load them."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
import yaml
from peft import PeftModel
from rich.console import Console
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_models import make_prompt, perturbed, plain_arguments, tiny_folder, write_full_omni

from harken.cli.app import app
from harken.config import Recipe
from harken.data.demo_set import write_demo_set
from harken.errors import CheckpointError
from harken.export.adapters import export_adapter
from harken.export.find_checkpoints import starting_checkpoint
from harken.export.weights import export
from harken.grpo.loop import train
from harken.models.loading import load_model
from harken.training.sft import sft

OMNI, AUDIO = "qwen2_5_omni", "qwen2_audio"
PLAIN = {
    OMNI: transformers.Qwen2_5OmniThinkerForConditionalGeneration,
    AUDIO: transformers.Qwen2AudioForConditionalGeneration,
    "full": transformers.Qwen2_5OmniForConditionalGeneration,
}
BASES = [OMNI, AUDIO, "full"]
AS_IT_IS = {OMNI: "thinker", AUDIO: "full", "full": "full"}
"""The layout of each base; test_layouts.py tests the others."""


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def plain_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names without the prefix of a full Omni checkpoint, which a run that started from such a checkpoint keeps."""
    return {name.removeprefix("thinker."): tensor for name, tensor in tensors.items()}


def files_of(folder: Path) -> dict[str, bytes]:
    """The content of each file by its path inside the folder; weights count as empty."""
    return {
        str(file.relative_to(folder)): b"" if file.suffix == ".safetensors" else file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def base_files(folder: Path) -> dict[str, bytes]:
    """The same for a base, with the config as an export writes it: with the truth about its head at every level."""
    files = files_of(folder)
    config = json.loads(files["config.json"])
    text = config.get("thinker_config", config)["text_config"]
    if text["tie_word_embeddings"]:
        text["tie_word_embeddings"] = False  # tiny Omni checkpoints have a head of their own
        files["config.json"] = (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
    return files


def files_beside_the_card(folder: Path) -> dict[str, bytes]:
    """The same for an exported folder, except its model card, which must be there."""
    files = files_of(folder)
    assert files.pop("README.md").startswith(b"---\n")
    return files


def retyped(folder: Path, target: Path, dtype: torch.dtype) -> Path:
    """A copy of a checkpoint in another data type."""
    shutil.copytree(folder, target)
    tensors = {name: tensor.to(dtype) for name, tensor in weights_of(folder).items()}
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def moved(base: Path, target: Path, scale: float = 0.05) -> Path:
    """A checkpoint folder as a run would write it, every weight moved a little."""
    target.mkdir(parents=True)
    model = perturbed(load_model(str(base), device="cpu"), scale)
    model.save(target)
    (target / "trainer").mkdir()
    (target / "trainer" / "state.json").write_text("{}")
    return target


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    full = tmp_path_factory.mktemp("full")
    write_full_omni(full)
    return {OMNI: tiny_folder(OMNI), AUDIO: tiny_folder(AUDIO), "full": full}


def run_values(folder: Path, name: str, base: Path) -> dict[str, Any]:
    write_demo_set(folder / "data", seed=0, n_train=4, n_test=4)
    return {
        **{"name": name, "model": {"path": str(base)}},
        "data": {"train": [{"file": str(folder / "data" / "train.json")}]},
        "sft": {"steps": 2, "prompts_per_step": 2, "learning_rate": 1e-2, "schedule": "constant"},
        "grpo": {
            **{"steps": 2, "prompts_per_step": 2, "completions_per_prompt": 2, "learning_rate": 1e-2},
            **{"max_completion_tokens": 3, "schedule": "constant"},
        },
    }


@pytest.fixture(scope="module")
def runs(bases, tmp_path_factory) -> dict[str, Path]:
    """A GRPO run of two updates on an SFT run of two, which started from the base."""
    folders = {}
    for name, base in bases.items():
        folder = tmp_path_factory.mktemp(f"runs-{name}")
        values = run_values(folder, name, base)
        sft(Recipe.model_validate(values), folder / "sft", Console(quiet=True))
        values["model"]["path"] = str(folder / "sft")
        train(Recipe.model_validate(values), folder / "grpo", Console(quiet=True))
        folders[name] = folder / "grpo"
    return folders


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory) -> dict[str, Path]:
    folders = {}
    for name, run in runs.items():
        folders[name] = tmp_path_factory.mktemp("exported") / name
        export(run, folders[name], layout=AS_IT_IS[name])
    return folders


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("seconds", [0.9, None], ids=["audio", "text"])
def test_transformers_own_class_gives_the_logits_of_harken(bases, runs, exported, base, seconds):
    model = load_model(str(runs[base]), device="cpu")
    started = load_model(str(bases[base]), device="cpu")
    loaded = PLAIN[base].from_pretrained(exported[base], dtype=torch.float32)
    plain = getattr(loaded, "thinker", loaded).eval()
    question = make_prompt(model, "Which digit?", seconds)
    with torch.no_grad():
        expected = plain(**plain_arguments([question], plain), use_cache=False).logits[0]
        logits, before = (logits_of(each, question) for each in (model, started))
    assert (logits - expected).abs().max() < 1e-5
    assert (logits - before).abs().max() > 1e-2  # it was trained


def logits_of(model, question):
    embedded = model.embed([question], model.encode_audio([question]))[0]
    positions = torch.arange(question.length)
    causal = (positions[:, None] >= positions)[None, None]
    return model.logits(model.hidden(embedded[None], positions[None], causal))[0]


@pytest.mark.parametrize("base", BASES)
def test_every_file_but_the_weights_is_the_bases_byte_for_byte(bases, exported, base):
    assert files_beside_the_card(exported[base]) == base_files(bases[base])
    assert not [file for file in exported[base].parent.iterdir() if file.name != base]


@pytest.mark.parametrize("base", BASES)
def test_names_shapes_types_and_metadata_are_the_bases(bases, exported, base):
    before, after = weights_of(bases[base]), weights_of(exported[base])
    assert {name: (t.shape, t.dtype) for name, t in before.items()} == {
        name: (t.shape, t.dtype) for name, t in after.items()
    }
    for folder in (bases[base], exported[base]):
        with safe_open(folder / "model.safetensors", framework="pt") as opened:
            assert opened.metadata() == {"format": "pt"}


@pytest.mark.parametrize("base", BASES)
def test_trained_parts_are_the_checkpoints_and_all_others_the_bases_bit_for_bit(bases, runs, exported, base):
    before, after = weights_of(bases[base]), weights_of(exported[base])
    trained = plain_names(weights_of(runs[base] / "checkpoints" / "step_000002"))
    others = {name for name in before if name.removeprefix("thinker.") not in trained}
    kinds = {name.removeprefix("thinker.").split(".")[0] for name in others}
    assert kinds == {OMNI: {"visual"}, AUDIO: set(), "full": {"talker", "token2wav", "visual"}}[base]
    for name, tensor in after.items():
        assert torch.equal(tensor, before[name] if name in others else trained[name.removeprefix("thinker.")]), name
    assert len(after) == len(others) + len(trained)
    changed = sum(not torch.equal(tensor, before[name]) for name, tensor in after.items())
    assert changed > 0.9 * len(trained)


@pytest.mark.parametrize("base", BASES)
def test_tokenizer_chat_template_and_feature_extractor_load_by_their_auto_classes(bases, exported, base):
    for folder in (bases[base], exported[base]):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        turn = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "Which?"}]}]
        assert "<|AUDIO|>" in tokenizer.apply_chat_template(turn, tokenize=False)
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
        assert type(extractor).__name__ == "WhisperFeatureExtractor"
        assert transformers.GenerationConfig.from_pretrained(folder).eos_token_id is not None or base == "full"
    if base == AUDIO:  # Omni's processor needs torchvision for its video part
        assert type(transformers.AutoProcessor.from_pretrained(exported[base])).__name__ == "Qwen2AudioProcessor"


@pytest.fixture(scope="module")
def lora_runs(bases, tmp_path_factory) -> dict[str, Path]:
    """A run of adapters, which started from an SFT run of the whole model."""
    folders = {}
    for name, base in bases.items():
        folder = tmp_path_factory.mktemp(f"lora-{name}")
        values = run_values(folder, name, base)
        sft(Recipe.model_validate(values), folder / "sft", Console(quiet=True))
        values["model"] = {
            **{"path": str(folder / "sft"), "lora": {"rank": 4, "alpha": 16}},
            **{"train_audio_tower": True, "train_projector": True},
        }
        sft(Recipe.model_validate(values), folder / "adapters", Console(quiet=True))
        folders[name] = folder / "adapters"
    return folders


@pytest.mark.parametrize("base", BASES)
def test_an_adapter_is_exported_merged(bases, lora_runs, tmp_path, base):
    export(lora_runs[base], tmp_path / "out", layout=AS_IT_IS[base])
    assert files_beside_the_card(tmp_path / "out") == base_files(bases[base])
    model, started = (load_model(str(path), device="cpu") for path in (lora_runs[base], lora_runs[base].parent / "sft"))
    loaded = PLAIN[base].from_pretrained(tmp_path / "out", dtype=torch.float32)
    plain = getattr(loaded, "thinker", loaded).eval()
    for seconds in (0.9, None):
        question = make_prompt(model, "Which digit?", seconds)
        with torch.no_grad():
            expected = plain(**plain_arguments([question], plain), use_cache=False).logits[0]
            logits, before = (logits_of(each, question) for each in (model, started))
        assert (logits - expected).abs().max() < 1e-5
        assert (logits - before).abs().max() > 1e-4
    assert not [path for path in tmp_path.iterdir() if path.name != "out"]


@pytest.mark.parametrize("base", [OMNI, AUDIO])
def test_an_adapter_is_exported_as_it_is_for_peft_to_load(lora_runs, tmp_path, base):
    export_adapter(lora_runs[base], tmp_path / "out")
    written = files_of(lora_runs[base] / "checkpoints" / "step_000002")
    assert files_beside_the_card(tmp_path / "out") == {
        name: content for name, content in written.items() if not name.startswith("trainer/")
    }
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= files_of(tmp_path / "out").keys()
    settings = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    plain = PLAIN[base].from_pretrained(settings["base_model_name_or_path"], dtype=torch.float32)
    with warnings.catch_warnings():  # peft reads a property that transformers renamed
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        peft_model = PeftModel.from_pretrained(plain, str(tmp_path / "out")).eval()
    model = load_model(str(lora_runs[base]), device="cpu")
    question = make_prompt(model, "Which digit?", 0.9)
    with torch.no_grad():
        expected = peft_model(**plain_arguments([question], plain), use_cache=False).logits[0]
        assert (logits_of(model, question) - expected).abs().max() < 1e-5


def test_the_base_is_found_through_the_runs_before_and_from_a_checkpoint_folder(bases, runs, tmp_path):
    for name, run in runs.items():
        assert starting_checkpoint(run) == str(bases[name])
        assert starting_checkpoint(run / "checkpoints" / "step_000002") == str(bases[name])
    later = tmp_path / "later"
    shutil.copytree(runs[OMNI], later)
    values = yaml.safe_load((later / "config.yaml").read_text())
    values["model"]["path"] = str(runs[OMNI] / "checkpoints" / "step_000002")
    (later / "config.yaml").write_text(yaml.safe_dump(values))
    assert starting_checkpoint(later) == str(bases[OMNI])
    values["model"]["path"] = "Qwen/Qwen2.5-Omni-7B"
    (later / "config.yaml").write_text(yaml.safe_dump(values))
    assert starting_checkpoint(later) == "Qwen/Qwen2.5-Omni-7B"
    alone = shutil.copytree(runs[OMNI] / "checkpoints" / "step_000002", tmp_path / "alone")
    with pytest.raises(CheckpointError, match="its starting checkpoint is unknown; name it with --base"):
        starting_checkpoint(alone)
    assert export(alone, tmp_path / "out", base=str(bases[OMNI])).n_tensors == 78


def test_the_trainers_state_is_never_exported_even_where_the_base_has_one(bases, tmp_path):
    trained = moved(bases[OMNI], tmp_path / "trained")
    export(trained, tmp_path / "out", base=str(trained), layout="thinker")
    assert files_beside_the_card(tmp_path / "out").keys() == files_of(bases[OMNI]).keys()


def test_a_bfloat16_base_gives_bfloat16_tensors_and_dtype_overrides(bases, tmp_path):
    base = retyped(bases["full"], tmp_path / "base", torch.bfloat16)
    trained = moved(bases["full"], tmp_path / "trained")
    export(trained, tmp_path / "rounded", base=str(base))
    export(trained, tmp_path / "whole", base=str(base), dtype="float32")
    rounded, whole = weights_of(tmp_path / "rounded"), weights_of(tmp_path / "whole")
    talker = weights_of(base)
    new = plain_names(weights_of(trained))
    for name in rounded:
        assert rounded[name].dtype == torch.bfloat16
        if name.removeprefix("thinker.") in new:
            assert torch.equal(whole[name], new[name.removeprefix("thinker.")])
            assert torch.equal(rounded[name], whole[name].to(torch.bfloat16))
        else:
            assert torch.equal(whole[name], talker[name])
            assert whole[name].dtype == torch.bfloat16


def test_what_was_never_trained_comes_back_from_float32_bit_for_bit(bases, tmp_path):
    base = retyped(bases[AUDIO], tmp_path / "base", torch.bfloat16)
    trained = moved(base, tmp_path / "trained", scale=0.0)
    assert {tensor.dtype for tensor in weights_of(trained).values()} == {torch.float32}
    export(trained, tmp_path / "out", base=str(base))
    before = weights_of(base)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights_of(tmp_path / "out").items())


@pytest.fixture(scope="module")
def sharded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sharded")
    write_full_omni(folder, max_shard_size="1MB")
    return folder


def test_a_base_in_shards_keeps_its_shards_and_its_index(sharded, tmp_path):
    assert len(list(sharded.glob("*.safetensors"))) > 3
    trained = moved(sharded, tmp_path / "trained")
    export(trained, tmp_path / "out", base=str(sharded))
    assert files_beside_the_card(tmp_path / "out") == base_files(sharded)
    index = json.loads((sharded / "model.safetensors.index.json").read_text())
    for name, file in index["weight_map"].items():
        assert name in load_file(tmp_path / "out" / file)
    thinker = PLAIN["full"].from_pretrained(tmp_path / "out", dtype=torch.float32).thinker.eval()
    model = load_model(str(trained), device="cpu")
    question = make_prompt(model, "Which digit?", 0.5)
    with torch.no_grad():
        expected = thinker(**plain_arguments([question], thinker), use_cache=False).logits[0]
        assert (logits_of(model, question) - expected).abs().max() < 1e-5


def test_with_another_data_type_the_index_counts_the_bytes_that_are_there(sharded, tmp_path):
    trained = moved(sharded, tmp_path / "trained")
    export(trained, tmp_path / "out", base=str(sharded), dtype="bfloat16")
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in weights_of(tmp_path / "out").values())
    assert index["weight_map"] == json.loads((sharded / "model.safetensors.index.json").read_text())["weight_map"]


def test_a_missing_shard_of_the_base_is_an_error_that_names_it(sharded, tmp_path):
    base = shutil.copytree(sharded, tmp_path / "base")
    gone = sorted(base.glob("*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(CheckpointError, match=f"{gone.name} not here; download the base again"):
        export(moved(sharded, tmp_path / "trained"), tmp_path / "out", base=str(base))
    assert not (tmp_path / "out").exists()


def test_a_snapshot_of_links_is_exported_as_files_with_its_subfolders(bases, tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    (snapshot / "assets").mkdir()
    for number, file in enumerate(sorted(bases[OMNI].iterdir())):
        shutil.copyfile(file, blobs / str(number))
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    (blobs / "logo").write_bytes(b"png")
    (snapshot / "assets" / "logo.png").symlink_to(blobs / "logo")
    (snapshot / ".cache").mkdir()
    (snapshot / "pytorch_model.bin").write_bytes(b"the untrained weights again")
    export(moved(bases[OMNI], tmp_path / "trained"), tmp_path / "out", base=str(snapshot), layout="thinker")
    shutil.rmtree(blobs)
    assert not [file for file in (tmp_path / "out").rglob("*") if file.is_symlink()]
    assert files_beside_the_card(tmp_path / "out") == {**base_files(bases[OMNI]), "assets/logo.png": b"png"}


def without_safetensors(base):
    (base / "model.safetensors").rename(base / "pytorch_model.bin")


def without_a_layer(base):
    tensors = {name: t for name, t in load_file(base / "model.safetensors").items() if "layers.2.mlp" not in name}
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})


def with_one_more_layer(base):
    tensors = load_file(base / "model.safetensors")
    tensors |= {name.replace("layers.2.", "layers.3."): t for name, t in tensors.items() if "model.layers.2." in name}
    save_file({name: t.clone() for name, t in tensors.items()}, base / "model.safetensors", metadata={"format": "pt"})


def with_another_width(base):
    tensors = load_file(base / "model.safetensors")
    tensors["lm_head.weight"] = tensors["lm_head.weight"][:, :64].contiguous()
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})


def torn(base):
    (base / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes()[:100_000])


OTHER_BASES = {
    "no safetensors": (without_safetensors, "no safetensors files to put the trained weights into"),
    "fewer layers": (without_a_layer, r"has no place for 3 trained tensors \(model.layers.2.mlp.down_proj.weight, "),
    "more layers": (with_one_more_layer, r"model.layers.3\S* is not among the trained tensors"),
    "other shapes": (with_another_width, r"lm_head.weight has shape \[\d+, 64\], but the trained tensor \[\d+, 128\]"),
    "torn": (torn, "cannot be read"),
    "no folder": (shutil.rmtree, "no such folder, but the run started from it; give its new place with --base"),
}


@pytest.mark.parametrize("kind", OTHER_BASES)
def test_a_base_that_does_not_fit_is_an_error_that_names_it_and_nothing_is_written(bases, tmp_path, kind):
    trained = moved(bases[OMNI], tmp_path / "trained")
    base = shutil.copytree(bases[OMNI], tmp_path / "base")
    change, says = OTHER_BASES[kind]
    change(base)
    with pytest.raises(CheckpointError, match=says):
        export(trained, tmp_path / "out", base=str(base))
    assert {path.name for path in tmp_path.iterdir()} <= {"base", "trained"}


def test_a_base_of_another_architecture_is_refused(bases, tmp_path):
    trained = moved(bases[OMNI], tmp_path / "trained")
    with pytest.raises(CheckpointError, match="Is it the checkpoint that the run started from"):
        export(trained, tmp_path / "out", base=str(bases[AUDIO]))


def test_a_folder_that_exists_is_never_written_into(bases, tmp_path):
    (tmp_path / "out").mkdir()
    for write in (lambda: export(bases[OMNI], tmp_path / "out"), lambda: export_adapter(bases[OMNI], tmp_path / "out")):
        with pytest.raises(CheckpointError, match="exists already; choose another --out"):
            write()
    with pytest.raises(CheckpointError, match="no checkpoint here"):
        export(tmp_path / "nothing", tmp_path / "new", base=str(bases[OMNI]))
    with pytest.raises(CheckpointError, match="holds full weights and no adapter; export without --adapter"):
        export_adapter(bases[OMNI], tmp_path / "new")


def test_the_command_exports_a_run_and_prints_where(runs, exported, tmp_path, capsys):
    app(["export", str(runs[OMNI]), "--out", str(tmp_path / "out"), "--layout", "thinker"], standalone_mode=False)
    assert capsys.readouterr().out == (
        f"78 trained tensors: {tmp_path / 'out'}\nnothing of what was trained was rounded\n"
    )
    assert files_beside_the_card(tmp_path / "out") == files_beside_the_card(exported[OMNI])
    app(["export", str(runs[AUDIO]), "--out", str(tmp_path / "half"), "--dtype", "float16"], standalone_mode=False)
    assert {tensor.dtype for tensor in weights_of(tmp_path / "half").values()} == {torch.float16}
