"""Write the prompt that shows a judge one question with its reasoning or answer.

The wording of each aspect is a file in `wording/` or a file of the user. In it, a line that consists of a placeholder
such as `{reasoning}` is replaced by quoted lines (quoting.py). The part that is the same for all questions comes first,
so that a server can reuse its computation. A base model continues after the last line, `Score:`; a chat model gets the
same text as one user turn. The prompt depends on these texts only: after a restart it is the same byte for byte.

Consistency [S: R1-Reward] shows the options, the last lines of the reasoning and the answer. Quality [S: SophiaVL-R1]
shows question, options and reasoning. Neither shows the reference, and quality does not show the answer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import ascii_uppercase

from harken.config import JudgeConfig
from harken.errors import ConfigError
from harken.judges.judge import Aspect
from harken.judges.quoting import list_entry, quote_ending, quote_lines, quote_text
from harken.types import Criterion, Question

MAX_NEW_TOKENS: Mapping[Aspect, int] = {"consistency": 4, "quality": 8, "answer": 4, "rubric": 64}
"""Longest reply [O]: a space, each digit and each point may be tokens of their own, and so is the end of the line. One
token more than a score needs shows that a line such as `1.5` goes on."""
CRITERION_CHARS = 1000
QUESTION_CHARS, OPTION_CHARS, ANSWER_CHARS, REASONING_CHARS = 2000, 300, 300, 6000
"""Longest quoted texts [O]. For comparison, 512 tokens of reasoning are about 2500 characters."""
ENDING_LINES, ENDING_CHARS = 3, 1000
"""The part of the reasoning that consistency shows: its last three lines [S: R1-Reward's code], cut to their last
1000 characters [O]."""

_MAY_SEE: dict[Aspect, tuple[str, ...]] = {
    "consistency": ("options", "reasoning", "answer"),
    "quality": ("question", "options", "reasoning"),
    "answer": ("question", "options", "reference", "prediction"),
    "rubric": ("question", "options", "reference", "ideal", "criteria", "reasoning", "prediction"),
}
_MUST_SEE: dict[Aspect, tuple[str, ...]] = {
    "consistency": ("reasoning", "answer"),
    "quality": ("reasoning",),
    "answer": ("reference", "prediction"),
    "rubric": ("criteria", "reasoning", "prediction"),
}
_NAMES = "question|options|reasoning|answer|reference|prediction|ideal|criteria"
_MENTIONED = re.compile(rf"\{{({_NAMES})\}}")
_PLACEHOLDER = re.compile(rf"^\{{({_NAMES})\}}$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class JudgePrompts:
    """The wording of each aspect. It is read from disk once, when this is built."""

    wording: Mapping[Aspect, str]

    @classmethod
    def from_config(cls, config: JudgeConfig) -> "JudgePrompts":
        """Raises ConfigError for a file that cannot be read, or that shows the judge too little or too much."""
        files: dict[Aspect, Path | None] = {
            "consistency": config.consistency_prompt_file,
            "quality": config.quality_prompt_file,
            "answer": config.answer_prompt_file,
            "rubric": config.rubric_prompt_file,
        }
        return cls({aspect: _wording(aspect, file) for aspect, file in files.items()})

    def text(self, aspect: Aspect, question: Question, reasoning: str, answer: str) -> str:
        """Write the prompt. Raises ValueError for aspect "answer" where the question has no reference, and for aspect
        "rubric" where it has no rubric."""
        if aspect == "answer" and question.answer is None and not question.answer_text:
            raise ValueError(f"question {question.id!r} has no reference to compare with")
        if aspect == "rubric" and not question.rubric:
            raise ValueError(f"question {question.id!r} has no rubric")
        quoted = {
            "question": lambda: quote_text(question.text, QUESTION_CHARS),
            "options": lambda: _quoted_options(question.choices),
            "reasoning": lambda: (
                quote_ending(reasoning, ENDING_LINES, ENDING_CHARS)
                if aspect == "consistency"
                else quote_text(reasoning, REASONING_CHARS)
            ),
            "answer": lambda: quote_text(answer, ANSWER_CHARS),
            "reference": lambda: quote_text(_reference(question), ANSWER_CHARS),
            "prediction": lambda: quote_text(answer, REASONING_CHARS),
            "ideal": lambda: quote_text(question.reasoning, REASONING_CHARS),
            "criteria": lambda: _quoted_criteria(question.rubric),
        }
        # One pass, not str.format: a judged text that holds "{reference}" stays as it is.
        return _PLACEHOLDER.sub(lambda placeholder: quoted[placeholder[1]](), self.wording[aspect])


def _reference(question: Question) -> str:
    return question.answer_text if question.answer is None else question.choices[question.answer]


def _quoted_criteria(rubric: Sequence[Criterion]) -> str:
    lines = [
        f"{number}. {list_entry(each.name, OPTION_CHARS)} ∶ {list_entry(each.rule, CRITERION_CHARS)} "
        f"({' or '.join(map(str, each.scores))})"
        for number, each in enumerate(rubric, start=1)
    ]
    return quote_lines(lines)


def _quoted_options(choices: tuple[str, ...]) -> str:
    labels = [*ascii_uppercase, *(str(n) for n in range(len(ascii_uppercase) + 1, len(choices) + 1))]
    lines = [f"({label}) {list_entry(choice, OPTION_CHARS)}" for label, choice in zip(labels, choices, strict=False)]
    return quote_lines(lines)


def _wording(aspect: Aspect, file: Path | None) -> str:
    if file is None:
        return (resources.files("harken.judges") / "wording" / f"{aspect}.txt").read_text(encoding="utf-8").strip()
    key = f"judge.{aspect}_prompt_file: {file}"
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}: cannot be read: {error}") from error
    if fault := _fault(aspect, text):
        raise ConfigError(f"{key}: {fault}")
    return text


def _fault(aspect: Aspect, text: str) -> str | None:
    """Why a user's wording cannot be used, and the fix; None for a good one."""
    mentioned, own_lines = _MENTIONED.findall(text), _PLACEHOLDER.findall(text)
    for name in mentioned:
        if name not in _MAY_SEE[aspect]:
            allowed = ", ".join(f"{{{other}}}" for other in _MAY_SEE[aspect])
            return f"the {aspect} judge may not see {{{name}}}; it may see {allowed}"
    if len(mentioned) > len(own_lines):
        return "a placeholder shares its line with other text: put each on a line of its own; quoted lines replace it"
    for name in _MUST_SEE[aspect]:
        if name not in own_lines:
            return f"has no {{{name}}}: write it on a line of its own, where the quoted text belongs"
    if _PLACEHOLDER.search(text.rpartition("\n")[2]):
        return "ends with a placeholder: end with a line of your own, for example `Score:`"
    return None
