"""What chat models that hear have in common: a conversation as token ids, and audio features in their places.

Takes a checkpoint's tokenizer, chat template and audio placeholder, gives prompts, merged embeddings and texts. Every
architecture holds one `ChatAudio` and calls the functions below it. Not taken: a base class; what a model does is read
in its own file, and what it shares is called by name.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase

from harken.errors import CheckpointError
from harken.models.audio_lm import ModelInput, refuse_control_tokens
from harken.types import Conversation, Waveform

SAMPLE_RATE_HZ = 16_000


class ChatAudio:
    """Conversation <-> tokens for one checkpoint.

    Args:
        audio_token: what the chat template writes once for a clip; here it is repeated once per audio feature.
        audio_token_id: the same by the model's config. Raises CheckpointError where the tokenizer disagrees.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, audio_token: str, audio_token_id: int) -> None:
        if tokenizer.convert_tokens_to_ids(audio_token) != audio_token_id:
            raise CheckpointError(
                f"the config says that token {audio_token_id} stands for audio, the tokenizer's {audio_token!r} is "
                f"{tokenizer.convert_tokens_to_ids(audio_token)}: model and tokenizer are of different checkpoints"
            )
        self.tokenizer = tokenizer
        self.audio_token = audio_token
        self.audio_token_id = audio_token_id

    def render_text(self, conversation: Conversation, *, has_audio: bool) -> str:
        """The prompt with one placeholder where the clip goes, open for the assistant's answer."""
        refuse_control_tokens(conversation, self.tokenizer)
        text = self._apply_template(conversation, add_generation_prompt=True)
        if text.count(self.audio_token) != has_audio:
            raise ValueError(
                f"{text.count(self.audio_token)} audio places in the rendered prompt for {int(has_audio)} clips: "
                f"{text[:200]!r}"
            )
        return text

    def tokenize(self, text: str, audio_tokens: int) -> Tensor:
        """[T] int64, the placeholder present `audio_tokens` times."""
        return self._ids(text.replace(self.audio_token, self.audio_token * audio_tokens))

    def hand_out(self, inputs: Sequence[ModelInput], pieces: Iterable[Tensor]) -> list[Tensor | None]:
        """One [audio tokens, H] per prompt with audio, None for the others; counts checked."""
        pieces = iter(pieces)
        result: list[Tensor | None] = []
        for one in inputs:
            piece = next(pieces) if one.features is not None else None
            self.check_places(one, piece)
            result.append(piece)
        return result

    def check_places(self, one: ModelInput, audio: Tensor | None) -> None:
        places = int((one.input_ids == self.audio_token_id).sum())
        features = 0 if audio is None else audio.shape[0]
        if places != features:
            raise ValueError(f"{features} audio features for {places} audio tokens in the prompt {one.text[:80]!r}")

    def embed(
        self,
        inputs: Sequence[ModelInput],
        audio: Sequence[Tensor | None],
        embed_tokens: Callable[[Tensor], Tensor],
        device: torch.device,
    ) -> list[Tensor]:
        """Token embeddings with the audio features put in their places: [T, H] each."""
        embedded = []
        for one, features in zip(inputs, audio, strict=True):
            self.check_places(one, features)
            ids = one.input_ids.to(device)
            tokens = embed_tokens(ids)
            if features is not None:
                places = (ids == self.audio_token_id)[:, None].expand_as(tokens)
                tokens = tokens.masked_scatter(places, features.to(tokens.dtype))
            embedded.append(tokens)
        return embedded

    def decode(self, token_ids: Sequence[int]) -> str:
        text = self.tokenizer.decode(list(token_ids), skip_special_tokens=True)
        assert isinstance(text, str)
        return text

    def encode_answer(self, text: str, end_of_turn: int) -> Tensor:
        ids = self._ids(text)
        return torch.cat([ids, ids.new_tensor([end_of_turn])])

    def eos_token_ids(self, module: PreTrainedModel) -> tuple[int, ...]:
        """What ends a completion: first what the chat template writes after an assistant's text, then the tokenizer's
        eos_token and those that the generation config names. (Some tokenizers name the end of a document.)"""
        named = None if module.generation_config is None else module.generation_config.eos_token_id
        several = named if isinstance(named, list) else [named]
        ids = (self._end_of_turn(), self.tokenizer.eos_token_id, *several)
        found = tuple(dict.fromkeys(token for token in ids if isinstance(token, int)))
        if not found:
            raise CheckpointError("no end-of-sequence token: not in the chat template, tokenizer or generation config")
        return found

    def _end_of_turn(self) -> int | None:
        said = "42"
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": said}]
        after = self._apply_template(turns, add_generation_prompt=False).rpartition(said)[2]
        if not after:
            return None
        first = int(self._ids(after)[0])
        return first if first in self.tokenizer.added_tokens_decoder else None

    def _apply_template(self, conversation: Conversation, *, add_generation_prompt: bool) -> str:
        text = self.tokenizer.apply_chat_template(
            conversation,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
        )
        assert isinstance(text, str)
        return text

    def _ids(self, text: str) -> Tensor:
        return self.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"][0].long()


