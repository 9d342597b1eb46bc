"""The model card of an assembled checkpoint: its parts with their licences, and what it can and cannot do yet."""

from pathlib import Path

import yaml

from harken.export.card_header import is_hub_id, read_base_header
from harken.export.model_card import escaped


def assembled_card(encoder: str, language_model: str, window_s: int, family: str) -> str:
    """The text of README.md.

    Args:
        family: the `model_type` of the text part.
    """
    parts = {"Audio tower": encoder, "Language model": language_model}
    licences = {part: _licence(path) for part, path in parts.items()}
    header = {
        "library_name": "transformers",
        "pipeline_tag": "audio-text-to-text",
        "license": licences["Language model"] if len(set(licences.values())) == 1 else "other",
        "tags": ["harken", "audio-question-answering"],
    }
    hub = [path for path in parts.values() if is_hub_id(path)]
    if hub:
        header = {"base_model": hub, **header}
    rows = [f"| {part} | {escaped(_name(path))} | {escaped(licences[part])} |" for part, path in parts.items()]
    sections = [
        "# An assembled audio language model",
        "A checkpoint of the Qwen2-Audio architecture, put together with `harken assemble` from pretrained parts. "
        "Their weights are unchanged. **The projector between them is random, so the model does not understand audio "
        "until it is trained.**",
        "\n".join(["| part | from | licence |", "|---|---|---|", *rows]),
        f"The audio tower hears {window_s} s at once. {_vllm(window_s, family)}",
    ]
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n\n" + "\n\n".join(sections) + "\n"


def _vllm(window_s: int, family: str) -> str:
    if family != "qwen2":
        return f"transformers and harken load it. vLLM does not: it knows no {family} inside Qwen2-Audio."
    if window_s != 30:
        return "transformers and harken load it. vLLM does not: it serves windows of 30 s alone."
    return "transformers, harken and vLLM load it."


def _name(path: str) -> str:
    return path if is_hub_id(path) else Path(path).name


def _licence(path: str) -> str:
    """The licence that a part's model card states; "unknown" where it states none."""
    licence = read_base_header(Path(path) if Path(path).is_dir() else _cached_card(path)).get("license")
    return licence if isinstance(licence, str) else "unknown"


def _cached_card(path: str) -> Path | None:
    """The folder of a Hub id's card, which was fetched with its weights."""
    from transformers.utils.hub import cached_file

    try:
        card = cached_file(path, "README.md")
    except OSError:
        return None
    return None if card is None else Path(card).parent
