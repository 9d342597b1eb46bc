"""The layouts in which an Omni model can be written, and how the base's tensors and config become one of them.

    full     config of the whole model, tensor names with `thinker.`; the parts that answer in speech where the base has
             them (talker and token2wav of Qwen2.5-Omni, talker and code2wav of Qwen3-Omni)
    vllm     the same without the parts that answer in speech
    thinker  config and tensor names of the thinker alone

transformers and vLLM load the first two; vLLM knows no thinker alone. A base without a talker becomes `full` by
enclosing its config and adding the prefix. Every other architecture has one layout, which is left as it is.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from harken.errors import CheckpointError
from harken.models.checkpoint_json import read_checkpoint_json
from harken.models.omni_processor import complete_omni_processor
from harken.system.files import write_json

Layout = Literal["full", "thinker", "vllm"]
LAYOUTS: tuple[Layout, ...] = ("full", "thinker", "vllm")
FULL, THINKER = "qwen2_5_omni", "qwen2_5_omni_thinker"
"""`model_type` of the two kinds of config of Qwen2.5-Omni."""
PREFIX = "thinker."
"""A full Omni checkpoint has this before the tensor names of the part that harken trains."""
SPEECH_PARTS = ("talker.", "token2wav.", "code2wav.")
SPEECH_CONFIGS = ("talker_config", "token2wav_config", "code2wav_config")
VOICES = "spk_dict.pt"
"""The talker's voices. transformers loads no whole model without this file, not even one that does not speak."""


@dataclass(frozen=True, slots=True)
class _Family:
    """`model_type` and class of the whole model and of its thinker, and whether loading the whole one needs `VOICES`
    and the settings of images."""

    full: str
    full_class: str
    thinker: str
    thinker_class: str
    needs_other_files: bool


_FAMILIES = (
    _Family(FULL, "Qwen2_5OmniForConditionalGeneration", THINKER, "Qwen2_5OmniThinkerForConditionalGeneration", True),
    _Family(
        *("qwen3_omni_moe", "Qwen3OmniMoeForConditionalGeneration"),
        *("qwen3_omni_moe_thinker", "Qwen3OmniMoeThinkerForConditionalGeneration"),
        needs_other_files=False,
    ),
)


class OmniLayout:
    """How a base is written.

    Args:
        source: the base's folder.

    Raises CheckpointError where a layout is asked for that the architecture does not have.
    """

    def __init__(self, source: Path, layout: Layout) -> None:
        self._model_type = _read_config(source)["model_type"]
        self._layout = layout
        self._family = next((each for each in _FAMILIES if self._model_type in (each.full, each.thinker)), None)
        if layout == "thinker" and self._family is None:
            raise CheckpointError(f"{source}: only Qwen2.5-Omni and Qwen3-Omni have a thinker; leave out --layout")

    @property
    def changes_names(self) -> bool:
        """Whether tensors get other names than the base's, or are left out."""
        if self._family is None:
            return False
        return self._layout != ("thinker" if self._model_type == self._family.thinker else "full")

    def written_name(self, base_name: str) -> str | None:
        """The name under which a tensor of the base is written; None where it is left out."""
        if not self.changes_names:
            return base_name
        if base_name.startswith(SPEECH_PARTS):
            return None
        name = base_name.removeprefix(PREFIX)
        return name if self._layout == "thinker" else PREFIX + name

    def finish(self, folder: Path) -> None:
        """Make config and processor in the written folder those of the layout."""
        if self._family is None:
            return
        if self.changes_names:
            config = _read_config(folder)
            change = _thinker_config if self._layout == "thinker" else _full_config
            write_json(folder / "config.json", change(config, self._family))
        if not self._family.needs_other_files:
            return
        if self._layout == "thinker":
            (folder / VOICES).unlink(missing_ok=True)
            return
        complete_omni_processor(folder)
        if not (folder / VOICES).exists():
            torch.save({}, folder / VOICES)


def _full_config(config: dict[str, Any], family: _Family) -> dict[str, Any]:
    """The config of a whole model that does not speak."""
    if config["model_type"] == family.full:
        kept = {key: value for key, value in config.items() if key not in SPEECH_CONFIGS}
        return kept | {"enable_audio_output": False} | ({"enable_talker": False} if "enable_talker" in kept else {})
    outer = {key: config[key] for key in ("dtype", "torch_dtype", "transformers_version") if key in config}
    inner = {key: value for key, value in config.items() if key not in ("architectures", "transformers_version")}
    return {
        "architectures": [family.full_class],
        "model_type": family.full,
        "enable_audio_output": False,
        **outer,
        "thinker_config": inner,
    }


def _thinker_config(config: dict[str, Any], family: _Family) -> dict[str, Any]:
    outer = {key: config[key] for key in ("dtype", "torch_dtype", "transformers_version") if key in config}
    own = {"architectures": [family.thinker_class], "model_type": family.thinker}
    return outer | config["thinker_config"] | own


def _read_config(folder: Path) -> dict[str, Any]:
    return read_checkpoint_json(folder / "config.json")
