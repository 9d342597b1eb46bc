"""Finds the chat template of a checkpoint and applies it. A template is somebody's program, so whatever it raises is an
error about the checkpoint.

Checkpoints keep their template in chat_template.json, chat_template.jinja, processor_config.json or
tokenizer_config.json, and some have two that differ: the tokenizer's own may know text only.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.utils.hub import cached_file

from harken.errors import CheckpointError, DataError
from harken.models.checkpoint_json import read_checkpoint_json

_FILES = ("chat_template.json", "processor_config.json")
"""Files with a key `chat_template`, which a tokenizer does not read."""
_PROBE = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "?"}]}]


def choose_chat_template(
    path: str, tokenizer: PreTrainedTokenizerBase, audio_token: str, processors: Any = None
) -> str:
    """The first template of the checkpoint that writes one `audio_token` for a clip. The tokenizer gets it.

    Args:
        processors: transformers' processor of the checkpoint, whose template comes first; None where none is used.

    Raises CheckpointError where there is no such template; it says what is wrong with each that there is.
    """
    faults = []
    for place, template in _templates(path, tokenizer, processors):
        tokenizer.chat_template = template
        try:
            places = apply_template(tokenizer, _PROBE, add_generation_prompt=True).count(audio_token)
        except DataError as error:
            faults.append(f"that of {place} {error}")
            continue
        if places == 1:
            return template
        faults.append(f"that of {place} writes {places} {audio_token} for a clip")
    if not faults:
        raise CheckpointError(
            f"{path}: no chat template (chat_template.jinja, chat_template.json, or in tokenizer_config.json); fetch "
            "the files of the instruction-tuned checkpoint"
        )
    raise CheckpointError(
        f"{path}: no chat template for a clip: {'; '.join(faults)}. Take that of the published checkpoint"
    )


def apply_template(
    tokenizer: PreTrainedTokenizerBase, conversation: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool
) -> str:
    """The conversation as text. Raises DataError with the reason where the template refuses it."""
    try:
        text = tokenizer.apply_chat_template(
            [dict(turn) for turn in conversation], tokenize=False, add_generation_prompt=add_generation_prompt
        )
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"cannot be applied to this conversation ({type(error).__name__}: {reason})") from error
    assert isinstance(text, str)
    return text


def _templates(path: str, tokenizer: PreTrainedTokenizerBase, processors: Any) -> Iterator[tuple[str, str]]:
    """(where it stands, template), without repetition, those of a processor first."""
    named = [("the processor", getattr(processors, "chat_template", None))]
    for name in _FILES:
        file = cached_file(
            path, name, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
        )
        named.append((name, None if file is None else read_checkpoint_json(Path(file)).get("chat_template")))
    named.append(("the tokenizer", tokenizer.chat_template))
    seen = set()
    for place, template in named:
        if isinstance(template, dict):
            template = template.get("default")
        if isinstance(template, str) and template not in seen:
            seen.add(template)
            yield place, template
