"""`harken prepare audiomcq`: AudioMCQ (arXiv 2509.21060) becomes questions, as its StrongAC parts are published.

The records are JSON lines beside a folder of clips, which stay where they are: `question` and `choices` (in the
challenge's sets `question_text` and `multi_choice`), `answer` as text, `audio_path`, `source_dataset`, `question_type`,
`id`. Ids are numbered within type and source, so the id of a question is made of all three. The reasoning texts, which
Gemini wrote (`gemini_cot`), become the questions' `reasoning`, on which SFT trains where its prompt asks for thinking.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harken.benchmarks.mmau import parse_mmau
from harken.data.record_fields import label_field, text_field
from harken.data.records import Record
from harken.prepare.by_ear import EarFilter
from harken.prepare.data_card import Card, CardTable
from harken.prepare.draft import Draft, draft_from_records, measure_draft_clips, write_draft
from harken.prepare.leak_check_sets import ComparedSet
from harken.prepare.leaks import LeakSearch
from harken.prepare.licences import AUDIOMCQ
from harken.prepare.source_records import HubDataset, read_source
from harken.system.progress import OnProgress, no_progress
from harken.system.writer_lock import one_writer
from harken.types import Question

REASONING_KEY = "gemini_cot"


@one_writer
def prepare_audiomcq(
    source: Path | HubDataset,
    audio_root: Path,
    out: Path,
    *,
    workers: int,
    by_ear: bool = False,
    reasoning_key: str = REASONING_KEY,
    against: Sequence[ComparedSet] = (),
    on_progress: OnProgress = no_progress,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`; clips are named relative to `audio_root`.

    Args:
        by_ear: leave out questions that ask for what can only be seen.
        reasoning_key: the key of the reasoning texts; "" reads none.
    """
    leaks = LeakSearch(against, workers, out)
    ear = EarFilter(by_ear)

    def parse(record: Record, place: str) -> Question:
        return ear.check(parse_audiomcq(record, audio_root, place, reasoning_key))

    draft = draft_from_records(AUDIOMCQ, read_source(source), parse, out)
    draft.tables += ear.tables()
    draft.tables += _reasoning_tables(draft) if reasoning_key else []
    measure_draft_clips(draft, workers, on_progress, leaks)
    return write_draft(draft, out, audio_root, leaks)


def _reasoning_tables(draft: Draft[Question]) -> list[CardTable]:
    """How many of the questions that were read have a reasoning text."""
    reasons = Counter(bool(item.reasoning) for item in draft.outcomes() if isinstance(item, Question))
    rows = [("with", f"{reasons[True]:,}"), ("without", f"{reasons[False]:,}")]
    return [CardTable("Reasoning texts", ("", "questions"), rows)]


def parse_audiomcq(record: Record, audio_root: Path, source: str, reasoning_key: str = REASONING_KEY) -> Question:
    """Parse one record. Raises RecordError with the reason, which names the value."""
    reasoning = label_field(record, reasoning_key) if reasoning_key else ""
    id_parts = [record.get(key) for key in ("question_type", "source_dataset", "id")]
    question = parse_mmau(
        {
            "id": "-".join(["audiomcq", *(str(part) for part in id_parts if part is not None)]),
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
    return replace(question, reasoning=bare_reasoning(reasoning))


def bare_reasoning(text: str) -> str:
    """The reasoning without `<think>` tags around it and without an answer after them."""
    return re.sub(r"\A\s*<think>", "", text.partition("</think>")[0]).strip()
