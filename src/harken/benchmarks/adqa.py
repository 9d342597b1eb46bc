"""ADQA: audio-dependent question answering, Task 5 of the DCASE challenge 2026.

Its sets for development and evaluation are JSON lines with a clip for each question. Questions that models answer
without the clip were filtered out by the organisers. The evaluation set hides its answers.
"""

from pathlib import Path

from harken.benchmarks.base import Benchmark, OfficialPrompt, right_text
from harken.data.record_fields import answer_index, choices_field, clip_path, label_field, text_field
from harken.data.records import Record
from harken.types import Question


def parse_adqa(record: Record, audio_root: Path, source: str) -> Question:
    """A record with id, audio_path, question_text, multi_choice and, where it is not hidden, answer (text).

    The names of the training set, question and choices, are read too. Raises RecordError with the reason, which names
    the value.
    """
    names = ("question_text", "multi_choice") if "question_text" in record else ("question", "choices")
    choices = choices_field(record, names[1])
    hidden = record.get("answer") in (None, "")
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, names[0]),
        choices=choices,
        answer=None if hidden else answer_index(text_field(record, "answer"), choices),
        audio=clip_path(text_field(record, "audio_path"), audio_root),
        task=label_field(record, "question_type"),
        dataset=label_field(record, "source_dataset"),
        source=source,
    )


def adqa_rule(question: Question, prediction: str) -> bool | None:
    """Top-1 accuracy: right where the prediction is the text of the right choice, spaces at the edges aside.

    The task's page states the measure and no script. Raises ValueError where the benchmark hides the answer.
    """
    return prediction.strip() == right_text(question).strip()


def submission(record: Record, prediction: str) -> Record:
    """A row of the system output: the id of the question, and the text of the choice."""
    return {"question": record["id"], "answer": prediction}


ADQA = Benchmark(
    name="adqa",
    title="ADQA (DCASE 2026 Task 5)",
    url="https://dcase.community/challenge2026/task-audio-dependent-question-answering",
    licence="Apache-2.0",
    parse=parse_adqa,
    official_rule=adqa_rule,
    prediction_keys=("answer_prediction", "prediction", "model_output"),
    submission=submission,
    submission_file="csv",
    prompt=OfficialPrompt("{question} Please choose the answer from the following options: {choices}."),
)
