"""`harken assemble`: a Whisper encoder and a language model become one checkpoint of the Qwen2-Audio architecture.

The folder is in Hugging Face layout: transformers and harken load it, and vLLM does where the window is 30 s and the
language model is a Qwen2 or Llama. Every weight of the parts stays as it is; only the projector between them is random.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    GenerationConfig,
    Qwen2AudioConfig,
    Qwen2AudioEncoder,
    Qwen2AudioEncoderConfig,
    Qwen2AudioProcessor,
)

from harken.assembly.audio_part import AudioPart, read_audio_part
from harken.assembly.card import assembled_card
from harken.assembly.chat_template import with_audio_places
from harken.assembly.language_part import AUDIO_TOKENS, LanguagePart, read_language_part
from harken.assembly.projector import projector_weights
from harken.errors import CheckpointError
from harken.models.chat_template import choose_chat_template
from harken.models.precision import state_written_dtype
from harken.system.files import replacing, write_text


@dataclass(frozen=True, slots=True)
class Assembled:
    """A checkpoint that was assembled.

    Attributes:
        parameters: name of a part -> the number of its parameters.
        added_tokens: the number of tokens that were added to the vocabulary.
        family: of the language model, such as qwen2.
    """

    parameters: dict[str, int]
    added_tokens: int
    family: str


def assemble(encoder: str, language_model: str, out: Path, *, window_s: int = 30, seed: int = 0) -> Assembled:
    """Write the checkpoint into the new folder `out`.

    Args:
        encoder: a Whisper model or its encoder, a folder in Hugging Face layout or a Hub id.
        language_model: a Qwen2, Qwen2.5, Qwen3 or Llama model, as the encoder.
        window_s: seconds that the tower hears at once; vLLM serves 30 alone.
        seed: of the projector.

    Raises CheckpointError where a part cannot be used, and where `out` holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(f"{out}: exists already; choose another --out")
    audio = read_audio_part(encoder, window_s)
    language = read_language_part(language_model)
    projector = projector_weights(_tower(audio), audio, language.embeddings, seed)
    if out.is_dir():
        out.rmdir()
    with replacing(out) as folder:
        folder.mkdir()
        weights = audio.weights | projector | language.weights
        save_file(
            {name: tensor.contiguous() for name, tensor in weights.items()},
            folder / "model.safetensors",
            {"format": "pt"},
        )
        _write_config(folder, audio, language)
        _write_processor(folder, audio, language)
        write_text(
            folder / "README.md", assembled_card(encoder, language_model, window_s, language.text_config["model_type"])
        )
    return Assembled(
        {
            "audio tower": _count(audio.weights),
            "projector": _count(projector),
            "language model": _count(language.weights),
        },
        len(language.tokenizer) - language.own_tokens,
        language.text_config["model_type"],
    )


def _tower(part: AudioPart) -> Any:
    """The tower with its weights, on the CPU in float32."""
    tower = Qwen2AudioEncoder(Qwen2AudioEncoderConfig(**part.audio_config))
    tower.load_state_dict({name.removeprefix("audio_tower."): tensor.float() for name, tensor in part.weights.items()})
    return tower.eval()


def _write_config(folder: Path, audio: AudioPart, language: LanguagePart) -> None:
    tokenizer: Any = language.tokenizer
    config: Any = Qwen2AudioConfig(
        audio_config=audio.audio_config,
        text_config=language.text_config,
        audio_token_index=tokenizer.convert_tokens_to_ids(AUDIO_TOKENS[0]),
    )
    config.architectures = ["Qwen2AudioForConditionalGeneration"]
    config.tie_word_embeddings = False
    config.save_pretrained(folder)
    state_written_dtype(folder)
    GenerationConfig(
        eos_token_id=language.eos_token_ids, pad_token_id=tokenizer.pad_token_id, do_sample=False
    ).save_pretrained(folder)


def _write_processor(folder: Path, audio: AudioPart, language: LanguagePart) -> None:
    """Tokenizer, feature extractor and a chat template that writes one place for a clip."""
    tokenizer: Any = language.tokenizer
    tokenizer.chat_template = with_audio_places(tokenizer.chat_template)
    processor: Any = Qwen2AudioProcessor(audio.extractor, tokenizer, chat_template=tokenizer.chat_template)
    processor.save_pretrained(folder)
    processor.feature_extractor.save_pretrained(folder)
    choose_chat_template(str(folder), tokenizer, AUDIO_TOKENS[0], processor)  # refuses one that writes another number


def _count(weights: dict[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in weights.values())
