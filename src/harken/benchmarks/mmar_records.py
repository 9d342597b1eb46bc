"""MMAR's JSON record -> Question: the first file (2025, a JSON list) and the one with rubrics (2026, JSON lines).

Takes id, audio_path, question, choices, answer (text), modality, category, sub-category; the rubric keys are read by
`mmar_rubrics`, further keys are ignored. The clip is what audio_path says, not the id. In the first file the answers of
five items are the text of no choice: such an item is kept, with answer None and the published text in `answer_text`,
because the official matcher scores it. Four items end in an empty choice: it is left out; it has no words, so the
matcher never sees it. Not taken: mending the answers; the later file has.
"""

from pathlib import Path

from harken.data.records import (
    Record,
    RecordError,
    answer_index,
    choices_field,
    clip_path,
    label_field,
    read_questions,
    text_field,
)
from harken.errors import short_repr
from harken.types import Question, Rejected

MODALITIES = (
    *("sound", "music", "speech", "mix-sound-music", "mix-sound-speech", "mix-music-speech"),
    "mix-sound-music-speech",
)
LAYERS = ("Signal Layer", "Perception Layer", "Semantic Layer", "Cultural Layer")


def read_mmar(path: Path, audio_root: Path | None = None) -> tuple[list[Question], list[Rejected]]:
    """Read a file of MMAR records; clip names are relative to `audio_root`, default the file's own folder.

    The modality is the Question's `task`, the layer its `category`. A record without `answer` has answer None.
    Raises DataError where the file cannot be read at all.
    """
    root = path.parent if audio_root is None else audio_root
    return read_questions(path, lambda record, source: parse_mmar(record, root, source))


def parse_mmar(record: Record, audio_root: Path, source: str) -> Question:
    """One record as a Question. Raises RecordError with the reason, which names the value."""
    choices = choices_field({**record, "choices": _without_empty(record.get("choices"))})
    answer = "" if record.get("answer") is None else text_field(record, "answer")
    index = answer_index(answer, choices) if answer else None
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, "question"),
        choices=tuple(choice.strip() for choice in choices),
        answer=index,
        audio=clip_path(text_field(record, "audio_path"), audio_root),
        task=_one_of(record, "modality", MODALITIES),
        category=_one_of(record, "category", LAYERS),
        subcategory=label_field(record, "sub-category"),
        source=source,
        answer_text=answer if index is None else "",
    )


def _without_empty(choices: object) -> object:
    return [choice for choice in choices if choice != ""] if isinstance(choices, list) else choices


def _one_of(record: Record, key: str, known: tuple[str, ...]) -> str:
    value = text_field(record, key)
    if value not in known:
        raise RecordError(f"{key}: expected one of {', '.join(known)}, found {short_repr(value)}")
    return value
