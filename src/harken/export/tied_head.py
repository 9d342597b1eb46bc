"""Makes config.json say of every language model in it whether its head shares the weights of its embeddings.

Loaders look at different levels of the config: transformers at the outer one, vLLM at the text model's. Where the inner
level says `tie_word_embeddings: true` beside head weights of their own, vLLM leaves these out and answers nonsense. It
does so too where Omni's inner level says nothing, because true is what transformers then takes.
"""

from pathlib import Path
from typing import Any

from harken.errors import CheckpointError
from harken.models.checkpoint_json import read_checkpoint_json
from harken.models.precision import open_weights
from harken.models.weight_files import weight_files
from harken.system.files import write_json

KEY = "tie_word_embeddings"
OTHER_PARTS = ("talker_config", "token2wav_config", "code2wav_config", "vision_config", "audio_config")
"""Sections of a config that describe no language model with a head that harken trains."""


def state_tied_head(folder: Path) -> None:
    """Write `tie_word_embeddings` at every level of `folder/config.json` as the tensors beside it are.

    A config that says so already is left byte for byte. Raises CheckpointError where there is no head and the config
    says that none is shared.
    """
    file = folder / "config.json"
    config = read_checkpoint_json(file)
    tied = not _has_head(folder)
    levels = _language_models(config)
    if tied and not any(level.get(KEY, False) for level in levels):
        raise CheckpointError(
            f"{folder}: has no lm_head.weight, and config.json does not say {KEY}: true; the base lacks its head"
        )
    # An outer level that says nothing means that no head is shared; what a text model then means depends on its class.
    wrong = [level for level in levels if level.get(KEY, None if "vocab_size" in level else False) is not tied]
    for level in wrong:
        level[KEY] = tied
    if wrong:
        write_json(file, config)


def _has_head(folder: Path) -> bool:
    for shard in weight_files(folder):
        with open_weights(shard) as opened:
            names = opened.keys()
            if any(name.endswith("lm_head.weight") and not name.startswith("talker.") for name in names):
                return True
    return False


def _language_models(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The sections that say whether a head is shared: those with the key, the text models, and what holds one."""
    sections: list[dict[str, Any]] = []
    for name, section in config.items():
        if isinstance(section, dict) and name not in OTHER_PARTS:
            sections += _language_models(section)
    if {KEY, "vocab_size", "text_config"} & config.keys():
        sections.append(config)
    return sections
