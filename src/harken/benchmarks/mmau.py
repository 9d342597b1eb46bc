"""MMAU: 10,000 questions about sound, music and speech, of which test-mini (1,000) shows its answers.

Test-mini has two versions, the original of 2024 and v05.15.25. They share 894 ids and differ in what they ask, so a
score on one says nothing about the other. Each was mended several times. Records tell which version and which state a
file is (published_states.py); file names do not count.
"""

from functools import partial
from pathlib import Path

from harken.benchmarks.base import Benchmark, OfficialPrompt
from harken.benchmarks.published_states import published_states
from harken.benchmarks.word_match import word_rule
from harken.data.record_fields import answer_index, choices_field, clips_field, find_answer, label_field, text_field
from harken.data.records import Record
from harken.types import Question

_AUTHORS_FOLDER = "/fs/gamma-projects/audio/sonal_brain/mmau_audios/"
"""Stands before the clip names in one of the files of 2025-05-16."""


def parse_mmau(record: Record, audio_root: Path, source: str) -> Question:
    """A record with id, audio_id (a name or a list), question, choices, answer (text), task, category, sub-category,
    difficulty and dataset as a Question; further keys are ignored.

    Data sets in MMAU's form may say audio_path for audio_id and modality for task. A record without `answer`
    (test-full) has answer None; one without any key about sound is a text-only question. Choices are stripped and
    otherwise left alone: v05.15.25 has 27 questions with repeated choices, and leaving them out would change the
    benchmark. In the files of 2025-05-15 and 2025-05-16 the answers of 147 questions are the text of no choice; they
    are kept as `answer_text`, since the official script scores them. Raises RecordError with the reason, which names
    the value.
    """
    choices = choices_field(record)
    clip = record.get("audio_path", record.get("audio_id"))
    if isinstance(clip, str):
        clip = clip.removeprefix(_AUTHORS_FOLDER)
    answer = _answer(record, choices)
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, "question"),
        choices=tuple(choice.strip() for choice in choices),
        answer=answer if isinstance(answer, int) else None,
        audio=clips_field(record, clip, audio_root),
        task=label_field(record, "task", "modality"),
        difficulty=label_field(record, "difficulty"),
        category=label_field(record, "category"),
        subcategory=label_field(record, "sub-category"),
        dataset=label_field(record, "dataset"),
        source=source,
        answer_text=answer if isinstance(answer, str) else "",
    )


def _answer(record: Record, choices: tuple[str, ...]) -> int | str | None:
    """The index of the right choice, or the answer of a published record that is no choice's; None where hidden."""
    if record.get("answer") is None:
        return None
    text = text_field(record, "answer")
    if find_answer(text, choices) is None and published_states("mmau").has((text_field(record, "id"), choices, text)):
        return text
    return answer_index(text, choices)


def submission(record: Record, prediction: str) -> Record:
    """The published record with the prediction under the key that the script reads and under the one that the
    submission page asks for."""
    return {**record, "model_output": prediction, "model_prediction": prediction}


MMAU = Benchmark(
    name="mmau",
    title="MMAU",
    url="https://github.com/Sakshi113/MMAU",
    licence="Apache-2.0",
    parse=parse_mmau,
    part="test-mini",
    official_rule=word_rule,
    states=partial(published_states, "mmau"),
    prediction_keys=("model_output", "model_prediction"),  # the script's and the submission page's
    submission=submission,
    # The prompt stands in github.com/Sakshi113/MMAU, issue 3; the line feed before the question is left out.
    prompt=OfficialPrompt("{question}  Select one option from the provided choices.\n{choices}."),
)
