"""Exported folders hold the base's files with the trained weights, and transformers' own classes load them."""

import shutil
from pathlib import Path

import pytest
import torch
import transformers
import yaml
from exported_files import (
    AS_IT_IS,
    AUDIO,
    BASES,
    OMNI,
    PLAIN,
    base_files,
    files_beside_the_card,
    logits_of,
    plain_logits_of,
    plain_names,
    run_values,
    weights_of,
)
from rich.console import Console
from safetensors import safe_open
from tiny_models import make_prompt

from harken.cli.app import app
from harken.config import Recipe
from harken.errors import CheckpointError
from harken.export.adapters import export_adapter
from harken.export.find_checkpoints import starting_checkpoint
from harken.export.weights import export
from harken.grpo.loop import train
from harken.models.loading import load_model


@pytest.fixture(scope="module")
def runs(sft_runs, tmp_path_factory) -> dict[str, Path]:
    """A GRPO run of two updates on an SFT run of two, which started from the base."""
    folders = {}
    for name, start in sft_runs.items():
        folder = tmp_path_factory.mktemp(f"runs-{name}")
        folders[name] = folder / "grpo"
        train(Recipe.model_validate(run_values(folder, name, start)), folders[name], Console(quiet=True))
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
    plain = PLAIN[base].from_pretrained(exported[base], dtype=torch.float32).eval()
    question = make_prompt(model, "Which digit?", seconds)
    with torch.no_grad():
        expected = plain_logits_of(plain, question)
        logits, before = (logits_of(each, question) for each in (model, started))
    assert (logits - expected).abs().max() < 1e-5
    assert (logits - before).abs().max() > 1e-2  # it was trained


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
