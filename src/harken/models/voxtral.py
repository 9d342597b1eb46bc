"""Voxtral (mistralai/Voxtral-Mini-3B-2507 and Voxtral-Small-24B-2507) as an `AudioLM`.

Its tower is Whisper's encoder without a mask: silence after a clip is heard, up to the end of a window of 30 s, so a
clip of any length takes whole windows of 375 audio tokens. An audio token is four positions of the tower side by side.
The language model is a Llama. Checkpoints have Mistral's own tokenizer, tekken.json, which transformers reads, and no
chat template: mistral-common writes prompts in Python, and `CHAT_TEMPLATE` is the form that it gives them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    VoxtralForConditionalGeneration,
    WhisperFeatureExtractor,
)
from transformers.integrations.mistral.tokenizer import convert_tekken_tokenizer
from transformers.utils.hub import cached_file

from harken.errors import CheckpointError
from harken.models.audio_features import spectrograms, split_by_clip
from harken.models.whisper_tower_model import WhisperTowerModel
from harken.models.whisper_windows import WhisperWindows
from harken.types import Waveform

TOKENIZER_FILE = "tekken.json"
AUDIO_TOKEN = "[AUDIO]"
MOST_WINDOWS = 80
"""40 minutes, the longest sound that the model card names for questions: 30,000 of its 32,000 tokens."""

CHAT_TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{%- if message.role == 'user' -%}{%- set marks = ['[INST]', '[/INST]'] -%}"
    "{%- elif message.role == 'assistant' -%}{%- set marks = ['', eos_token] -%}"
    "{%- else -%}{%- set marks = ['[SYSTEM_PROMPT]', '[/SYSTEM_PROMPT]'] -%}{%- endif -%}"
    "{{- marks[0] -}}"
    "{%- if message.content is string -%}{{- message.content -}}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'text' -%}"
    "{%- if loop.previtem is defined and loop.previtem.type == 'text' -%}{{- '\\n\\n' -}}{%- endif -%}"
    "{{- part.text -}}"
    "{%- elif messages[0].role == 'system' -%}"
    "{{- raise_exception('Voxtral takes no system turn beside a clip; leave out prompt.system') -}}"
    "{%- else -%}{{- '[BEGIN_AUDIO][AUDIO]' -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- marks[1] -}}"
    "{%- endfor -%}"
)
"""Prompts as mistral-common 1.13 writes them for tokenizers of its version 7, which Voxtral has."""


class Voxtral(WhisperTowerModel):
    """See `AudioLM` for what each method promises.

    Args:
        tekken: the bytes of tekken.json, which are saved as they are.
    """

    arch = "voxtral"
    module_class = VoxtralForConditionalGeneration
    text_model_types = frozenset({"llama"})
    masks_by_kind = False

    def __init__(
        self,
        module: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        feature_extractor: WhisperFeatureExtractor,
        tekken: bytes,
    ) -> None:
        tower: Any = module.config.audio_config
        positions, stacked = int(tower.max_source_positions), tower.intermediate_size // tower.hidden_size
        if stacked * tower.hidden_size != tower.intermediate_size or positions % stacked != 0:
            raise CheckpointError(
                f"config.json: {positions} positions of width {tower.hidden_size} cannot be laid side by side to audio "
                f"tokens of width {tower.intermediate_size} (intermediate_size); fetch config.json again"
            )
        self._windows = WhisperWindows(feature_extractor, positions)
        self._tokens_per_window = positions // stacked
        self._tekken = tekken
        super().__init__(module, tokenizer, feature_extractor, AUDIO_TOKEN, MOST_WINDOWS * self._windows.samples)

    @classmethod
    def with_module(cls, module: Any, path: str) -> Self:
        file = cached_file(
            path,
            TOKENIZER_FILE,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        if file is None:
            raise CheckpointError(
                f"{path}: no {TOKENIZER_FILE}, the tokenizer of a Voxtral; fetch the checkpoint again"
            )
        tokenizer = convert_tekken_tokenizer(file, CHAT_TEMPLATE)
        tokenizer.name_or_path = path
        return cls(module, tokenizer, WhisperFeatureExtractor.from_pretrained(path), Path(file).read_bytes())

    def _count_audio_tokens(self, samples: int) -> int:
        return self._count_windows(samples) * self._tokens_per_window

    def _count_windows(self, samples: int) -> int:
        return -(-samples // self._windows.samples)

    def _features(self, waveform: Waveform) -> Tensor:
        """One spectrogram of the clip and the silence after it, as the model's own processor makes it. All frames of
        silence are equal, and only the first is kept."""
        extractor = self.feature_extractor
        padded = np.zeros(self._count_windows(len(waveform)) * self._windows.samples, dtype=np.float32)
        padded[: len(waveform)] = waveform
        mel = spectrograms(extractor, [padded], padding="longest")[0]
        silent = -(-(len(waveform) + extractor.n_fft // 2) // extractor.hop_length)  # a frame sees n_fft / 2 either way
        return mel[:, : silent + 1].clone()

    def _whole_windows(self, features: Tensor) -> Tensor:
        """[mel bins, F] -> [windows, mel bins, frames], filled up with the last frame, which is silent wherever
        anything is missing."""
        missing = -features.shape[1] % self._windows.frames
        row = F.pad(features, (0, missing), mode="replicate")
        return row.unflatten(1, (-1, self._windows.frames)).transpose(0, 1)

    def _tower(self, clips: Sequence[Tensor]) -> Sequence[Tensor]:
        tower: Any = self.parts["audio_tower"]
        windows = [self._whole_windows(features) for features in clips]
        encoded = tower(torch.cat(windows).to(self.device)).last_hidden_state
        tokens = encoded.reshape(-1, tower.config.intermediate_size)
        return split_by_clip(tokens, [len(each) * self._tokens_per_window for each in windows])

    def _save_processors(self, folder: Path) -> None:
        (folder / TOKENIZER_FILE).write_bytes(self._tekken)
        self.feature_extractor.save_pretrained(folder)
