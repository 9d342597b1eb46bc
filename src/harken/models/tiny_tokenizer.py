"""Small tokenizers and a chat template for tiny checkpoints.

`tiny_checkpoint` gives it the texts that it should know and the way an architecture marks audio, and gets a byte-level
BPE tokenizer that can spell any text. The embeddings of a published tokenizer's 150,000 tokens would be far larger than
the rest of a tiny model. `build_tekken` makes the file of such a tokenizer in the form of Mistral's.
"""

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from harken.models.qwen_omni import AUDIO_BOS, AUDIO_EOS, AUDIO_TOKEN

PAD, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TOKENS = (PAD, IM_START, IM_END)
AUDIO_TOKENS = (AUDIO_TOKEN, AUDIO_BOS, AUDIO_EOS)
SPECIAL_TOKENS = (*CHAT_TOKENS, *AUDIO_TOKENS, "<|IMAGE|>", "<|VIDEO|>", "<|vision_bos|>", "<|vision_eos|>")
TAGS = ("<think>", "</think>", "<answer>", "</answer>")

# ChatML with Qwen's default system turn. AUDIO is replaced by the text of an audio element.
CHAT_TEMPLATE = (
    "{%- if messages[0].role != 'system' -%}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'audio' -%}{{ 'AUDIO' }}"
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


def build_tokenizer(
    texts: Iterable[str],
    vocabulary: int = 2048,
    special_tokens: Sequence[str] = SPECIAL_TOKENS,
    audio: str = f"{AUDIO_BOS}{AUDIO_TOKEN}{AUDIO_EOS}",
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer that can spell any text and has single tokens for the words of `texts`, up to
    `vocabulary` tokens.

    Args:
        audio: the text that the chat template writes for an audio element.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Punctuation("isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*BASE_TEXTS, *texts], trainer)
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=IM_END,
        additional_special_tokens=[token for token in special_tokens if token not in (PAD, IM_END)],
        chat_template=CHAT_TEMPLATE.replace("AUDIO", audio.replace("\n", "\\n")),
    )


TEKKEN_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Mistral's tokenizers cut a text into pieces that are encoded by themselves."""
TEKKEN_SPECIALS = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *(
        "[/TOOL_RESULTS]",
        "[TOOL_CALLS]",
        "[IMG]",
        "<pad>",
        "[IMG_BREAK]",
        "[IMG_END]",
        "[PREFIX]",
        "[MIDDLE]",
        "[SUFFIX]",
    ),
    *("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]", *(f"<SPECIAL_{i}>" for i in range(20, 24))),
    *("[AUDIO]", "[BEGIN_AUDIO]", *(f"<SPECIAL_{i}>" for i in range(26, 34)), "[TRANSCRIBE]"),
)
"""The first of Voxtral's 1,000 special tokens, in the order of their ids."""


def build_tekken(texts: Iterable[str], window_s: int, vocabulary: int = 2048) -> dict[str, Any]:
    """The content of a tekken.json with up to `vocabulary` tokens beside the special ones: their bytes in the order in
    which they are merged, single bytes first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(TEKKEN_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([*BASE_TEXTS, *texts], trainer)
    byte_of = {character: byte for byte, character in bytes_to_unicode().items()}
    learned = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    merged = [bytes(byte_of[character] for character in name) for name, _ in learned if len(name) > 1]
    tokens = [*(bytes([byte]) for byte in range(256)), *merged]
    return {
        "config": {
            "pattern": TEKKEN_PATTERN,
            "num_vocab_tokens": len(tokens),
            "default_vocab_size": len(tokens) + len(TEKKEN_SPECIALS),
            "default_num_special_tokens": len(TEKKEN_SPECIALS),
            "version": "v7",
        },
        "vocab": [
            {
                "rank": rank,
                "token_bytes": base64.b64encode(token).decode(),
                "token_str": token.decode(errors="replace"),
            }
            for rank, token in enumerate(tokens)
        ],
        "special_tokens": [
            {"rank": i, "token_str": name, "is_control": True} for i, name in enumerate(TEKKEN_SPECIALS)
        ],
        "audio": {
            "sampling_rate": 16_000,
            "frame_rate": 12.5,
            "chunk_length_s": float(window_s),
            "audio_encoding_config": {"num_mel_bins": 128, "hop_length": 160, "window_size": 400},
        },
    }
