"""Bases of other types, in shards, of links, damaged or of another model: exported as they are, or refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from exported_files import (
    AUDIO,
    OMNI,
    PLAIN,
    base_files,
    files_beside_the_card,
    files_of,
    logits_of,
    moved,
    plain_logits_of,
    plain_names,
    retyped,
    weights_of,
)
from safetensors.torch import load_file, save_file
from tiny_models import make_prompt, write_full_omni

from harken.errors import CheckpointError
from harken.export.weights import export
from harken.models.loading import load_model


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
    plain = PLAIN["full"].from_pretrained(tmp_path / "out", dtype=torch.float32).eval()
    model = load_model(str(trained), device="cpu")
    question = make_prompt(model, "Which digit?", 0.5)
    with torch.no_grad():
        expected = plain_logits_of(plain, question)
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


def test_the_copy_of_the_weights_under_mistrals_own_names_is_left_out(bases, tmp_path):
    """It would hold the untrained weights, and vLLM would read it."""
    base = shutil.copytree(bases[AUDIO], tmp_path / "base")
    save_file({"layers.0.attention.wq.weight": torch.ones(2, 2)}, base / "consolidated.safetensors")
    (base / "params.json").write_text("{}")
    trained = moved(bases[AUDIO], tmp_path / "trained")
    export(trained, tmp_path / "out", base=str(base))
    assert files_beside_the_card(tmp_path / "out") == base_files(bases[AUDIO])
    load_model(str(base), device="cpu")
