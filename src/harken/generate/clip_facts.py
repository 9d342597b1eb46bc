"""The captions file: what is known about clips, from which questions and reasoning are written (Omni-R1, figure 1).

`harken generate captions` writes the file, or a person does: JSON lines, one clip a line, with four facts each. A fact
is a text from somebody or from another model. In a prompt each fact is one line, a JSON string in which no line ends
and no tag begins, so that whatever it says stays inside its quotes.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harken.data.record_fields import clip_path, label_field, text_field
from harken.data.records import Record, RecordError, read_numbered_records
from harken.errors import short_repr
from harken.system.json_lines import write_json_lines
from harken.types import Rejected

FACT_LABELS = {"caption": "A1", "sounds": "A2", "speech": "A3", "music": "A4"}
"""The facts in order, and their labels in a prompt, as in the paper [P]."""

_SUBJECT = r"(?:(?:in )?(?:the|this) (?:audio|clip|recording|sound|provided \w+)\b[^,]{0,30}?|it|i|we|there)"
_TOPIC = (
    r"(?:speech|speaking|spoken \w+|voices?|vocals?|speakers?|talking|music|musical \w+|melody|song|singing|"
    r"instruments?|information|emotion|gender|language|genre)"
)
_ABSENCE = re.compile(
    rf"^\W*(?:i'm |i am )?(?:sorry|unfortunately|none|n/?a|null|nothing|no|unknown)\W*$"
    rf"|^\W*(?:sorry|unfortunately)?\W*{_SUBJECT}\s+(?:(?:is|are|was|were|has|have|contains?|includes?)\s+)?"
    rf"(?:no|not|does not|doesn't|do not|don't|isn't|aren't|cannot|can't|could not|unable)\b.{{0,40}}?\b{_TOPIC}\b"
    rf"|^\W*(?:no|not any)\s+(?:\w+\s+)?{_TOPIC}\b(?:\s+(?:or|and)\s+{_TOPIC})?(?:\s+(?:is|are|was|can|in)\b.*)?\W*$"
    rf"|^\W*(?:so |therefore )?(?:the |its |their )?(?:\w+ )?{_TOPIC}\b.{{0,20}}?\b(?:unknown|(?:is|are|was) "
    rf"(?:not|absent)|isn't|aren't|cannot be|can't be)\b",
    re.IGNORECASE,
)
_KEYS = ("id", "audio", *FACT_LABELS, "task", "dataset")


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """One clip and the facts about it; "" for a fact that is not known.

    Attributes:
        id: unique in its file; also the id of the question that is written about the clip.
        audio: name of the clip, relative to a folder that the reader of the manifest names.
        caption: the whole clip in a sentence or two.
        sounds: sound events.
        speech: emotion, gender, language.
        music: genre, instruments.
        task, dataset: copied to the question.
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


def facts_of_all(clips: Sequence[ClipFacts]) -> ClipFacts:
    """The facts about the clips of one question, in order, as one; those of several clips are numbered."""
    if len(clips) == 1:
        return clips[0]
    facts = {
        name: " ".join(f"Clip {i}: {value}" for i, clip in enumerate(clips, start=1) if (value := getattr(clip, name)))
        for name in FACT_LABELS
    }
    return replace(clips[0], **facts)


def read_clip_facts(path: Path) -> tuple[list[ClipFacts], list[Rejected]]:
    """Read a captions file. A record whose id or clip an earlier record has is rejected.

    Raises DataError where the file cannot be read at all.
    """
    records, rejected = read_numbered_records(path)
    clips: list[ClipFacts] = []
    line_of: dict[tuple[str, str], int] = {}
    for line, which, record in records:
        try:
            clip = _parse(record, line)
            for key, value in (("id", clip.id), ("audio", clip.audio)):
                if (key, value) in line_of:
                    first = line_of[key, value]
                    raise RecordError(f"{key} {short_repr(value)} is taken by the record in line {first}")
        except RecordError as error:
            ident = record.get("id", "")
            name = ident if isinstance(ident, str) else short_repr(ident)
            rejected.append(Rejected(str(path), line, name, f"{which}{error}"))
        else:
            line_of |= {("id", clip.id): line, ("audio", clip.audio): line}
            clips.append(clip)
    return clips, sorted(rejected, key=lambda record: record.line)


def write_clip_facts(path: Path, clips: Iterable[ClipFacts]) -> None:
    """Write a captions file."""
    write_json_lines(path, [{key: getattr(clip, key) for key in _KEYS} for clip in clips])


def facts_text(clip: ClipFacts) -> str:
    """The known facts as a prompt shows them, `A1: "..."` and so on, one a line.

    Facts about speech and music are left out where they only say that there is none: the paper gives A3 and A4 where
    there is speech or music.

    Example:
        >>> print(facts_text(ClipFacts("c", "c.wav", "A dog barks. </clip>", speech="I'm sorry, there is no speech.")))
        A1: "A dog barks. \\u003c/clip\\u003e"
    """
    facts = {label: getattr(clip, name) for name, label in FACT_LABELS.items()}
    absent = {label for label in ("A3", "A4") if states_absence(facts[label])}
    return "\n".join(f"{label}: {quoted(text)}" for label, text in facts.items() if text and label not in absent)


def states_absence(fact: str) -> bool:
    """Whether a fact about speech or music only says that there is none or that nothing is known.

    Every sentence has to say so: "There is no speech, but a man laughs." tells something.
    """
    sentences = [
        sentence for sentence in re.split(r"[.!;]\s*|,\s*(?:and|so)\s+|,?\s*\bbut\b\s*", fact) if sentence.strip()
    ]
    return bool(sentences) and all(_ABSENCE.search(sentence) is not None for sentence in sentences)


def quoted(text: str) -> str:
    """A text of unknown origin as a JSON string without a line end or an angle bracket."""
    escapes = {"<": "\\u003c", ">": "\\u003e", "\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"}
    return json.dumps(text, ensure_ascii=False).translate(str.maketrans(escapes))


def _parse(record: Record, line: int) -> ClipFacts:
    for key in record:
        if key not in _KEYS:
            raise RecordError(f"unknown key {short_repr(key)}; known: {', '.join(_KEYS)}")
    if "audio" not in record:
        raise RecordError("names no clip (key 'audio'); prepare the captions with --audio-root")
    audio = clip_path(text_field(record, "audio"), Path()).as_posix()
    others = {key: label_field(record, key).strip() for key in _KEYS[3:]}
    return ClipFacts(text_field(record, "id"), audio, text_field(record, "caption").strip(), **others, line=line)
