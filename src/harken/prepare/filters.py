"""Filters that leave records out of a set on purpose. Each is off unless the command asks for it.

Every filter gives the reason why it leaves a record out, or None. Audio-Thinker (appendix C) keeps clips with an SNR
above 10 dB and at least 1.5 s [P]. Neither paper leaves out AVQA's purely visual questions (relation View), so that is
a filter and no default.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harken.config import PromptConfig
from harken.errors import ConfigError
from harken.prepare.clip_extraction import ClipMeasures
from harken.questions.prompt import Prompt
from harken.types import Question


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a command; None and False mean off.

    Attributes:
        relations, question_types: values of AVQA's `question_relation` and `question_type` that are kept.
        by_ear: questions that ask for what can only be seen are left out (by_ear.py).
        min_duration_s: shorter clips are left out.
        min_snr_db: clips at or below this ratio are left out.
        max_prompt_tokens: longest text of question and choices, written by the omni_r1 prompt and counted in tokens of
            `tokenizer`, a folder; the chat template and the clip do not count.
    """

    relations: tuple[str, ...] | None = None
    question_types: tuple[str, ...] | None = None
    by_ear: bool = False
    min_duration_s: float | None = None
    min_snr_db: float | None = None
    max_prompt_tokens: int | None = None
    tokenizer: Path | None = None

    def __post_init__(self) -> None:
        if (self.max_prompt_tokens is None) != (self.tokenizer is None):
            raise ConfigError("a limit of prompt tokens and a tokenizer folder go together: give both or neither")

    def reason_by_labels(self, question: Question) -> str | None:
        """Check AVQA's labels, which a Question holds as category and subcategory."""
        if self.relations is not None and question.category not in self.relations:
            return f"question relation filtered: {question.category!r}"
        if self.question_types is not None and question.subcategory not in self.question_types:
            return f"question type filtered: {question.subcategory!r}"
        return None

    def reason_by_clip(self, clip: ClipMeasures) -> str | None:
        if self.min_duration_s is not None and clip.duration_s < self.min_duration_s:
            return f"clip too short: {clip.duration_s:.2f} s, the minimum is {self.min_duration_s:g} s"
        if self.min_snr_db is not None and clip.snr_db <= self.min_snr_db:
            return f"clip too noisy: SNR {clip.snr_db:.1f} dB, the limit is {self.min_snr_db:g} dB"
        return None

    def reason_by_length(self) -> Callable[[Question], str | None]:
        """Load the tokenizer once, and return the check of prompt lengths. Raises
        ConfigError where it cannot be loaded."""
        if self.tokenizer is None or self.max_prompt_tokens is None:
            return lambda question: None
        encode, limit = _load_tokenizer(self.tokenizer), self.max_prompt_tokens
        prompt = Prompt.from_config(PromptConfig())

        def check(question: Question) -> str | None:
            length = len(encode(prompt.text(question)))
            return f"prompt too long: {length} tokens, the limit is {limit}" if length > limit else None

        return check


def _load_tokenizer(folder: Path) -> Callable[[str], list[int]]:
    """Text -> token ids. Raises ConfigError where the folder holds no tokenizer that can be loaded."""
    from transformers import AutoTokenizer

    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; give one with tokenizer.json")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: holds no tokenizer that can be loaded: {error}") from error
    return lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
