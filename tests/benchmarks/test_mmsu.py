"""MMSU's records become questions."""

import pytest
from benchmark_files import read_records_of

from harken.benchmarks.mmsu import MMSU
from harken.types import Question

RECORD = {
    "id": "accent_1",
    "audio_path": "audio/accent_1.wav",
    "question": "Which accent is it?",
    **{"choice_a": "one", "choice_b": "two", "choice_c": "three", "choice_d": "four", "answer_gt": "two"},
    **{"task_name": "accent", "category": "Perception", "sub-category": "Paralinguistics"},
    **{"sub-sub-category": "speaker", "linguistics_sub_discipline": "phonetics"},
}


@pytest.fixture
def read(tmp_path):
    """Reads records that lie in q.json of the test's folder."""
    return lambda *records, **options: read_records_of(MMSU, tmp_path / "q.json", *records, **options)


def test_an_mmsu_record_becomes_a_question(read, tmp_path):
    assert read(RECORD) == (
        [
            Question(
                id="accent_1",
                text="Which accent is it?",
                choices=("one", "two", "three", "four"),
                answer=1,
                audio=tmp_path / "audio" / "accent_1.wav",
                task="accent",
                category="Perception",
                subcategory="Paralinguistics",
                source=f"{tmp_path}/q.json:1",
            )
        ],
        [],
    )
