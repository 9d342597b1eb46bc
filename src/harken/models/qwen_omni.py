"""Qwen2.5-Omni's thinker as an `AudioLM`.

Takes a local folder or Hub id (7B and 3B alike, the full checkpoint or a thinker alone), gives the split model that GRPO
needs. The talker is never loaded and the vision tower is dropped. Not taken: `Qwen2_5OmniProcessor` (its video part
needs torchvision; an audio prompt needs only tokenizer, chat template and feature extractor) and the model's own
position ids (`rope_deltas` survive from one call to the next; an audio-only prompt has plain positions, three equal rows).
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoTokenizer,
    Cache,
    DynamicCache,
    PreTrainedTokenizerBase,
    Qwen2_5OmniThinkerConfig,
    WhisperFeatureExtractor,
)

from harken.errors import CheckpointError
from harken.models.base import ModelInput, refuse_control_tokens
from harken.types import Conversation, Waveform

AUDIO_BOS, AUDIO_TOKEN, AUDIO_EOS = "<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>"
SAMPLE_RATE_HZ = 16_000


class Qwen2_5OmniThinkerForConditionalGeneration(transformers.Qwen2_5OmniThinkerForConditionalGeneration):
    """The thinker without its vision tower (0.67 B parameters in the 7B), which an audio prompt never calls.

    Dropped while the parameters are still on the meta device, so it is never read from disk into memory. The name is the
    parent's because checkpoints record it.
    """

    _keys_to_ignore_on_load_unexpected = [r"^talker", r"^token2wav", r"visual\."]  # noqa: RUF012

    def __init__(self, config: Qwen2_5OmniThinkerConfig) -> None:
        super().__init__(config)
        self.model.visual = None  # pyright: ignore[reportAttributeAccessIssue]

    @classmethod
    def is_custom_code(cls) -> bool:
        """transformers renames published weight names only for its own classes; these are its own."""
        return False


class QwenOmni:
    """See `AudioLM` for what each method promises."""

    arch = "qwen2_5_omni"

    def __init__(
        self,
        module: Qwen2_5OmniThinkerForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        feature_extractor: WhisperFeatureExtractor,
    ) -> None:
        self.module = module
        self.tokenizer = tokenizer
        self.feature_extractor = feature_extractor
        self.audio_token_id: int = module.config.audio_token_id
        end_of_turn = tokenizer.eos_token_id
        if not isinstance(end_of_turn, int):
            raise CheckpointError("the tokenizer names no eos_token")
        self.eos_token_ids = (end_of_turn, *_extra_eos(module, end_of_turn))
        self.max_samples = int(feature_extractor.n_samples)
        self._hop = int(feature_extractor.hop_length)
        self.min_samples = next(n for n in range(1, SAMPLE_RATE_HZ) if self._audio_tokens(n // self._hop) > 0)

    @classmethod
    def load(cls, path: str, dtype: torch.dtype) -> "QwenOmni":
        module, info = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(
            path, dtype=dtype, output_loading_info=True, attn_implementation="sdpa"
        )
        wrong = info["missing_keys"]
        if wrong or info["mismatched_keys"]:
            raise CheckpointError(
                f"{path}: not a whole Qwen2.5-Omni thinker: {len(wrong)} weights missing "
                f"({', '.join(sorted(wrong)[:3])}), {len(info['mismatched_keys'])} of another shape"
            )
        return cls(module, AutoTokenizer.from_pretrained(path), WhisperFeatureExtractor.from_pretrained(path))

    @classmethod
    def load_without_weights(cls, path: str) -> "QwenOmni":
        config = AutoConfig.from_pretrained(path)
        with torch.device("meta"):
            module = Qwen2_5OmniThinkerForConditionalGeneration(getattr(config, "thinker_config", config))
        return cls(module, AutoTokenizer.from_pretrained(path), WhisperFeatureExtractor.from_pretrained(path))

    @property
    def device(self) -> torch.device:
        return self.module.lm_head.weight.device

    def _audio_tokens(self, frames: int) -> int:
        return max(0, ((frames - 1) // 2 + 1 - 2) // 2 + 1) if frames > 0 else 0

    def render(self, conversation: Conversation, waveform: Waveform | None) -> ModelInput:
        text = self._render_text(conversation, has_audio=waveform is not None)
        features = None if waveform is None else self._features(waveform)
        ids = self._tokenize(text, 0 if features is None else self._audio_tokens(features.shape[1]))
        return ModelInput(input_ids=ids, features=features, text=text)

    def prompt_length(self, conversation: Conversation, samples: int | None) -> int:
        text = self._render_text(conversation, has_audio=samples is not None)
        return len(self._tokenize(text, 0 if samples is None else self._audio_tokens(samples // self._hop)))

    def _render_text(self, conversation: Conversation, *, has_audio: bool) -> str:
        refuse_control_tokens(conversation, self.tokenizer)
        text = self.tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
        assert isinstance(text, str)
        if text.count(AUDIO_TOKEN) != has_audio:
            raise ValueError(
                f"{text.count(AUDIO_TOKEN)} audio places in the rendered prompt for {int(has_audio)} clips: {text[:200]!r}"
            )
        return text

    def _tokenize(self, text: str, audio_tokens: int) -> Tensor:
        expanded = text.replace(AUDIO_TOKEN, AUDIO_TOKEN * audio_tokens)
        return self.tokenizer(expanded, add_special_tokens=False, return_tensors="pt")["input_ids"][0].long()

    def _features(self, waveform: Waveform) -> Tensor:
        if not self.min_samples <= len(waveform) <= self.max_samples:
            raise ValueError(
                f"a clip of {len(waveform)} samples is outside what the model hears, "
                f"{self.min_samples} to {self.max_samples} samples at {SAMPLE_RATE_HZ} Hz"
            )
        out = self.feature_extractor(
            waveform, sampling_rate=SAMPLE_RATE_HZ, padding="longest", truncation=False, return_tensors="pt"
        )
        return out["input_features"][0]

    def encode_audio(self, inputs: Sequence[ModelInput]) -> list[Tensor | None]:
        heard = [one.features for one in inputs if one.features is not None]
        if not heard:
            return [None] * len(inputs)
        lengths = torch.tensor([features.shape[1] for features in heard], device=self.device)
        stacked = torch.cat(heard, dim=1).to(self.device, self.module.model.audio_tower.conv1.weight.dtype)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.audio_trains):
            encoded = self.module.model.audio_tower(stacked, feature_lens=lengths).last_hidden_state
        counts = [self._audio_tokens(features.shape[1]) for features in heard]
        if encoded.shape[0] != sum(counts):
            raise ValueError(f"the audio tower gave {encoded.shape[0]} features where {sum(counts)} were expected")
        pieces = iter(encoded.split(counts))
        result: list[Tensor | None] = []
        for one in inputs:
            piece = next(pieces) if one.features is not None else None
            self._check_places(one, piece)
            result.append(piece)
        return result

    def _check_places(self, one: ModelInput, audio: Tensor | None) -> None:
        places = int((one.input_ids == self.audio_token_id).sum())
        features = 0 if audio is None else audio.shape[0]
        if places != features:
            raise ValueError(f"{features} audio features for {places} audio tokens in the prompt {one.text[:80]!r}")

    def embed(self, inputs: Sequence[ModelInput], audio: Sequence[Tensor | None]) -> list[Tensor]:
        embedded = []
        for one, features in zip(inputs, audio, strict=True):
            self._check_places(one, features)
            ids = one.input_ids.to(self.device)
            tokens = self.embed_tokens(ids)
            if features is not None:
                places = (ids == self.audio_token_id)[:, None].expand_as(tokens)
                tokens = tokens.masked_scatter(places, features.to(tokens.dtype))
            embedded.append(tokens)
        return embedded

    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        return self.module.model.language_model.embed_tokens(token_ids)

    def hidden(self, embeddings: Tensor, positions: Tensor, mask: Tensor, cache: Cache | None = None) -> Tensor:
        return self.module.model.language_model(
            inputs_embeds=embeddings,
            position_ids=positions[None].expand(3, -1, -1),
            attention_mask={"full_attention": mask, "sliding_attention": mask},
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        logits = self.module.lm_head(hidden)
        return logits if logits.dtype == torch.float64 else logits.float()

    def new_cache(self) -> Cache:
        return DynamicCache(config=self.module.config.text_config)

    def decode(self, token_ids: Sequence[int]) -> str:
        text = self.tokenizer.decode(list(token_ids), skip_special_tokens=True)
        assert isinstance(text, str)
        return text

    def encode_answer(self, text: str) -> Tensor:
        ids = self.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"][0].long()
        return torch.cat([ids, ids.new_tensor([self.eos_token_ids[0]])])

    def set_trainable(self, *, audio_tower: bool, projector: bool, language_model: bool) -> None:
        tower = self.module.model.audio_tower
        self.module.requires_grad_(False)
        tower.requires_grad_(audio_tower)
        tower.proj.requires_grad_(projector)
        # Never read in audio-only prompts: an embedding for boundaries that the text tokens already mark.
        tower.audio_bos_eos_token.requires_grad_(False)
        self.module.model.language_model.requires_grad_(language_model)
        self.module.lm_head.requires_grad_(language_model)

    @property
    def audio_trains(self) -> bool:
        return any(parameter.requires_grad for parameter in self.module.model.audio_tower.parameters())

    def save(self, folder: Path) -> None:
        self.module.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.feature_extractor.save_pretrained(folder)


def _extra_eos(module: nn.Module, first: int) -> tuple[int, ...]:
    named = module.generation_config.eos_token_id  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    several = named if isinstance(named, list) else [] if named is None else [named]
    return tuple(token for token in several if token != first)
