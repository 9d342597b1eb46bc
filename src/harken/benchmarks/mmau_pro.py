"""MMAU-Pro: 5,305 questions with choices, open ones and instructions to follow, about one clip or several.

It is published as a table, test.parquet. Written out as JSON lines, it has the records that are read here. Its script
has three parts. Instructions are checked in closed form (instruction_checks.py). A prediction for a question with
choices is the choice whose embedding (NV-Embed-v2) is closest: in closed form only where the prediction is the text of
a choice, which then is that choice. Open answers are scored by a language model from 1 to 5 on four criteria.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harken.benchmarks.base import Benchmark, right_text
from harken.benchmarks.instruction_checks import NoSentencesError, follows
from harken.data.record_fields import choices_field, clips_field, find_answer, label_field, text_field
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.types import Criterion, Question

OPEN, INSTRUCTION = "open", "instruction following"
"""Categories that are scored in another way than by choices."""
_FROM_1_TO_5 = (1, 2, 3, 4, 5)
RUBRIC = (
    Criterion("correctness", "what the answer says is true by the reference", _FROM_1_TO_5),
    Criterion("relevance", "the answer is about what the question asks", _FROM_1_TO_5),
    Criterion("completeness", "the answer has everything important that the reference has", _FROM_1_TO_5),
    Criterion("clarity", "the answer is clear and in good order", _FROM_1_TO_5),
)
"""The criteria of the authors' judge, in words of our own; the score of an answer is their mean over 5."""


def parse_mmau_pro(record: Record, audio_root: Path, source: str) -> Question:
    """A record with id, audio_path (a name or a list), question, answer, choices, category, length_type, sub-cat, and
    task_identifier and kwargs where it asks to follow an instruction, as a Question; further keys are ignored.

    The category is the Question's `task`, length_type its `category`. A closed question with fewer than two different
    choices is kept without choices, as the script leaves it out. Raises RecordError with the reason.
    """
    task = text_field(record, "category")
    instruction = task == INSTRUCTION
    choices = () if task in (OPEN, INSTRUCTION) else _choices(record)
    answer = "" if record.get("answer") is None or instruction else text_field(record, "answer")
    index = find_answer(answer, choices) if answer else None
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, "question"),
        choices=tuple(choice.strip() for choice in choices),
        answer=index,
        audio=clips_field(record, record.get("audio_path"), audio_root),
        task=task,
        category=label_field(record, "length_type"),
        subcategory=label_field(record, "sub-cat"),
        source=source,
        answer_text=answer if index is None else "",
        rubric=RUBRIC if task == OPEN else (),
        check=_check(record) if instruction else "",
    )


def _choices(record: Record) -> tuple[str, ...]:
    value = record.get("choices")
    if value is None or (isinstance(value, list) and len({str(choice).strip() for choice in value}) < 2):
        return ()
    return choices_field(record)


def _check(record: Record) -> str:
    """The check that a record asks for; a table gives every record all arguments, those of other checks as null."""
    arguments = record.get("kwargs")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError as error:
            raise RecordError(f"kwargs: not JSON: {short_repr(arguments)}") from error
    if arguments is not None and not isinstance(arguments, dict):
        raise RecordError(f"kwargs: expected an object, found {short_repr(arguments)}")
    given = {key: value for key, value in (arguments or {}).items() if not _is_missing(value)}
    return json.dumps({"kind": label_field(record, "task_identifier"), "arguments": given})


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def mmau_pro_rule(question: Question, prediction: str) -> bool | None:
    """The official script's verdict on one prediction; None where the script decides it by no closed form.

    Raises ValueError where the benchmark hides the answer.
    """
    if question.check:
        check: Mapping[str, Any] = json.loads(question.check)
        try:
            return follows(check["kind"], check["arguments"], question.text, prediction)
        except NoSentencesError:
            return None
    if question.task == OPEN or prediction not in question.choices:
        return None
    return prediction == right_text(question).strip()


MMAU_PRO = Benchmark(
    name="mmau_pro",
    title="MMAU-Pro",
    url="https://huggingface.co/datasets/gamma-lab-umd/MMAU-Pro",
    licence="CC BY-NC 4.0",
    parse=parse_mmau_pro,
    official_rule=mmau_pro_rule,
    undecided="the script finds the closest choice by an embedding model (NV-Embed-v2), or counts sentences with NLTK",
    judged=lambda question: question.task == OPEN,
    groups={"length": lambda question: question.category},
    prediction_keys=("model_output",),
    prompt=None,  # the authors publish none
)
