"""MMSU: spoken language understanding, 5,000 questions over 47 tasks, each a task of perception or of reasoning.

The benchmark is published as a table with the sound inside. Written out as JSON, with the clips as files under their
names, it has the records that are read here.
"""

from pathlib import Path

from harken.benchmarks.base import Benchmark
from harken.benchmarks.lettered import LETTERS, letter, lettered_answer, lettered_choices
from harken.data.record_fields import clip_path, label_field, text_field
from harken.data.records import Record
from harken.types import Question


def parse_mmsu(record: Record, audio_root: Path, source: str) -> Question:
    """A record with id, audio_path, question, choice_a to choice_d, answer_gt (text), task_name, category (perception
    or reasoning) and sub-category as a Question; further keys are ignored.

    Raises RecordError with the reason, which names the value.
    """
    choices = lettered_choices(record)
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, "question"),
        choices=tuple(choice.strip() for choice in choices),
        answer=lettered_answer(record, choices),
        audio=clip_path(text_field(record, "audio_path"), audio_root),
        task=label_field(record, "task_name"),
        category=label_field(record, "category"),
        subcategory=label_field(record, "sub-category"),
        source=source,
    )


def mmsu_rule(question: Question, prediction: str) -> bool | None:
    """What the script says of one prediction; None where there is text without a letter: it drops the question.

    The letter is AIR-Bench's. Two things differ: an empty prediction and "None" stay in the denominator as wrong, and
    of two choices with the right text each is right. Raises ValueError where the benchmark hides the answer.
    """
    if question.answer is None:
        raise ValueError(f"question {question.id!r} has no answer")
    if prediction.strip().replace("\n", "") in ("", "None"):
        return False
    chosen = letter(prediction)
    if chosen is None:
        return None
    index = LETTERS.index(chosen)
    return index < len(question.choices) and question.choices[index] == question.choices[question.answer]


MMSU = Benchmark(
    name="mmsu",
    title="MMSU",
    url="https://huggingface.co/datasets/ddwang2000/MMSU",
    licence="MIT",
    parse=parse_mmsu,
    official_rule=mmsu_rule,
    reads_letters=True,
    prediction_keys=("response",),
)
