"""Sizes of a model without its weights, for `harken plan`.

They are counted from the model's own class on the meta device, for published models by the sizes in
`published_models.py`.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    AudioFlamingo3Config,
    MusicFlamingoConfig,
    Qwen2_5OmniThinkerConfig,
    Qwen2AudioConfig,
    Qwen3OmniMoeThinkerConfig,
    VoxtralConfig,
)

from harken.models.architectures import MODEL_TYPES, architecture_class, base_and_adapters
from harken.models.convolved_tower import audio_tokens_of
from harken.models.loading import checkpoint_errors
from harken.planning.published_models import PUBLISHED

CONFIGS: dict[str, Any] = {
    "qwen2_audio": Qwen2AudioConfig,
    "audioflamingo3": AudioFlamingo3Config,
    "musicflamingo": MusicFlamingoConfig,
    "voxtral": VoxtralConfig,
}
"""Configurations of a tower and a language model alone."""
NO_VISION = {
    "depth": 1,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "fullatt_block_indexes": [0],
}
"""The vision tower is dropped when a model is loaded, so its sizes here do not matter."""
QWEN3_NO_VISION = {
    **{"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "num_position_embeddings": 16},
    **{"deepstack_visual_indexes": [0], "out_hidden_size": 64},
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of one model, in numbers of parameters or of elements.

    Attributes:
        tower, projector, language: parameters of each part; the output head is in language.
        tower_blocks, language_blocks: parameters inside the blocks of each part.
        linear: parameters of the linear layers of all parts.
        largest: elements of the largest single tensor.
        adapter_edges: sum of inputs and outputs of the linear layers in the blocks: (tower, language).
        layers, hidden, intermediate, vocabulary: sizes of the language model.
        queries, keys: elements of the queries and of the keys of one token in one layer.
        tower_layers, tower_hidden, tower_intermediate: sizes of the audio tower.
        window_s: seconds of one window of the tower; None where it has none.
        fills_windows: whether the tower hears whole windows, as many as a clip needs, with silence after it.
        positions_per_s, tokens_per_s: positions of a second of sound in the tower's blocks, and audio tokens of it.
        has_query_norm: whether queries and keys are normalised.
        router: parameters of the routers, which are in language_blocks.
        experts, chosen: experts of a block, and those that a token passes through; 0 without experts.
        expert_blocks: parameters of all experts, which are in language_blocks.
    """

    tower: int
    projector: int
    language: int
    tower_blocks: int
    language_blocks: int
    linear: int
    largest: int
    adapter_edges: tuple[int, int]
    layers: int
    hidden: int
    intermediate: int
    queries: int
    keys: int
    vocabulary: int
    tower_layers: int
    tower_hidden: int
    tower_intermediate: int
    window_s: float | None
    fills_windows: bool = False
    positions_per_s: float = 50.0
    tokens_per_s: float = 25.0
    has_query_norm: bool = False
    router: int = 0
    experts: int = 0
    chosen: int = 0
    expert_blocks: int = 0

    @property
    def active_blocks(self) -> int:
        """Parameters of the language model's blocks through which one token passes."""
        return self.language_blocks - self.expert_blocks + self.used_experts(1)

    def heard_s(self, clip_s: float) -> float:
        """Seconds that the tower computes for a clip of `clip_s`: the clip, at most one window where the tower has
        windows, or all windows that it fills."""
        if self.window_s is None:
            return clip_s
        if self.fills_windows:
            return math.ceil(clip_s / self.window_s) * self.window_s
        return min(self.window_s, clip_s)

    def used_experts(self, tokens: float) -> int:
        """Parameters of the experts that one of so many tokens passes through, where all are equally likely."""
        if not self.experts:
            return 0
        return round(self.expert_blocks * (1 - (1 - self.chosen / self.experts) ** tokens))


def published_config(path: str, **changes: int) -> Any:
    """The configuration of a published model; `changes` to the language model's sizes make it smaller."""
    kind, text, audio = PUBLISHED[path]
    text = {**text, **changes}
    if kind in CONFIGS:
        return CONFIGS[kind](text_config=text, audio_config=audio)
    if kind == "qwen3_omni_moe_thinker":
        moe_class: Any = Qwen3OmniMoeThinkerConfig
        return moe_class(text_config=text, audio_config=audio, vision_config=QWEN3_NO_VISION)
    config_class: Any = Qwen2_5OmniThinkerConfig  # takes more names than its signature lists
    return config_class(text_config=text, audio_config=audio, vision_config=NO_VISION)


