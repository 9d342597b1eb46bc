"""Turns a question into the conversation that the model reads and, for SFT, the completion that it should write.

The wordings are those of Omni-R1 and R1-AQA and one of ours; a benchmark's own wording is in the benchmark's file.
Questions are data: they may hold `{choices}` or `{0}`, and are put into the template as they are, in one pass.
"""

import re
from dataclasses import dataclass
from typing import Literal

from harken.benchmarks import BENCHMARKS
from harken.benchmarks.registry import find_benchmark
from harken.config import ChoicesShown, PromptConfig
from harken.config.plugins import installed
from harken.errors import ConfigError, DataError, did_you_mean
from harken.questions.output_parts import form
from harken.types import Conversation, Question

ExpectedForm = Literal["answer", "think", "adaptive"]
"""Tags a prompt asks for. answer: `<answer>` (thinking first is allowed). think: `<think>` and `<answer>`. adaptive:
either, as the model judges."""

TRANSCRIBE = "Transcribe the speech in the audio word for word. Output only the transcript."
"""What a probe asks for where neither its records nor the recipe have an instruction [O]."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A resolved prompt: nothing is read from disk after this is built.

    Attributes:
        template: text with `{question}` and `{choices}`, each at least once.
        choices: how the choices are written out, as `PromptConfig.choices` says.
        form: the tags the format reward expects; None where the prompt asks for none.
        system: the text of a system turn; None leaves the chat template's own.
    """

    template: str
    choices: ChoicesShown
    form: ExpectedForm | None
    system: str | None = None

    @property
    def letters_shown(self) -> bool:
        """Whether choices are shown with letters; only then does a letter count as an answer."""
        return self.choices in ("letters", "lettered_lines")

    @property
    def tags_asked(self) -> bool:
        """Whether the prompt asks for tags; only then can an output be malformed."""
        return self.form is not None

    @classmethod
    def from_config(cls, config: PromptConfig) -> "Prompt":
        """Find the style, and read and check `prompt_file`, if there is one; its edge whitespace is left out.

        `style` also says which form is expected where `prompt_file` replaces the wording.
        Raises ConfigError for an unknown style, and where the file cannot be read or lacks a placeholder.
        """
        style = _style(config.style)
        template = style.template
        if config.prompt_file is not None:
            try:
                template = config.prompt_file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"prompt.prompt_file: {config.prompt_file} cannot be read: {error}") from error
            for placeholder in ("{question}", "{choices}"):
                if placeholder not in template:
                    raise ConfigError(
                        f"prompt.prompt_file: {config.prompt_file} has no {placeholder}: write it where it belongs"
                    )
        return cls(template, config.choices or style.choices, style.form, config.system)

    def text(self, question: Question) -> str:
        """The user's text; an open question stands alone. Raises DataError for more choices than letters where letters
        are shown."""
        if not question.choices:
            return question.text
        parts = {"{question}": question.text, "{choices}": self._choices(question)}
        return re.sub(r"\{question\}|\{choices\}", lambda placeholder: parts[placeholder[0]], self.template)

    def fault(self, question: Question) -> str | None:
        """Why the prompt cannot be written, as for more choices than letters; None where it can."""
        try:
            self.text(question)
        except DataError as error:
            return str(error)
        return None

    def conversation(self, question: Question) -> Conversation:
        """The system turn, if there is one, and a user turn: an audio place for each clip before the text, or text
        alone where the question has no clip."""
        audio = [{"type": "audio"} for _ in question.audio_spans]
        system = [] if self.system is None else [{"role": "system", "content": [{"type": "text", "text": self.system}]}]
        return [*system, {"role": "user", "content": [*audio, {"type": "text", "text": self.text(question)}]}]

    def answer_text(self, question: Question) -> str:
        """The completion that SFT trains on: the text of the right choice or the reference of an open question, in
        tags where the prompt asks for them.

        The record's reasoning comes before it, in `<think>` tags, where the prompt asks for thinking; an adaptive
        prompt takes it where the record has one.

        Raises DataError where the answer is hidden, where the prompt asks for a thinking process and the record holds
        none, or where the completion would not have the form asked for, because its texts hold tags themselves.
        """
        where = question.source or f"question {question.id!r}"
        fault = self.target_fault(question)
        if fault is not None:
            raise DataError(f"{where}: {fault}")
        return self._target(question)

    def target_fault(self, question: Question) -> str | None:
        """Why SFT cannot train on this question; None where it can."""
        if question.answer is None and (question.choices or not question.answer_text):
            return "has no answer to train on"
        if self.form == "think" and not question.reasoning.strip():
            return (
                "the prompt asks for a thinking process and the record holds none: write one into its field "
                "reasoning, or use style r1_aqa or omni_r1 for SFT on answers"
            )
        if self.form is not None and form(self._target(question)) == "malformed":
            return "its answer or its reasoning holds tags or nothing, so the completion would be malformed"
        return None

    def _target(self, question: Question) -> str:
        choice = question.answer_text if question.answer is None else question.choices[question.answer]
        if self.form is None:
            return choice
        thinks = self.form != "answer" and question.reasoning.strip()
        return (f"<think>{question.reasoning.strip()}</think>" if thinks else "") + f"<answer>{choice}</answer>"

    def _choices(self, question: Question) -> str:
        if self.choices == "list":
            return repr(list(question.choices))
        if self.choices == "lines":
            return "\n".join(question.choices)
        if len(question.choices) > len(LETTERS):
            where = question.source or f"question {question.id!r}"
            raise DataError(f"{where}: {len(question.choices)} choices, only 26 letters: set prompt.choices: list")
        lettered = zip(LETTERS, question.choices, strict=False)
        if self.choices == "lettered_lines":
            return "\n".join(f"{letter}. {text}" for letter, text in lettered)
        return " ".join(f"({letter}) {text}" for letter, text in lettered)


_ASK = "{question} Please choose the answer from the following options: {choices}"
STYLES = {
    # Omni-R1's sentence (III-A).
    "omni_r1": Prompt(_ASK, "list", None),
    # R1-AQA's sentences after it, joined as R1-AQA's code joins them.
    "r1_aqa": Prompt(_ASK + ". Output the final answer in <answer> </answer>.", "list", "answer"),
    "r1_aqa_think": Prompt(
        _ASK + ". Output the thinking process in <think> </think> and final answer in <answer> </answer>.",
        "list",
        "think",
    ),
    # Ours: Audio-Thinker's wording is not public.
    "adaptive": Prompt(
        _ASK + ". First judge whether this problem needs thinking. If it does, output the thinking process in <think> "
        "</think> and final answer in <answer> </answer>. If it does not, output only the final answer in <answer> "
        "</answer>.",
        "list",
        "adaptive",
    ),
}
"""harken's own styles; the name of a benchmark stands for the prompt of its authors."""


def _style(name: str) -> Prompt:
    """Raises ConfigError for a name that stands for no prompt."""
    if name in STYLES:
        return STYLES[name]
    benchmarks = (*BENCHMARKS, *installed("benchmark"))
    if name not in benchmarks and ":" not in name:
        known = [*STYLES, *(known for known in benchmarks if find_benchmark(known).prompt is not None)]
        raise ConfigError(
            f"prompt.style: no style is called {name!r}{did_you_mean(name, known)}; one of {', '.join(known)}, or "
            "module:object for a benchmark of yours"
        )
    official = find_benchmark(name, "prompt.style").prompt
    if official is None:
        raise ConfigError(
            f"prompt.style: harken knows no prompt of the authors of {name}: set one of {', '.join(STYLES)}"
        )
    return Prompt(official.template, official.choices, None)
