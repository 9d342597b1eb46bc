"""What a judge is shown: aspect, question, reasoning and answer -> one prompt.

The wording is in `wording/`, one text per aspect, or in a user's own file. A text has lines that are a placeholder and
nothing else; each becomes quoted lines (quote.py). Everything that is the same for all cases stands first, so that a
server can keep it computed. A base model goes on after the last line, `Score:`; a chat model gets the same text as one
user turn. The prompt depends on these texts and nothing else: asked again after a restart, it is the same to the byte.

Consistency [S: R1-Reward]: options, the last lines of the reasoning, the answer. Quality [S: SophiaVL-R1]: question,
options, reasoning. Neither sees the reference, and quality does not see the answer. Not taken: `str.format`; judged
texts may hold `{reference}`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import ascii_uppercase

from harken.config import JudgeConfig
from harken.errors import ConfigError
from harken.judges.judge import Aspect
from harken.judges.quoting import block, ending, entries, entry
from harken.types import Question

MAX_NEW_TOKENS = 8
"""Of a reply [O]."""
QUESTION_CHARS, OPTION_CHARS, ANSWER_CHARS, REASONING_CHARS = 2000, 300, 300, 6000
"""Longest quoted texts [O]. 512 tokens of reasoning are about 2500 characters."""
ENDING_LINES, ENDING_CHARS = 3, 1000
"""The end of the reasoning: three lines [S: R1-Reward's code], and no more characters than that [O]."""

_MAY_SEE: dict[Aspect, tuple[str, ...]] = {
    "consistency": ("options", "reasoning", "answer"),
    "quality": ("question", "options", "reasoning"),
    "answer": ("question", "options", "reference", "prediction"),
}
_MUST_SEE: dict[Aspect, tuple[str, ...]] = {
    "consistency": ("reasoning", "answer"),
    "quality": ("reasoning",),
    "answer": ("reference", "prediction"),
}
_NAMES = "question|options|reasoning|answer|reference|prediction"
_MENTIONED = re.compile(rf"\{{({_NAMES})\}}")
_PLACEHOLDER = re.compile(rf"^\{{({_NAMES})\}}$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class JudgePrompts:
    """The resolved wording of each aspect: nothing is read from disk after this is built."""

    wording: Mapping[Aspect, str]

    @classmethod
    def from_config(cls, config: JudgeConfig) -> "JudgePrompts":
        """Raises ConfigError for a file that cannot be read, or shows the judge too little or too much."""
        files: dict[Aspect, Path | None] = {
            "consistency": config.consistency_prompt_file,
            "quality": config.quality_prompt_file,
            "answer": config.answer_prompt_file,
        }
        return cls({aspect: _wording(aspect, file) for aspect, file in files.items()})

    def text(self, aspect: Aspect, question: Question, reasoning: str, answer: str) -> str:
        """The prompt. Raises ValueError for aspect "answer" where the question has no reference."""
        if aspect == "answer" and question.answer is None:
            raise ValueError(f"question {question.id!r} has no reference to compare with")
        shown = {
            "question": lambda: block(question.text, QUESTION_CHARS),
            "options": lambda: _options(question.choices),
            "reasoning": lambda: (
                ending(reasoning, ENDING_LINES, ENDING_CHARS)
                if aspect == "consistency"
                else block(reasoning, REASONING_CHARS)
            ),
            "answer": lambda: block(answer, ANSWER_CHARS),
            "reference": lambda: block(question.choices[question.answer or 0], ANSWER_CHARS),
            "prediction": lambda: block(answer, REASONING_CHARS),
        }
        return _PLACEHOLDER.sub(lambda found: shown[found[1]](), self.wording[aspect])


def _options(choices: tuple[str, ...]) -> str:
    labels = [*ascii_uppercase, *(str(n) for n in range(len(ascii_uppercase) + 1, len(choices) + 1))]
    return entries([f"({label}) {entry(choice, OPTION_CHARS)}" for label, choice in zip(labels, choices, strict=False)])


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
    """Why a wording cannot be used, and the fix."""
    mentioned, alone = _MENTIONED.findall(text), _PLACEHOLDER.findall(text)
    for name in mentioned:
        if name not in _MAY_SEE[aspect]:
            allowed = ", ".join(f"{{{known}}}" for known in _MAY_SEE[aspect])
            return f"the {aspect} judge may not see {{{name}}}; it may see {allowed}"
    if len(mentioned) > len(alone):
        return "a placeholder shares its line with other text: give each a line of its own, it becomes quoted lines"
    for name in _MUST_SEE[aspect]:
        if name not in alone:
            return f"has no {{{name}}}: write it on a line of its own where it belongs"
    if _PLACEHOLDER.search(text.rpartition("\n")[2]):
        return "ends with a placeholder: the last line must be yours, for example `Score:`"
    return None
