"""An exported config says of the language model's head what the tensors beside it say."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import Qwen2_5OmniThinkerConfig
from transformers.models.qwen2_5_omni.configuration_qwen2_5_omni import Qwen2_5OmniTextConfig

from harken.errors import CheckpointError
from harken.export.tied_head import state_tied_head

EMBEDDINGS, HEAD = "thinker.model.embed_tokens.weight", "thinker.lm_head.weight"


def written(folder: Path, config: dict, *names: str) -> bytes:
    """The bytes of config.json after `state_tied_head`."""
    save_file({name: torch.zeros(2, 2) for name in names}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    state_tied_head(folder)
    return (folder / "config.json").read_bytes()


def test_a_head_of_its_own_is_stated_at_every_level(tmp_path):
    text = {"vocab_size": 2, "tie_word_embeddings": True}
    config = {"thinker_config": {"text_config": text}, "talker_config": {"tie_word_embeddings": True}}
    changed = json.loads(written(tmp_path, config, EMBEDDINGS, HEAD))
    assert changed["thinker_config"]["text_config"]["tie_word_embeddings"] is False
    assert changed["talker_config"] == {"tie_word_embeddings": True}  # another part, which harken does not train


def test_a_shared_head_is_stated_at_every_level_that_speaks_of_it(tmp_path):
    config = {"tie_word_embeddings": True, "text_config": {"vocab_size": 2, "tie_word_embeddings": False}}
    changed = json.loads(written(tmp_path, config, "model.embed_tokens.weight"))
    assert changed["text_config"]["tie_word_embeddings"] is True
    inner = {"thinker_config": {"text_config": {"vocab_size": 2, "tie_word_embeddings": True}}}
    changed = json.loads(written(tmp_path, inner, "thinker.model.embed_tokens.weight"))
    assert changed["thinker_config"]["tie_word_embeddings"] is True  # transformers looks here


def test_a_text_model_that_says_nothing_is_made_to_speak_because_its_class_decides_otherwise(tmp_path):
    assert Qwen2_5OmniTextConfig().tie_word_embeddings is True
    assert Qwen2_5OmniThinkerConfig().tie_word_embeddings is False
    changed = json.loads(written(tmp_path, {"thinker_config": {"text_config": {"vocab_size": 2}}}, EMBEDDINGS, HEAD))
    assert changed == {"thinker_config": {"text_config": {"vocab_size": 2, "tie_word_embeddings": False}}}


@pytest.mark.parametrize(
    "config", [{"text_config": {"vocab_size": 2, "tie_word_embeddings": False}}, {"tie_word_embeddings": False}]
)
def test_a_config_that_is_right_is_left_byte_for_byte(tmp_path, config):
    assert written(tmp_path, config, EMBEDDINGS, HEAD) == json.dumps(config).encode()


def test_a_talkers_head_is_no_head_of_the_thinker(tmp_path):
    with pytest.raises(CheckpointError, match=r"has no lm_head\.weight"):
        written(tmp_path, {"text_config": {"vocab_size": 2}}, EMBEDDINGS, "talker.lm_head.weight")
