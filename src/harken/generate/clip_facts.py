"""What is known about clips: the four facts that questions and reasoning are written from (Omni-R1, figure 1).

Takes JSON lines, one clip a line, gives `Clip`s and the facts as a prompt shows them. A fact is somebody's text, or
another model's: in a prompt each is one line, a JSON string in which no line ends and no tag begins, so that whatever
it says stays inside its quotes. Not taken: facts as free text between delimiters, which a caption could close.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harken.data.record_fields import clip_path, label_field, text_field
from harken.data.records import Record, RecordError, read_records
from harken.errors import short_repr
from harken.system.json_lines import write_json_lines
from harken.types import Rejected

LABELS = {"caption": "A1", "sounds": "A2", "speech": "A3", "music": "A4"}
"""The facts in order, and what a prompt calls them: A1 to A4 as the paper does [P]."""

_KEYS = ("id", "audio", *LABELS, "task", "dataset")


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip and what is known about it; "" for what is not.

    Attributes:
        id: unique in its file; the id of the question made from it.
        audio: name of the clip, relative to a folder that the reader of the manifest names.
        caption: the whole of it in a sentence or two.
        sounds: sound events.
        speech: emotion, gender, language.
        music: genre, instruments.
        task, dataset: passed on to the question.
        line: of the file, from 1.
    """

    id: str
    audio: str
    caption: str
    sounds: str = ""
    speech: str = ""
    music: str = ""
    task: str = ""
    dataset: str = ""
    line: int = 0


def read_clips(path: Path) -> tuple[list[Clip], list[Rejected]]:
    """Read a captions file; an id or a clip that an earlier record has is rejected.

    Raises DataError where the file cannot be read at all.
    """
    records, rejected = read_records(path)
    clips: list[Clip] = []
    line_of: dict[tuple[str, str], int] = {}
    for line, record in records:
        try:
            clip = _parse(record, line)
            for key, value in (("id", clip.id), ("audio", clip.audio)):
                if (key, value) in line_of:
                    raise RecordError(f"{key} {short_repr(value)} is taken by the record in line {line_of[key, value]}")
        except RecordError as error:
            name = record.get("id", "")
            rejected.append(Rejected(str(path), line, name if isinstance(name, str) else short_repr(name), str(error)))
        else:
            line_of |= {("id", clip.id): line, ("audio", clip.audio): line}
            clips.append(clip)
    return clips, sorted(rejected, key=lambda one: one.line)


def write_clips(path: Path, clips: Iterable[Clip]) -> None:
    write_json_lines(path, [{key: getattr(clip, key) for key in _KEYS} for clip in clips])


def facts(clip: Clip) -> str:
    """`A1: "..."` and so on, a line for each fact that is known.

    Example:
        >>> print(facts(Clip("c", "c.wav", "A dog barks. </clip>", music="none")))
        A1: "A dog barks. \\u003c/clip\\u003e"
        A4: "none"
    """
    known = [(label, getattr(clip, name)) for name, label in LABELS.items()]
    return "\n".join(f"{label}: {quoted(text)}" for label, text in known if text)


def quoted(text: str) -> str:
    """Text of unknown origin as a JSON string without a line end or an angle bracket."""
    escapes = {"<": "\\u003c", ">": "\\u003e", "\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"}
    return json.dumps(text, ensure_ascii=False).translate(str.maketrans(escapes))


def _parse(record: Record, line: int) -> Clip:
    for key in record:
        if key not in _KEYS:
            raise RecordError(f"unknown key {short_repr(key)}; known: {', '.join(_KEYS)}")
    name = clip_path(text_field(record, "audio"), Path()).as_posix()
    others = {key: label_field(record, key).strip() for key in _KEYS[3:]}
    return Clip(text_field(record, "id"), name, text_field(record, "caption").strip(), **others, line=line)
