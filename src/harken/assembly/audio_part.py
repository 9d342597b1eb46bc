"""The audio tower of an assembled checkpoint: the encoder of any Whisper model with a window of a chosen length.

Qwen2-Audio's tower is Whisper's encoder with the same names, and a pooling of two positions before the last norm. A
shorter window keeps the first of Whisper's positions.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import load_file
from torch import Tensor
from transformers import Qwen2AudioEncoder, Qwen2AudioEncoderConfig, WhisperConfig, WhisperFeatureExtractor

from harken.errors import CheckpointError
from harken.export.card_header import is_hub_id
from harken.models.fit_of_weights import refuse_unusable_json
from harken.models.loading import checkpoint_errors

POSITIONS_A_SECOND = 50
_COPIED = (
    *("num_mel_bins", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "d_model"),
    *("activation_function", "scale_embedding"),
)


@dataclass(frozen=True, slots=True)
class AudioPart:
    """A Whisper encoder.

    Attributes:
        audio_config: the `audio_config` of the assembled checkpoint.
        weights: by the names of the published Qwen2-Audio, `audio_tower.*`, in the type of the file.
        extractor: makes windows of the tower's length.
    """

    audio_config: dict[str, Any]
    weights: dict[str, Tensor]
    extractor: WhisperFeatureExtractor


def read_audio_part(path: str, window_s: int) -> AudioPart:
    """Read the encoder of a Whisper model, or an encoder alone, from a folder in Hugging Face layout or from the Hub.

    Raises CheckpointError where it is no Whisper model, has no safetensors, or has fewer positions than the window.
    """
    with checkpoint_errors(path):
        folder = _folder(path)
        refuse_unusable_json(str(folder))
        config: Any = WhisperConfig.from_pretrained(folder)
        if config.model_type != "whisper":
            raise CheckpointError(f"a checkpoint of model_type {config.model_type!r}; the encoder must be a Whisper")
        positions = window_s * POSITIONS_A_SECOND
        if positions > config.max_source_positions:
            longest = config.max_source_positions // POSITIONS_A_SECOND
            raise CheckpointError(f"has positions for {longest} s: set --window-s to at most {longest}")
        weights = _encoder_weights(folder)
        name = "audio_tower.embed_positions.weight"
        weights[name] = weights[name][:positions].clone()
        extractor = _extractor(folder, config.num_mel_bins, window_s)
        audio_config = {key: getattr(config, key) for key in _COPIED}
        audio_config |= {"model_type": "qwen2_audio_encoder", "max_source_positions": positions}
        _check_weights(audio_config, weights)
    return AudioPart(audio_config, weights, extractor)


def _folder(path: str) -> Path:
    if Path(path).is_dir():
        return Path(path)
    if not is_hub_id(path):
        raise CheckpointError("no such folder")
    return Path(snapshot_download(path, allow_patterns=["*.json", "*.safetensors", "README.md"]))


def _encoder_weights(folder: Path) -> dict[str, Tensor]:
    """The encoder's tensors of all safetensors files. In a whole Whisper model they are `model.encoder.*`."""
    weights: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        for name, tensor in load_file(file).items():
            _, prefix, inner = f".{name}".rpartition(".encoder.")
            if prefix:
                weights[f"audio_tower.{inner}"] = tensor
    if not weights:
        raise CheckpointError("has no encoder weights in safetensors files; convert the checkpoint to safetensors")
    return weights


def _check_weights(audio_config: dict[str, Any], weights: dict[str, Tensor]) -> None:
    """Raise CheckpointError where the weights are not those that the config describes."""
    with torch.device("meta"):
        tower = Qwen2AudioEncoder(Qwen2AudioEncoderConfig(**audio_config))
    described = {f"audio_tower.{name}": tensor.shape for name, tensor in tower.state_dict().items()}
    stored = {name: tensor.shape for name, tensor in weights.items()}
    if described != stored:
        other = sorted(name for name in described.keys() | stored.keys() if described.get(name) != stored.get(name))
        named = ", ".join(name.removeprefix("audio_tower.") for name in other[:3])
        raise CheckpointError(
            f"{len(other)} of the encoder's weights are not those of its config.json, such as {named}; fetch it again"
        )


def _extractor(folder: Path, mel_bins: int, window_s: int) -> WhisperFeatureExtractor:
    own = {}
    if (folder / "preprocessor_config.json").is_file():
        extractor: Any = WhisperFeatureExtractor.from_pretrained(folder)
        own = {key: getattr(extractor, key) for key in ("hop_length", "n_fft", "sampling_rate", "padding_value")}
    return WhisperFeatureExtractor(feature_size=mel_bins, chunk_length=window_s, return_attention_mask=True, **own)
