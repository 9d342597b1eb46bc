"""The nouns of harken, as frozen values: questions, records left out, grades and completions.

Axes have the same letters everywhere:
    P  prompts in a batch            G  completions per prompt        R  rows of completions, R = P * G, prompt-major
    T  tokens of one prompt          L  tokens of one completion      V  vocabulary
    H  hidden size                   S  samples of one waveform       F  frames of one mel spectrogram

Row r of R belongs to prompt r // G and is its completion r % G. harken never orders completions in another way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from numpy import float32
from numpy.typing import NDArray

Waveform = NDArray[float32]
"""[S] mono, 16 kHz, nominally in [-1, 1], finite, S >= 1."""

Objective = Literal["clipped", "gspo", "cispo"]
"""Policy terms of the loss, as recipes name them; harken.grpo.objectives computes them."""
Estimator = Literal["group", "rloo", "gdpo", "reinforce_pp", "reinforce_pp_baseline"]
"""Estimators of advantages; harken.grpo.advantage computes them."""
Normalization = Literal["grpo", "dr_grpo", "dapo"]
"""Means of the loss over tokens and completions; harken.grpo.loss computes them."""

Message = dict[str, Any]
Conversation = list[Message]
"""Hugging Face chat messages: `{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": ...}]}`.

Each audio element marks the place of one clip; the waveforms are passed beside the conversation, in the same order. A
conversation without an audio element has no audio.
"""


@dataclass(frozen=True, slots=True)
class AudioSpan:
    """The part of a file that the model hears, from `start_s` to `end_s`; None is the end of the file.

    By default it is the whole file. `truncated` says whether a file that is cut short or damaged is refused or used as
    far as it decodes.
    """

    path: Path
    start_s: float = 0.0
    end_s: float | None = None
    truncated: Literal["refuse", "accept"] = "refuse"

    def __str__(self) -> str:
        """The path with the span as a media fragment: `a.wav#t=1.5,3`, `a.wav#t=1.5`, or `a.wav` for a whole file."""
        return f"{self.path}{fragment(self.start_s, self.end_s)}"


def fragment(start_s: float, end_s: float | None) -> str:
    """`#t=start,end` in seconds (W3C Media Fragments); "" for a whole file."""
    if start_s == 0 and end_s is None:
        return ""
    return f"#t={start_s:.12g}" + ("" if end_s is None else f",{end_s:.12g}")


@dataclass(frozen=True, slots=True)
class Criterion:
    """One point of a rubric by which a judge scores an answer: what is asked for, and the scores that it may give."""

    name: str
    rule: str
    scores: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One question, with the clip or clips that it is about or without a clip.

    Attributes:
        id: unique in its file.
        text: the question, without choices and without instructions.
        choices: two or more texts, in the order in which they are shown; empty for an open question. Where a probe
            asks for a transcript, the reference transcript alone.
        answer: index of the right choice; None when the benchmark hides it, or when `answer_text` is set.
        audio: the file that the model hears, or the parts of files where it hears several, in their order; None for a
            text-only question and when the clip is left out. Files may be given in a list; one alone becomes its path.
        start_s, end_s: the clip is this part of the file; 0 and None for the whole file and where there are several.
        truncated: what happens to a clip that is cut short or damaged; the recipe says it for each file of questions.
        clip: name of the clip that the question is about, whether the model hears it or not; of several clips their
            names, one a line; "" for a text-only question. Statistics treat the questions of one clip as a cluster.
        task: sound, music, speech and so on; "" when unknown. The same holds for `difficulty`, `category`,
            `subcategory` and `dataset`.
        source: "file:line" of the record, for error messages.
        answer_text: the right answer as published when it is the text of no choice (five items of MMAR's first file),
            else "". The official matchers score it; no choice is right then. For an open question it is the reference.
        reasoning: text that leads to the answer, for SFT, without tags; "" when the record has none.
        rubric: by what a judge scores an open answer or the reasoning; empty where the benchmark has no rubric.
        check: what an answer is checked for in place of a right answer, as JSON that the benchmark's rule reads; "" for
            a question that has a right answer.
        extra: the record's other columns, which harken does not read: JSON values for reward functions and scorers of
            the user's own. They do not make two questions different.
        source_number: which of the recipe's files of questions it is from, counted from 0.
    """

    id: str
    text: str
    choices: tuple[str, ...]
    answer: int | None
    audio: Path | tuple[AudioSpan, ...] | None
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
    truncated: Literal["refuse", "accept"] = "refuse"
    rubric: tuple[Criterion, ...] = ()
    check: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False)
    source_number: int = field(default=0, compare=False)

    @property
    def answer_hidden(self) -> bool:
        """Whether nothing says what is right: the benchmark keeps it for its own server."""
        return self.answer is None and not self.answer_text and not self.check

    def __post_init__(self) -> None:
        if not isinstance(self.audio, list | tuple):
            return
        spans = tuple(span if isinstance(span, AudioSpan) else AudioSpan(Path(span)) for span in self.audio)
        if len(spans) > 1:
            object.__setattr__(self, "audio", spans)
            return
        span = spans[0] if spans else None
        object.__setattr__(self, "audio", None if span is None else span.path)
        object.__setattr__(self, "start_s", 0.0 if span is None else span.start_s)
        object.__setattr__(self, "end_s", None if span is None else span.end_s)

    @property
    def audio_spans(self) -> tuple[AudioSpan, ...]:
        """What the model hears, in order; empty when it hears nothing."""
        if isinstance(self.audio, tuple):
            return tuple(replace(span, truncated=self.truncated) for span in self.audio)
        return () if self.audio is None else (AudioSpan(self.audio, self.start_s, self.end_s, self.truncated),)

    @property
    def audio_span(self) -> AudioSpan | None:
        """The only clip that the model hears; None when it hears nothing. Raises ValueError where it hears several."""
        spans = self.audio_spans
        if len(spans) > 1:
            raise ValueError(f"question {self.id!r} has {len(spans)} clips")
        return spans[0] if spans else None


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that was left out, with its place and the reason. Kept and rejected records add up to all records.

    `repeated` says that the record is equal to an earlier one, so that nothing is lost without it: evaluations and
    scores do not count it.
    """

    file: str
    line: int
    id: str
    reason: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Grade:
    """The choice that the grader reads in one completion.

    Attributes:
        choice: index of the choice that the text names; None when it names none or several.
        correct: whether that choice is the right one. A completion without a readable choice is wrong.
        extracted: the part of the text in which the grader looked for the answer.
        reason: how the choice was recognised ("exact", "letter", "contained"), or why no choice was
            ("empty", "unclosed think", "no choice", "several choices").
    """

    choice: int | None
    correct: bool
    extracted: str
    reason: str


Form = Literal["no_think", "think", "malformed"]
"""no_think: `<answer>..</answer>`. think: `<think>..</think><answer>..</answer>`. malformed: everything else, where the
prompt asked for tags."""


@dataclass(frozen=True, slots=True)
class Response:
    """One completion with its grade. It is what a user's own reward function gets.

    Attributes:
        text: the whole completion, without special tokens.
        form: the form of the whole text; None where it has no tags of a valid form and the prompt asked for none.
        reasoning: the body of `<think>` when the form is think, else "".
        grade: the answer as a choice; `grade.extracted` is the part of the text that answers.
        tokens: length of the completion, with the end-of-sequence token.
        ended: False when the completion was cut at the maximum length.
    """

    question: Question
    text: str
    form: Form | None
    reasoning: str
    grade: Grade
    tokens: int
    ended: bool
