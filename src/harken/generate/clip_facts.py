"""The captions file: what is known about clips, from which questions and reasoning are written (Omni-R1, figure 1).

`harken generate captions` writes the file, or a person does: JSON lines, one clip a line, with four facts each. A fact
is a text from somebody or from another model. In a prompt each fact is one line, a JSON string in which no line ends
and no tag begins, so that whatever it says stays inside its quotes.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harken.data.record_fields import clip_path, label_field, text_field
from harken.data.records import Record, RecordError, iter_records
from harken.errors import short_repr
from harken.generate.absent_facts import states_absence
from harken.system.disk_list import DiskList
from harken.system.hash_table import HashTable
from harken.system.json_lines import write_json_lines
from harken.types import Rejected

FACT_LABELS = {"caption": "A1", "sounds": "A2", "speech": "A3", "music": "A4"}
"""The facts in order, and their labels in a prompt, as in the paper [P]."""

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


class ClipFactsFile:
    """What a captions file holds. A record whose id or clip an earlier record has is rejected.

    Args:
        folder: where the records are kept on disk while they are needed; None takes the system's temporary folder.

    Attributes:
        clips, rejected: the records that can be used and the others, each in the order of the file.

    Raises DataError where the file cannot be read at all.
    """

    def __init__(self, path: Path, folder: Path | None = None) -> None:
        self.clips = DiskList[ClipFacts](folder)
        self.rejected = DiskList[Rejected](folder)
        self._ids, self._audios = HashTable(), HashTable()
        for outcome in iter_records(path):
            if isinstance(outcome, Rejected):
                self.rejected.append(outcome)
                continue
            line, which, record = outcome
            try:
                clip = _parse(record, line)
                self._refuse_second(clip)
            except RecordError as error:
                ident = record.get("id", "")
                name = ident if isinstance(ident, str) else short_repr(ident)
                self.rejected.append(Rejected(str(path), line, name, f"{which}{error}"))
            else:
                self._ids.add(clip.id, len(self.clips))
                self._audios.add(clip.audio, len(self.clips))
                self.clips.append(clip)

    def find(self, audio: str) -> tuple[int, ClipFacts] | None:
        """The record about a clip, by the clip's name, and its index in `clips`; None where there is none."""
        for index in self._audios.numbers(audio):
            if (clip := self.clips[index]).audio == audio:
                return index, clip
        return None

    def _refuse_second(self, clip: ClipFacts) -> None:
        for key, table in (("id", self._ids), ("audio", self._audios)):
            value = getattr(clip, key)
            for index in table.numbers(value):
                if getattr(first := self.clips[index], key) == value:
                    raise RecordError(f"{key} {short_repr(value)} is taken by the record in line {first.line}")


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


_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"})


def quoted(text: str) -> str:
    """A text of unknown origin as a JSON string without a line end or an angle bracket."""
    return _ENCODE(text).translate(_ESCAPES)


def _parse(record: Record, line: int) -> ClipFacts:
    for key in record:
        if key not in _KEYS:
            raise RecordError(f"unknown key {short_repr(key)}; known: {', '.join(_KEYS)}")
    if "audio" not in record:
        raise RecordError("names no clip (key 'audio'); prepare the captions with --audio-root")
    audio = clip_path(text_field(record, "audio"), Path()).as_posix()
    others = {key: label_field(record, key).strip() for key in _KEYS[3:]}
    return ClipFacts(text_field(record, "id"), audio, text_field(record, "caption").strip(), **others, line=line)
