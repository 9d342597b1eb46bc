"""The nouns of harken, as frozen values.

Axes, the same letters everywhere:
    P  prompts in a batch            G  completions per prompt        R  rows of completions, R = P * G, prompt-major
    T  tokens of one prompt          L  tokens of one completion      V  vocabulary
    H  hidden size                   S  samples of one waveform       F  frames of one mel spectrogram

Row r of R belongs to prompt r // G and is its completion r % G. Nothing in harken orders completions otherwise.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy import float32
from numpy.typing import NDArray

Waveform = NDArray[float32]
"""[S] mono, 16 kHz, nominally in [-1, 1], finite, S >= 1."""

Message = dict[str, Any]
Conversation = list[Message]
"""Hugging Face chat messages: `{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": ...}]}`.

The audio element only marks the place; the waveform travels beside the conversation. No audio element = no audio.
"""


@dataclass(frozen=True, slots=True)
class AudioSpan:
    """What of a file is heard: from `start_s` up to `end_s`, None = to its end. The default is the whole file."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None

    def __str__(self) -> str:
        """The path, and what of it as a media fragment: `a.wav#t=1.5,3`, `a.wav#t=1.5`."""
        return f"{self.path}{fragment(self.start_s, self.end_s)}"


def fragment(start_s: float, end_s: float | None) -> str:
    """`#t=start,end` in seconds (W3C Media Fragments); "" for a whole file."""
    if start_s == 0 and end_s is None:
        return ""
    return f"#t={start_s:.12g}" + ("" if end_s is None else f",{end_s:.12g}")


@dataclass(frozen=True, slots=True)
class Question:
    """One multiple-choice question, with the clip it is about or without one.

    Attributes:
        id: unique in its file.
        text: the question as asked, without choices and without instructions.
        choices: two or more texts, in the order shown; one, the reference, where a probe asks for a transcript.
        answer: index of the right choice; None where the benchmark hides it, or where `answer_text` is set.
        audio: the file the model hears; None for a text-only question and where the clip is left out.
        start_s, end_s: the clip is this part of the file; 0 and None for all of it.
        clip: name of the clip the question is about, heard or not; "" for a text-only question. Statistics keep the
            questions of one clip together by it.
        task: sound, music, speech, ... ; "" where unknown. The same for `difficulty`, `category`, `subcategory`.
        source: "file:line" the record came from, for error messages.
        answer_text: the right answer as published where it is the text of no choice (five items of MMAR's first
            file), else "". Official matchers score it; no choice is right then.
        reasoning: how the answer can be reached, for SFT; without tags; "" where the record has none.
    """

    id: str
    text: str
    choices: tuple[str, ...]
    answer: int | None
    audio: Path | None
    task: str = ""
    difficulty: str = ""
    category: str = ""
    subcategory: str = ""
    dataset: str = ""
    clip: str = ""
    source: str = ""
    reasoning: str = ""
    answer_text: str = ""
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def audio_span(self) -> AudioSpan | None:
        """The sound the model hears; None where it hears none."""
        return None if self.audio is None else AudioSpan(self.audio, self.start_s, self.end_s)


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record left out, with the place and the reason. Kept + rejected = records in the file, always."""

    file: str
    line: int
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Grade:
    """What one completion said, as a choice.

    Attributes:
        choice: index of the choice the text names; None where it names none or several.
        correct: whether that choice is the right one. Unreadable is wrong.
        extracted: the part of the text in which the answer was looked for.
        reason: how the choice was found ("exact", "letter", "contained") or why none was
            ("empty", "unclosed think", "no choice", "several choices").
    """

    choice: int | None
    correct: bool
    extracted: str
    reason: str


Form = Literal["no_think", "think", "malformed"]
"""no_think: `<answer>..</answer>`. think: `<think>..</think><answer>..</answer>`. malformed: everything else."""


@dataclass(frozen=True, slots=True)
class Response:
    """One completion, as it was understood. What a reward of a user's own is given.

    Attributes:
        text: all of it, special tokens left out.
        form: of the whole text, whatever the prompt asked for.
        reasoning: the body of `<think>` where the form is think, else "".
        grade: the answer, as a choice; `grade.extracted` is the part of the text that answers.
        tokens: length, the end-of-sequence token included.
        ended: False where it was cut at the maximum length.
    """

    question: Question
    text: str
    form: Form
    reasoning: str
    grade: Grade
    tokens: int
    ended: bool
