"""What `Qwen2_5OmniProcessor` reads beside the sound: settings for images, and the names of the multimodal tokens.

harken needs neither, so a checkpoint that it writes may lack them. Engines that serve the model load the whole
processor, for sound too. Tiny checkpoints and exports in the full layout have these settings through this module.
"""

from pathlib import Path
from typing import Any

from harken.models.checkpoint_json import read_checkpoint_json
from harken.system.files import write_json

PROCESSOR_FILE, TOKENIZER_FILE = "preprocessor_config.json", "tokenizer_config.json"
IMAGE_SETTINGS: dict[str, Any] = {
    "processor_class": "Qwen2_5OmniProcessor",
    "image_processor_type": "Qwen2VLImageProcessor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "min_pixels": 3136,
    "max_pixels": 12845056,
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": 2,
    "return_attention_mask": True,
}
"""Those of the published Qwen2.5-Omni checkpoints, which have them in the file of the feature extractor."""
NAMED_TOKENS = {
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
"""Attribute of the tokenizer that the processor reads -> the token."""


def complete_omni_processor(folder: Path) -> None:
    """Add what is missing in `folder` to the files of feature extractor and tokenizer. What stands there is kept."""
    processor, tokenizer = (_read(folder / name) for name in (PROCESSOR_FILE, TOKENIZER_FILE))
    if processor and "image_processor_type" not in processor:
        write_json(folder / PROCESSOR_FILE, processor | IMAGE_SETTINGS)
    named = tokenizer.get("extra_special_tokens")
    known = {
        *tokenizer,
        *tokenizer.get("model_specific_special_tokens", ()),
        *(named if isinstance(named, dict) else ()),
    }
    missing = {name: token for name, token in NAMED_TOKENS.items() if name not in known}
    if tokenizer and missing:
        write_json(folder / TOKENIZER_FILE, tokenizer | missing)


def _read(file: Path) -> dict[str, Any]:
    """{} where the file is missing."""
    return read_checkpoint_json(file) if file.is_file() else {}
