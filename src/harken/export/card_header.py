"""The YAML header of a model card, which the Hub reads: base model, library, licence, datasets and tags."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harken.config.yaml_text import parse_yaml

MODEL_CARD = "README.md"
_DATASETS = "https://huggingface.co/datasets/"


def card_header(
    base: str, base_header: dict[str, Any], data_urls: Sequence[str], *, method: str | None, adapter: bool
) -> dict[str, Any]:
    """The header's keys in the order in which they are written.

    Args:
        base: folder or Hub id of the checkpoint that training started from; only a Hub id is written.
        base_header: from `read_base_header`; licence and languages are the base's.
        data_urls: where the training data came from; those on the Hub are written.
        method: grpo or sft; None where it is unknown.
    """
    header: dict[str, Any] = {}
    if is_hub_id(base):
        header["base_model"] = base
    header["library_name"] = "peft" if adapter else "transformers"
    header["pipeline_tag"] = "audio-text-to-text"
    for key in ("license", "license_name", "license_link"):
        if isinstance(base_header.get(key), str):
            header[key] = base_header[key]
    header.setdefault("license", "unknown")
    header["language"] = base_header.get("language", ["en"])
    datasets = [url.removeprefix(_DATASETS).strip("/") for url in data_urls if url.startswith(_DATASETS)]
    if datasets:
        header["datasets"] = list(dict.fromkeys(datasets))
    header["tags"] = ["harken", "audio-question-answering", *([] if method is None else [method])]
    return header


def read_base_header(folder: Path | None) -> dict[str, Any]:
    """The header of the base's own card; empty where there is no card, or its header is damaged."""
    card = None if folder is None else folder / MODEL_CARD
    if card is None or not card.is_file():
        return {}
    match = re.match(r"---\r?\n(.*?)\r?\n---\r?\n", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    try:
        values = parse_yaml(match[1]) if match else None
    except ValueError:
        return {}  # the new card then says that the licence is unknown
    return values if isinstance(values, dict) else {}


def is_hub_id(base: str) -> bool:
    """Whether `base` has the form OWNER/NAME and is not a path on this machine."""
    is_name = re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", base, re.ASCII) is not None
    return is_name and not Path(base).exists()
