"""A run of adapters is exported merged into its base, or as adapters that peft loads."""

import json
import warnings
from pathlib import Path

import pytest
import torch
from exported_files import (
    AS_IT_IS,
    AUDIO,
    BASES,
    OMNI,
    PLAIN,
    base_files,
    files_beside_the_card,
    files_of,
    logits_of,
    plain_logits_of,
    run_values,
)
from peft import PeftModel
from rich.console import Console
from tiny_models import make_prompt, plain_arguments

from harken.config import Recipe
from harken.export.adapters import export_adapter
from harken.export.weights import export
from harken.models.loading import load_model
from harken.training.sft import sft


@pytest.fixture(scope="module")
def lora_runs(sft_runs, tmp_path_factory) -> dict[str, Path]:
    """A run of adapters, which started from an SFT run of the whole model."""
    folders = {}
    for name, start in sft_runs.items():
        folder = tmp_path_factory.mktemp(f"lora-{name}")
        values = run_values(folder, name, start)
        values["model"] |= {"lora": {"rank": 4, "alpha": 16}, "train_audio_tower": True, "train_projector": True}
        sft(Recipe.model_validate(values), folder / "adapters", Console(quiet=True))
        folders[name] = folder / "adapters"
    return folders


@pytest.mark.parametrize("base", BASES)
def test_an_adapter_is_exported_merged(bases, sft_runs, lora_runs, tmp_path, base):
    export(lora_runs[base], tmp_path / "out", layout=AS_IT_IS[base])
    assert files_beside_the_card(tmp_path / "out") == base_files(bases[base])
    model, started = (load_model(str(path), device="cpu") for path in (lora_runs[base], sft_runs[base]))
    plain = PLAIN[base].from_pretrained(tmp_path / "out", dtype=torch.float32).eval()
    for seconds in (0.9, None):
        question = make_prompt(model, "Which digit?", seconds)
        with torch.no_grad():
            expected = plain_logits_of(plain, question)
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
