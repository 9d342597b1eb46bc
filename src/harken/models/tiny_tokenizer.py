"""A small tokenizer and chat template for tiny checkpoints.

`tiny_checkpoint` gives it the texts that it should know and the way an architecture marks audio, and gets a byte-level
BPE tokenizer that can spell any text. The embeddings of a published tokenizer's 150,000 tokens would be far larger than
the rest of a tiny model.
"""

from collections.abc import Iterable, Sequence

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

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
