"""MMAU-Pro's instruction-following items -> Instruction.

Takes id, audio_path (a name or a list of names), question, category, task_identifier (which constraint the reply must
meet), kwargs (its arguments). Published as a table: written out as JSON it is this record. Records of the other
categories are rejected with that reason, so that kept + rejected = records. Only a reader: harken has no scorer for
these items, and none for MMAU-Pro's other parts, whose official scores come from models (text embeddings for choices,
a language model as judge for open answers). So it is no `data.reader`: an Instruction has no choices to grade.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harken.data.records import Record, RecordError, clip_path, read_questions, text_field
from harken.errors import short_repr
from harken.types import Rejected


@dataclass(frozen=True, slots=True)
class Instruction:
    """One item: what is asked about the clips, and the constraint on the form of the reply.

    Attributes:
        constraint: as published, such as "Number Words (at most)".
        arguments: of the constraint, such as {"N": 20}; keys with null are left out.
        source: "file:line" the record came from.
    """

    id: str
    text: str
    audio: tuple[Path, ...]
    constraint: str
    arguments: Mapping[str, str | int]
    source: str


def read_instructions(path: Path, audio_root: Path | None = None) -> tuple[list[Instruction], list[Rejected]]:
    """Read a file of MMAU-Pro records; clip names are relative to `audio_root`, default the file's own folder.

    Raises DataError where the file cannot be read at all.
    """
    root = path.parent if audio_root is None else audio_root
    return read_questions(path, lambda record, source: parse_instruction(record, root, source))


def parse_instruction(record: Record, audio_root: Path, source: str) -> Instruction:
    """One record as an Instruction. Raises RecordError with the reason, which names the value."""
    category = text_field(record, "category")
    if category != "instruction following":
        raise RecordError(f"category: {short_repr(category)} is not 'instruction following'")
    names = record.get("audio_path")
    return Instruction(
        id=text_field(record, "id"),
        text=text_field(record, "question"),
        audio=tuple(clip_path(name, audio_root) for name in (names if isinstance(names, list) else [names])),
        constraint=text_field(record, "task_identifier"),
        arguments=_arguments(record.get("kwargs")),
        source=source,
    )


def _arguments(value: object) -> dict[str, str | int]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RecordError(f"kwargs: expected an object, found {short_repr(value)}")
    for key, argument in value.items():
        if argument is not None and type(argument) not in (str, int):
            raise RecordError(f"kwargs.{key}: expected text or a whole number, found {short_repr(argument)}")
    return {key: argument for key, argument in value.items() if argument is not None}
