"""AudioMCQ (arXiv 2509.21060), as its StrongAC parts are published: JSON lines beside a folder of clips -> questions.

Takes `question` and `choices` (the challenge's sets: `question_text`, `multi_choice`), `answer` as text, `audio_path`,
`source_dataset`, `question_type`, `id`; ids are numbered within type and source, so a question's id has all three.
Clips stay where they are. Not taken: the reasoning texts, which are not ours to judge here.
"""

from collections.abc import Callable
from pathlib import Path

from harken.benchmarks.mmau import parse_mmau
from harken.data.record_fields import text_field
from harken.data.records import Record
from harken.prepare.data_card import Card
from harken.prepare.draft import draft_of, finish, measure
from harken.prepare.leaks import Against
from harken.prepare.licences import AUDIOMCQ
from harken.prepare.source_records import Hub, read_rows
from harken.types import Question


def prepare_audiomcq(
    source: Path | Hub,
    audio_root: Path,
    out: Path,
    *,
    workers: int,
    against: tuple[Against, ...] = (),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`; clips relative to `audio_root`."""
    draft = draft_of(AUDIOMCQ, read_rows(source), lambda record, place: parse_audiomcq(record, audio_root, place))
    measure(draft, workers, on_progress)
    return finish(draft, out, audio_root, against, workers)


def parse_audiomcq(record: Record, audio_root: Path, source: str) -> Question:
    """One record. Raises RecordError with the reason, which names the value."""
    named = [record.get(key) for key in ("question_type", "source_dataset", "id")]
    return parse_mmau(
        {
            "id": "-".join(["audiomcq", *(str(part) for part in named if part is not None)]),
            "audio_path": text_field(record, "audio_path"),
            "question": record.get("question", record.get("question_text")),
            "choices": record.get("choices", record.get("multi_choice")),
            "answer": record.get("answer"),
            "task": record.get("question_type"),
            "dataset": record.get("source_dataset"),
        },
        audio_root,
        source,
    )
