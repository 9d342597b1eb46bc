"""ARC (Clark et al. 2018) -> text-only questions.

Takes records of the Hub's parquet (`question`, `choices {text, label}`, `answerKey`) or of the original JSON lines
(`question {stem, choices [{text, label}]}`, `answerKey`). Labels are letters or digits and choices three to five, so
the key is looked up among the labels, never counted.
"""

from pathlib import Path
from typing import Any

from harken.data.record_fields import choices_field, text_field
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.prepare.data_card import Card
from harken.prepare.draft import Draft, draft_of, finish
from harken.prepare.leaks import Against
from harken.prepare.licences import ARC
from harken.prepare.source_records import Hub, read_rows
from harken.types import Question


def prepare_arc(source: Path | Hub, out: Path, *, against: tuple[Against, ...] = ()) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`."""
    draft: Draft = draft_of(ARC, read_rows(source), parse_arc)
    return finish(draft, out, out, against, workers=1)


def parse_arc(record: Record, source: str) -> Question:
    """One record. Raises RecordError with the reason, which names the value."""
    asked = record.get("question")
    if isinstance(asked, dict):
        text, choices = text_field(asked, "stem"), asked.get("choices")
    else:
        text, choices = text_field(record, "question"), record.get("choices")
    labels, texts = _columns(choices)
    key = text_field(record, "answerKey").strip()
    if labels.count(key) != 1:
        raise RecordError(f"answerKey: {short_repr(key)} is not one of the labels {short_repr(labels)}")
    return Question(
        id=f"arc-{text_field(record, 'id')}",
        text=text.strip(),
        choices=choices_field({"choices": texts}),
        answer=labels.index(key),
        audio=None,
        dataset="ARC",
        source=source,
    )


def _columns(choices: Any) -> tuple[list[Any], list[Any]]:
    """(labels, texts) of either form."""
    if isinstance(choices, list) and all(isinstance(one, dict) for one in choices):
        labels, texts = ([one.get(key) for one in choices] for key in ("label", "text"))
    elif isinstance(choices, dict):
        labels, texts = choices.get("label"), choices.get("text")
    else:
        raise RecordError(f"choices: expected texts and labels, found {short_repr(choices)}")
    if not isinstance(labels, list) or not isinstance(texts, list) or len(labels) != len(texts):
        raise RecordError(f"choices: expected as many labels as texts, found {short_repr(choices)}")
    return labels, texts
