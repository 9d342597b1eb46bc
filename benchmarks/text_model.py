"""A Qwen2 language model without audio as an `AudioLM`, for harken's own step beside a peer that knows text only.

It loads a checkpoint folder of `Qwen2ForCausalLM`. A prompt is its token ids, without a chat template, as in the peer's
run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from harken.models.audio_lm import ModelInput
from harken.models.language_model import LanguageModelMethods
from harken.models.shared_prefix import use_shared_prefix

SHAPE = {
    "vocab_size": 4096,
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
"""The sizes of a model with 25 million parameters."""
SPECIAL = ("<pad>", "<eos>", "<unk>")


def write_text_model(folder: Path, seed: int = 0) -> None:
    """Write random weights and a tokenizer of words w0, w1, ... No token ends a sequence."""
    words = {token: i for i, token in enumerate((*SPECIAL, *(f"w{i}" for i in range(SHAPE["vocab_size"] - 3))))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    torch.manual_seed(seed)
    model: Any = Qwen2ForCausalLM(Qwen2Config(**SHAPE, pad_token_id=0, eos_token_id=1))  # pyright: ignore
    model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    names = dict(zip(("pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


class TextModel(LanguageModelMethods):
    """`AudioLM` describes the methods."""

    arch = "qwen2"
    adapters = None
    min_samples = max_samples = 0
    eos_token_ids = (-1,)  # no token ends a completion
    audio_trains = False

    def __init__(self, module: Qwen2ForCausalLM, tokenizer: Any) -> None:
        self.module: Any = module
        self.tokenizer = tokenizer
        use_shared_prefix(module.model)

    @classmethod
    def load(cls, folder: Path) -> "TextModel":
        module: Any = Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
        return cls(module, PreTrainedTokenizerFast.from_pretrained(folder))

    @property
    def parts(self) -> dict[str, nn.Module]:
        return {"language_model": self.module.model, "audio_tower": nn.Module(), "projector": nn.Module()}

    def prompt(self, text: str) -> ModelInput:
        ids = self.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"][0]
        return ModelInput(input_ids=ids, features=None, text=text)

    def encode_audio(self, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        return [None] * len(inputs)

    def embed(self, inputs: Sequence[ModelInput], audio: Sequence[Tensor | None]) -> list[Tensor]:
        return [self.embed_tokens(prompt.input_ids.to(self.device)) for prompt in inputs]

    def decode(self, token_ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(token_ids))