def audio_tokens(frames: int) -> int:
    """Of so many 10 ms frames: a convolution and a pooling, each of stride 2, as Whisper's children have."""
    return max(0, ((frames - 1) // 2 + 1 - 2) // 2 + 1) if frames > 0 else 0


def check_length(waveform: Waveform, min_samples: int, max_samples: int) -> None:
    if not min_samples <= len(waveform) <= max_samples:
        raise ValueError(
            f"a clip of {len(waveform)} samples is outside what the model hears, "
            f"{min_samples} to {max_samples} samples at {SAMPLE_RATE_HZ} Hz"
        )


def spectrograms(extractor: Any, clips: Sequence[Waveform], *, padding: str) -> Tensor:
    """[N, mel bins, frames] float32, also where the model's own arithmetic is mixed. padding: longest or max_length."""
    with torch.autocast("cpu", enabled=False):
        made = extractor(
            list(clips), sampling_rate=SAMPLE_RATE_HZ, padding=padding, truncation=False, return_tensors="pt"
        )
    return made["input_features"]


def load_whole(module_class: Any, path: str, what: str, **options) -> Any:
    """`module_class.from_pretrained`. Raises CheckpointError where the checkpoint lacks weights of the model or has
    them in another shape: transformers would go on with random ones."""
    # Not ignored: transformers' own error names neither the checkpoint nor the weights.
    module, info = module_class.from_pretrained(path, output_loading_info=True, ignore_mismatched_sizes=True, **options)
    missing, mismatched = info["missing_keys"], info["mismatched_keys"]
    if missing or mismatched:
        raise CheckpointError(
            f"{path}: not a whole {what}: {len(missing)} weights missing "
            f"({', '.join(sorted(missing)[:3])}), {len(mismatched)} of another shape"
        )
    return module


def save_weights(
    module: PreTrainedModel, adapters: PeftModel | None, folder: Path, weights: Mapping[str, Tensor] | None = None
) -> None:
    """The model's weights and config; with adapters, theirs alone. `weights` as in `AudioLM.save`."""
    state = None if weights is None else dict(weights)
    if adapters is None:
        module.save_pretrained(folder, state_dict=state)
    else:
        # No look at the base's embeddings, which would ask the Hub; the model card is a template.
        adapters.save_pretrained(str(folder), save_embedding_layers=False, state_dict=state)
        (folder / "README.md").unlink(missing_ok=True)


def language_model_hidden(
    language_model: nn.Module,
    embeddings: Tensor,
    position_ids: Tensor,
    mask: Tensor | None,
    cache: Cache | None,
    read: Tensor | None,
) -> Tensor:
    """A Qwen2 language model without its head, under exactly the [B, 1, T, K] bool mask given; None: causal."""
    with _last_block_at(language_model, embeddings, read):
        return language_model(
            inputs_embeds=embeddings,
            position_ids=position_ids,
            attention_mask={"full_attention": mask, "sliding_attention": mask},
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state


@contextlib.contextmanager
def _last_block_at(language_model: nn.Module, embeddings: Tensor, read: Tensor | None) -> Iterator[None]:
    """The last block's feed-forward layer at [N] places of the flattened rows alone: nothing reads the others. Not
    where blocks are made again in the backward pass, after this has ended."""
    layers: Any = language_model.layers
    last = layers[-1]
    if read is None or (last.gradient_checkpointing and last.training):
        yield
        return
    places = read.unique().to(embeddings.device)  # a copy's gradient would count twice
    rows, width = math.prod(embeddings.shape[:2]), embeddings.shape[2]

    def choose(mlp: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        return (arguments[0].flatten(0, 1)[places],)

    def put_back(mlp: nn.Module, arguments: tuple[Tensor], output: Tensor) -> Tensor:
        return output.new_zeros(rows, width).index_copy(0, places, output).view(embeddings.shape)

    hooks = (last.mlp.register_forward_pre_hook(choose), last.mlp.register_forward_hook(put_back))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def head_logits(lm_head: nn.Module, hidden: Tensor) -> Tensor:
    logits = lm_head(hidden)
    return logits if logits.dtype == torch.float64 else logits.float()
