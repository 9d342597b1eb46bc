"""Conversations as token ids and token ids as text, by a checkpoint's tokenizer and chat template.

Every `ChatAudioModel` holds one `ChatTokens`. A clip is one placeholder in the rendered text and one placeholder for
each audio feature in the token ids.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harken.errors import CheckpointError, DataError
from harken.models.chat_template import apply_template
from harken.types import Conversation


class ChatTokens:
    """Tokenizer and chat template of one checkpoint.

    Args:
        audio_token: the placeholder that the chat template writes once for a clip.
        audio_token_id: its id in the model's config. Raises CheckpointError where the tokenizer has another.
        around_clips: what the model's processor writes before and after the placeholders of a clip.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        audio_token: str,
        audio_token_id: int,
        around_clips: tuple[str, str] = ("", ""),
    ) -> None:
        if tokenizer.convert_tokens_to_ids(audio_token) != audio_token_id:
            raise CheckpointError(
                f"the config says that token {audio_token_id} stands for audio, the tokenizer's {audio_token!r} is "
                f"{tokenizer.convert_tokens_to_ids(audio_token)}: model and tokenizer are of different checkpoints"
            )
        self.tokenizer = tokenizer
        self._control_tokens = control_tokens(tokenizer)
        self.audio_token = audio_token
        self.audio_token_id = audio_token_id
        self._before, self._after = around_clips

    def render_text(self, conversation: Conversation, clips: int) -> str:
        """The prompt with one placeholder in the place of each clip, ready for the assistant's answer."""
        _refuse_control_tokens(conversation, self._control_tokens, self.tokenizer.name_or_path)
        text = self._apply_template(conversation, add_generation_prompt=True)
        if text.count(self.audio_token) != clips:
            raise DataError(
                f"{text.count(self.audio_token)} audio places in the rendered prompt for {clips} clips: {text[:200]!r}"
            )
        return text

    def tokenize(self, text: str, audio_tokens: Sequence[int]) -> Tensor:
        """[T] int64, with each clip's placeholder repeated as often as `audio_tokens` says of the clip."""
        first, *others = text.split(self.audio_token)
        repeated = [
            self._before + self.audio_token * n + self._after + part
            for n, part in zip(audio_tokens, others, strict=True)
        ]
        return self._ids(first + "".join(repeated))

    def count(self, text: str, audio_tokens: Sequence[int]) -> int:
        """The number of tokens that `tokenize` gives. A placeholder is one token whatever stands beside it, so that a
        long clip needs no long text."""
        marked = text.replace(self.audio_token, self._before + self.audio_token + self._after)
        return len(self._id_list(marked)) + sum(audio_tokens) - len(audio_tokens)

    def decode(self, token_ids: Sequence[int]) -> str:
        text = self.tokenizer.decode(list(token_ids), skip_special_tokens=True)
        assert isinstance(text, str)
        return text

    def encode_answer(self, text: str, end_of_turn: int) -> Tensor:
        ids = self._ids(text)
        return torch.cat([ids, ids.new_tensor([end_of_turn])])

    def eos_token_ids(self, module: PreTrainedModel) -> tuple[int, ...]:
        """The tokens that end a completion: first the one that the chat template writes after an assistant's text, then
        the tokenizer's eos_token (in some checkpoints the end of a document) and those of the generation config."""
        configured = None if module.generation_config is None else module.generation_config.eos_token_id
        several = configured if isinstance(configured, list) else [configured]
        ids = (self._end_of_turn(), self.tokenizer.eos_token_id, *several)
        distinct = tuple(dict.fromkeys(token for token in ids if isinstance(token, int)))
        if not distinct:
            raise CheckpointError("no end-of-sequence token: not in the chat template, tokenizer or generation config")
        return distinct

    def _end_of_turn(self) -> int | None:
        answer = "42"
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": answer}]
        try:
            after = self._apply_template(turns, add_generation_prompt=False).rpartition(answer)[2]
        except DataError:  # a template that knows no assistant's turn
            return None
        if not after:
            return None
        first = int(self._ids(after)[0])
        return first if first in self.tokenizer.added_tokens_decoder else None

    def _apply_template(self, conversation: Conversation, *, add_generation_prompt: bool) -> str:
        try:
            return apply_template(self.tokenizer, conversation, add_generation_prompt=add_generation_prompt)
        except DataError as error:
            raise DataError(f"the checkpoint's chat template {error}") from error

    def _ids(self, text: str) -> Tensor:
        return torch.tensor(self._id_list(text), dtype=torch.long)

    def _id_list(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False, return_attention_mask=False)["input_ids"]


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Every token that is no text. `all_special_tokens` holds only those that have a role in the tokenizer. An empty
    token, which some tokenizer_config.json name, is in every text and spells nothing."""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    return sorted({*tokenizer.all_special_tokens, *added} - {""})


def _refuse_control_tokens(conversation: Conversation, control: Sequence[str], tokenizer: str) -> None:
    """Raise DataError where a text of the conversation contains a control token. Questions are data: one that contains
    `<|im_end|>` would end its own turn.

    Args:
        tokenizer: its name, for the error: the token may be there by mistake.
    """
    for message in conversation:
        content = message["content"]
        texts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        for token in control:
            if any(token in text for text in texts):
                raise DataError(f"the text holds the control token {token!r} of the tokenizer {tokenizer}")