def shape_of(path: str, architecture: str | None = None) -> Shape:
    """The shape of a published model, a local folder (of a run, its newest checkpoint) or another Hub id.

    Args:
        architecture: the class that a recipe names (`model.architecture`).

    Raises CheckpointError where there is no such checkpoint, or where harken does not know its architecture.
    """
    base, adapters = base_and_adapters(path)
    if base in PUBLISHED:
        return shape_of_config(published_config(base))
    with checkpoint_errors(base):
        module_class = architecture_class(base, architecture, adapters).module_class
        return shape_of_config(module_class.config_class.from_pretrained(base), module_class)


def shape_of_config(config: Any, module_class: Any = None) -> Shape:
    """The shape that a configuration has, from the parameters of its module on the meta device.

    Args:
        module_class: transformers' class; default that of the configuration's `model_type`.
    """
    with torch.device("meta"):
        module: nn.Module = (module_class or MODEL_TYPES[config.model_type].module_class)(config)
    parameters = dict(module.named_parameters())
    linear = {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear)}
    text, audio = config.text_config, config.audio_config
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    experts = getattr(text, "num_experts", 0)
    rate = _convolved_tokens_per_s(audio)
    fills_windows = audio.model_type == "voxtral_encoder"
    # Voxtral lays so many positions side by side to an audio token; the other towers take the mean of two.
    stacked = audio.intermediate_size // audio.hidden_size if fills_windows else 2

    def count(part: str, blocks: bool = False) -> int:
        return sum(
            parameter.numel()
            for name, parameter in parameters.items()
            if _part(name) == part and (".layers." in name or not blocks)
        )

    def edges(part: str) -> int:
        layers = [layer for name, layer in linear.items() if _part(name) == part and ".layers." in name]
        return sum(layer.in_features + layer.out_features for layer in layers)

    return Shape(
        tower=count("tower"),
        projector=count("projector"),
        language=count("language"),
        tower_blocks=count("tower", blocks=True),
        language_blocks=count("language", blocks=True),
        linear=sum(layer.weight.numel() for layer in linear.values()),
        largest=max(parameter.numel() for parameter in parameters.values()),
        adapter_edges=(edges("tower"), edges("language")),
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        intermediate=text.num_experts_per_tok * text.moe_intermediate_size if experts else text.intermediate_size,
        queries=text.num_attention_heads * head,
        keys=text.num_key_value_heads * head,
        vocabulary=text.vocab_size,
        tower_layers=_either(audio, "encoder_layers", "num_hidden_layers"),
        tower_hidden=_either(audio, "d_model", "hidden_size"),
        tower_intermediate=_either(audio, "encoder_ffn_dim", "intermediate_size"),
        window_s=None if "output_dim" in audio.to_dict() else audio.max_source_positions / 50,
        fills_windows=fills_windows,
        positions_per_s=rate or 50.0,
        tokens_per_s=rate or 50.0 / stacked,
        has_query_norm=any(name.endswith("q_norm.weight") for name in parameters),
        router=sum(p.numel() for name, p in parameters.items() if name.endswith("mlp.gate.weight")),
        experts=experts,
        chosen=text.num_experts_per_tok if experts else 0,
        expert_blocks=sum(p.numel() for name, p in parameters.items() if ".experts." in name),
    )


def _either(config: Any, *names: str) -> int:
    """The first of the names that a configuration has: architectures name one size differently."""
    return next(int(getattr(config, name)) for name in names if hasattr(config, name))


def _convolved_tokens_per_s(audio: Any) -> float | None:
    """Audio tokens of a second from Qwen3-Omni's tower, whose blocks have as many positions; None for other towers."""
    if not hasattr(audio, "downsample_hidden_size"):
        return None
    piece = 2 * audio.n_window  # frames of 10 ms
    return audio_tokens_of(piece, piece) * 100 / piece


def _part(name: str) -> str:
    """The part of the model that a parameter belongs to, as the recipe's three switches `train_*` divide it."""
    if any(part in name for part in ("multi_modal_projector", "audio_tower.proj.", "audio_tower.proj2.")):
        return "projector"
    return "tower" if "audio_tower" in name else "language"
