"""MMAR: questions about sound, music, speech and their mixtures that ask for several steps of reasoning.

There are two files: the first (2025, a JSON list) and the one with rubrics (2026, JSON lines). By the rubric of a
question a judge scores the reasoning, where the answer is right (MMAR-Rubrics). In the first file the answers of five
questions are the text of no choice. The official script scores them, so they are kept, with answer None and the
published text in `answer_text`.
"""

from functools import partial
from pathlib import Path

from harken.benchmarks.base import Benchmark, OfficialPrompt
from harken.benchmarks.published_states import published_states
from harken.benchmarks.word_match import word_rule
from harken.data.record_fields import choices_field, clip_path, find_answer, label_field, rubric_field, text_field
from harken.data.records import Record, RecordError
from harken.errors import short_repr
from harken.types import Question

MODALITIES = (
    *("sound", "music", "speech", "mix-sound-music", "mix-sound-speech", "mix-music-speech"),
    "mix-sound-music-speech",
)
LAYERS = ("Signal Layer", "Perception Layer", "Semantic Layer", "Cultural Layer")


def parse_mmar(record: Record, audio_root: Path, source: str) -> Question:
    """A record with id, audio_path, question, choices, answer (text), modality, category (one of four layers),
    sub-category and, in the file with rubrics, rubric and thinking as a Question; further keys are ignored.

    The clip is the file that audio_path names, not the id. The modality is the Question's `task`. Four records end in
    an empty choice, which is left out: it has no words, so the official script never sees it. Raises RecordError with
    the reason, which names the value.
    """
    choices = choices_field({**record, "choices": _without_empty(record.get("choices"))})
    answer = "" if record.get("answer") is None else text_field(record, "answer")
    index = find_answer(answer, choices) if answer else None
    return Question(
        id=text_field(record, "id"),
        text=text_field(record, "question"),
        choices=tuple(choice.strip() for choice in choices),
        answer=index,
        audio=clip_path(text_field(record, "audio_path"), audio_root),
        task=_label(record, "modality", MODALITIES),
        category=_label(record, "category", LAYERS),
        subcategory=label_field(record, "sub-category"),
        source=source,
        answer_text=answer if index is None else "",
        reasoning=label_field(record, "thinking"),
        rubric=rubric_field(record, "rubric", rule="scoring_point", scores="choices"),
    )


def _without_empty(choices: object) -> object:
    return [choice for choice in choices if choice != ""] if isinstance(choices, list) else choices


def _label(record: Record, key: str, known: tuple[str, ...]) -> str:
    value = text_field(record, key)
    if value not in known:
        raise RecordError(f"{key}: expected one of {', '.join(known)}, found {short_repr(value)}")
    return value


MMAR = Benchmark(
    name="mmar",
    title="MMAR",
    url="https://huggingface.co/datasets/BoJack/MMAR",
    licence="CC BY-NC 4.0",
    parse=parse_mmar,
    official_rule=word_rule,
    states=partial(published_states, "mmar"),
    groups={"modality": lambda question: question.task},
    prediction_keys=("answer_prediction", "model_prediction"),  # the present script's and the first one's
    # The prompt stands in github.com/ddlBoJack/MMAR, issue 3.
    prompt=OfficialPrompt("{question}\nSelect one option from the provided choices:\n{choices}", choices="lines"),
)
