"""`harken prepare arc`: ARC (Clark et al. 2018) becomes questions without audio.

Records are those of the Hub's parquet (`question`, `choices {text, label}`, `answerKey`) or of the original JSON lines
(`question {stem, choices [{text, label}]}`, `answerKey`). Labels are letters or digits and a question has three to five
choices, so the key is looked up among the labels; no position is computed from it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harken.data.record_fields import choices_field, text_field
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.prepare.data_card import Card
from harken.prepare.draft import draft_from_records, write_draft
from harken.prepare.leak_check_sets import ComparedSet
from harken.prepare.leaks import LeakSearch
from harken.prepare.licences import ARC
from harken.prepare.source_records import HubDataset, read_source
from harken.system.writer_lock import one_writer
from harken.types import Question


@one_writer
def prepare_arc(source: Path | HubDataset, out: Path, *, against: Sequence[ComparedSet] = ()) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`."""
    leaks = LeakSearch(against, 1, out, by_sound=False)
    return write_draft(draft_from_records(ARC, read_source(source), parse_arc, out), out, out, leaks)


def parse_arc(record: Record, source: str) -> Question:
    """Parse one record. Raises RecordError with the reason, which names the value."""
    question = record.get("question")
    if isinstance(question, dict):
        text, choices = text_field(question, "stem"), question.get("choices")
    else:
        text, choices = text_field(record, "question"), record.get("choices")
    labels, texts = _labels_and_texts(choices)
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


def _labels_and_texts(choices: Any) -> tuple[list[Any], list[Any]]:
    """Read the choices in either form."""
    if isinstance(choices, list) and all(isinstance(choice, dict) for choice in choices):
        labels, texts = ([choice.get(key) for choice in choices] for key in ("label", "text"))
    elif isinstance(choices, dict):
        labels, texts = choices.get("label"), choices.get("text")
    else:
        raise RecordError(f"choices: expected texts and labels, found {short_repr(choices)}")
    if not isinstance(labels, list) or not isinstance(texts, list) or len(labels) != len(texts):
        raise RecordError(f"choices: expected as many labels as texts, found {short_repr(choices)}")
    return labels, texts
