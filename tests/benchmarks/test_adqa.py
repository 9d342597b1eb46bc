"""The records of the ADQA challenge become questions, and predictions its system output."""

import csv

import pytest
from benchmark_files import changed, read_records_of, write

from harken.benchmarks.adqa import ADQA, adqa_rule
from harken.results.score_file import write_submission
from harken.types import Question

RECORD = {
    "id": "dev_0001",
    "audio_path": "dev_audios/a.wav",
    "question_text": "Which sound follows?",
    "multi_choice": ["Rain", "A door, closing"],
    "answer": "A door, closing",
}


@pytest.fixture
def read(tmp_path):
    """Reads records that are lines of q.jsonl in the test's folder."""
    return lambda *records: read_records_of(ADQA, tmp_path / "q.jsonl", *records, lines=True)


def test_a_record_of_either_set_becomes_a_question(read, tmp_path):
    question = Question(
        id="dev_0001",
        text="Which sound follows?",
        choices=("Rain", "A door, closing"),
        answer=1,
        audio=tmp_path / "dev_audios" / "a.wav",
        source=f"{tmp_path}/q.jsonl:1",
    )
    assert read(RECORD) == ([question], [])
    training = changed(RECORD, question_text=..., multi_choice=..., question="Which sound follows?", answer="Rain")
    [other], _ = read({**training, "choices": ["Rain", "Wind"], "question_type": "sound", "source_dataset": "Clotho"})
    assert (other.answer, other.task, other.dataset) == (0, "sound", "Clotho")


@pytest.mark.parametrize("hidden", [..., None, ""])
def test_a_hidden_answer_is_none_and_has_no_verdict(read, hidden):
    [question], _ = read(changed(RECORD, answer=hidden))
    assert question.answer is None
    with pytest.raises(ValueError, match="has no answer"):
        adqa_rule(question, "Rain")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"answer": "Snow"}, "answer 'Snow' is not one of the 2 choices"),
        ({"audio_path": "../a.wav"}, "is outside audio_root"),
        ({"multi_choice": "Rain"}, "multi_choice"),
        ({"question_text": 3}, "question_text: expected text, found 3"),
    ],
)
def test_what_cannot_be_used_is_rejected_with_its_value(read, changes, reason):
    kept, [rejected] = read(changed(RECORD, **changes))
    assert kept == []
    assert reason in rejected.reason


def test_the_rule_takes_the_text_of_the_right_choice_alone(read):
    [question], _ = read(RECORD)
    predictions = ("A door, closing", " A door, closing\n", "a door, closing", "Rain", "B", "")
    assert [adqa_rule(question, text) for text in predictions] == [True, True, False, False, False, False]


def test_the_system_output_has_a_row_for_every_question(tmp_path):
    records = [changed(RECORD, id=f"eval_{i}", answer=...) for i in range(3)]
    data = write(tmp_path / "eval.jsonl", records)
    predictions = write(
        tmp_path / "p.json",
        [{"id": "eval_0", "answer_prediction": "A door, closing"}, {"id": "eval_2", "answer_prediction": "Rain"}],
    )
    written = write_submission("adqa", data, predictions, tmp_path / "output.csv")
    assert (written["n"], written["n_missing"]) == (3, 1)
    with (tmp_path / "output.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["question", "answer"],
            ["eval_0", "A door, closing"],
            ["eval_1", ""],
            ["eval_2", "Rain"],
        ]
