"""The language model of an assembled checkpoint: a Qwen2, Qwen2.5, Qwen3 or Llama model as Qwen2-Audio's text part.

Qwen2.5 is a Qwen2, and a Llama model is a Qwen2 model whose query, key and value biases are zero. Qwen3 normalises
queries and keys, which a Qwen2 does not, so it keeps a config of its own. Other families are refused by name.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from harken.errors import CheckpointError
from harken.export.card_header import is_hub_id
from harken.models.fit_of_weights import refuse_misfit, refuse_unusable_json
from harken.models.loading import checkpoint_errors
from harken.models.weights import load_weights

AUDIO_TOKENS = ("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>")
"""A clip's placeholder, its begin and its end, as Qwen2-Audio names them."""
FAMILIES = ("qwen2", "qwen3", "llama")
"""Values of `model_type`; Qwen2.5 has qwen2."""
_COPIED = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "hidden_act", "max_position_embeddings", "initializer_range", "rms_norm_eps"),
    *("rope_parameters", "attention_dropout", "bos_token_id", "eos_token_id"),
)


@dataclass(frozen=True, slots=True)
class LanguagePart:
    """A language model with three tokens more.

    Attributes:
        text_config: the `text_config` of the assembled checkpoint.
        weights: by the names of the published Qwen2-Audio, `language_model.*`, in the type of the file.
        tokenizer: knows the audio tokens; its chat template is still the language model's own.
        eos_token_ids: tokens that end a text.
        own_tokens: tokens that the tokenizer had before.
    """

    text_config: dict[str, Any]
    weights: dict[str, Tensor]
    tokenizer: PreTrainedTokenizerBase
    eos_token_ids: list[int]
    own_tokens: int

    @property
    def embeddings(self) -> Tensor:
        """[own tokens, H] float32: the embeddings of the language model's own tokens."""
        return self.weights["language_model.model.embed_tokens.weight"][: self.own_tokens].float()


def read_language_part(path: str) -> LanguagePart:
    """Read a causal language model from a folder in Hugging Face layout or from the Hub.

    Raises CheckpointError where it is of another family, cannot be expressed as the text part of Qwen2-Audio, or has no
    chat template.
    """
    with checkpoint_errors(path):
        if not Path(path).is_dir() and not is_hub_id(path):
            raise CheckpointError("no such folder")
        refuse_unusable_json(path)
        config: Any = AutoConfig.from_pretrained(path)
        text_config = as_text_config(config.to_dict())
        tokenizer = AutoTokenizer.from_pretrained(path)
        if not tokenizer.chat_template:
            raise CheckpointError("has no chat template; take the instruction-tuned checkpoint of this model")
        with torch.device("meta"):
            refuse_misfit(path, AutoModelForCausalLM.from_config(config))
        model = load_weights(AutoModelForCausalLM, path, dtype="auto", attn_implementation="sdpa")
    own_tokens, known = len(tokenizer), tokenizer.get_vocab()
    tokenizer.add_special_tokens({"additional_special_tokens": list(AUDIO_TOKENS)}, replace_extra_special_tokens=False)
    weights = {f"language_model.{name}": tensor for name, tensor in model.state_dict().items()}
    _add_head(weights)
    if config.model_type == "llama":
        _add_zero_biases(weights)
    rows = [tokenizer.convert_tokens_to_ids(token) for token in AUDIO_TOKENS if token not in known]
    for name in ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight"):
        weights[name] = _with_mean_rows(weights[name], rows, own_tokens)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    text_config["vocab_size"] = weights["language_model.lm_head.weight"].shape[0]
    text_config["pad_token_id"] = tokenizer.pad_token_id
    return LanguagePart(text_config, weights, tokenizer, _eos_token_ids(model, tokenizer), own_tokens)


def as_text_config(config: dict[str, Any]) -> dict[str, Any]:
    """The `text_config` for a language model with this config.json. Raises CheckpointError where there is none."""
    family = config.get("model_type")
    if family not in FAMILIES:
        raise CheckpointError(
            f"a language model of model_type {family!r}; harken assembles {', '.join(FAMILIES)} (qwen2 is Qwen2.5 too)"
        )
    if config.get("quantization_config"):
        raise CheckpointError("its weights are quantised; take the checkpoint that it was made from")
    if config.get("use_sliding_window"):
        raise CheckpointError(
            "a language model with sliding windows (use_sliding_window), which harken does not compute"
        )
    if family == "qwen3":
        return config | {"tie_word_embeddings": False}
    text = {key: config[key] for key in _COPIED if config.get(key) is not None}
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    if head * config["num_attention_heads"] != config["hidden_size"]:
        raise CheckpointError(f"heads of {head} numbers do not fill its hidden size, as those of a Qwen2 do")
    biased = [key for key in ("attention_bias", "mlp_bias") if config.get(key)]
    if family == "llama" and biased:
        raise CheckpointError(f"a Llama model with {' and '.join(biased)}, which a Qwen2 has no place for")
    return text | {"model_type": "qwen2", "tie_word_embeddings": False, "use_sliding_window": False}


def _add_head(weights: dict[str, Tensor]) -> None:
    """Give the head weights of its own: Qwen2-Audio has no shared ones."""
    shared = weights["language_model.model.embed_tokens.weight"]
    weights["language_model.lm_head.weight"] = weights.get("language_model.lm_head.weight", shared).clone()


def _add_zero_biases(weights: dict[str, Tensor]) -> None:
    for name in [name for name in weights if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight"))]:
        weights[name.removesuffix("weight") + "bias"] = weights[name].new_zeros(weights[name].shape[0])


def _with_mean_rows(matrix: Tensor, rows: list[int], own_tokens: int) -> Tensor:
    """[V, H] -> [V or more, H] with the mean of the first `own_tokens` rows in the places `rows`.

    The mean row has the mean logit of all tokens, so a model that was never taught the new tokens hardly writes them.
    """
    missing = max(0, max(rows, default=0) + 1 - matrix.shape[0])
    longer = torch.cat([matrix, matrix.new_zeros(missing, matrix.shape[1])])
    longer[rows] = matrix[:own_tokens].float().mean(0).to(matrix.dtype)
    return longer


def _eos_token_ids(model: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    configured = model.generation_config.eos_token_id
    several = configured if isinstance(configured, list) else [configured]
    return [token for token in dict.fromkeys([tokenizer.eos_token_id, *several]) if isinstance(token, int)]
