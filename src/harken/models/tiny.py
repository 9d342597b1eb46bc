"""Tiny random checkpoints of the real architectures, with a small tokenizer of their own.

Takes an architecture's name and the texts its tokenizer should know, gives a folder in Hugging Face layout that every
command accepts. For the demo, tests and trying a recipe without weights. Not taken: a toy model class; only the sizes are
small, so what runs here is the code that runs on the published checkpoints.
"""

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    WhisperFeatureExtractor,
)

from harken.data.records import read_records
from harken.errors import CheckpointError
from harken.models.qwen_omni import AUDIO_BOS, AUDIO_EOS, AUDIO_TOKEN

PAD, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = (
    *(PAD, IM_START, IM_END, AUDIO_TOKEN, AUDIO_BOS, AUDIO_EOS),
    *("<|IMAGE|>", "<|VIDEO|>", "<|vision_bos|>", "<|vision_eos|>"),
)
TAGS = ("<think>", "</think>", "<answer>", "</answer>")

# ChatML with Qwen's default system turn; an audio element becomes its three marker tokens.
CHAT_TEMPLATE = (
    "{%- if messages[0].role != 'system' -%}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    f"{{%- if part.type == 'audio' -%}}{{{{ '{AUDIO_BOS}{AUDIO_TOKEN}{AUDIO_EOS}' }}}}"
    "{%- else -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)

BASE_TEXTS = (
    "system\nYou are a helpful assistant.\n",
    "user\nassistant\n",
    "Please choose the answer from the following options: ['', '']",
    "Output the final answer in <answer> </answer>.",
    "Output the thinking process in <think> </think> and final answer in <answer> </answer>.",
    "(A) (B) (C) (D)",
)


def build_tokenizer(texts: Iterable[str], vocabulary: int = 2048) -> PreTrainedTokenizerFast:
    """Byte-level BPE that can spell any text and knows the words of `texts` whole, up to `vocabulary` tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation("isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*BASE_TEXTS, *texts], trainer)
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=IM_END,
        additional_special_tokens=[token for token in SPECIAL_TOKENS if token not in (PAD, IM_END)],
        chat_template=CHAT_TEMPLATE,
    )


def question_texts(files: Iterable[Path]) -> list[str]:
    """Questions and choices of MMAU-style files, as prompts write them out, for `build_tokenizer`."""
    texts: dict[str, None] = {}
    for file in files:
        for _, record in read_records(file)[0]:
            choices = [choice for choice in record.get("choices", ()) if isinstance(choice, str)]
            texts |= dict.fromkeys([str(record.get("question", "")), repr(choices), *choices])
    return list(texts)


def write_tiny(arch: str, folder: Path, texts: Iterable[str], seed: int = 0) -> None:
    """Write a random checkpoint of `arch`, about a million parameters.

    Raises CheckpointError for an unknown architecture or a folder that holds a checkpoint already.
    """
    if arch not in WRITERS:
        raise CheckpointError(f"unknown architecture {arch!r}; known: {', '.join(WRITERS)}")
    if (folder / "config.json").exists():
        raise CheckpointError(f"{folder}: already holds a checkpoint; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer(texts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        WRITERS[arch](folder, tokenizer)
    tokenizer.save_pretrained(folder)


def omni_config(tokenizer: PreTrainedTokenizerFast) -> Qwen2_5OmniThinkerConfig:
    hidden = 128
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    return Qwen2_5OmniThinkerConfig(
        audio_config={
            **{"d_model": 96, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 256},
            **{"output_dim": hidden, "num_mel_bins": 128, "n_window": 100},
        },
        vision_config={
            **{"depth": 1, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": hidden},
            "fullatt_block_indexes": [0],
        },
        text_config={
            **{"vocab_size": len(tokenizer), "hidden_size": hidden, "intermediate_size": 256},
            **{"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2},
            "rope_parameters": {"mrope_section": [4, 6, 6], "rope_type": "default", "rope_theta": 10000.0},
        },
        audio_token_index=ids[AUDIO_TOKEN],
        audio_start_token_id=ids[AUDIO_BOS],
        audio_end_token_id=ids[AUDIO_EOS],
        image_token_index=ids["<|IMAGE|>"],
        video_token_index=ids["<|VIDEO|>"],
        vision_start_token_id=ids["<|vision_bos|>"],
        vision_end_token_id=ids["<|vision_eos|>"],
        pad_token_id=ids[PAD],
        eos_token_id=ids[IM_END],
    )


def _write_omni(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    Qwen2_5OmniThinkerForConditionalGeneration(omni_config(tokenizer)).save_pretrained(folder)
    # 300 s and the filters as published (128 mel bins, 10 ms hop).
    WhisperFeatureExtractor(feature_size=128, chunk_length=300).save_pretrained(folder)


WRITERS = {"qwen2_5_omni": _write_omni}
