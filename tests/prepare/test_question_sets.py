"""ARC, AudioMCQ and benchmarks become manifests."""

import json

import datasets
import pytest
from made_media import tone, write_wav
from prepared_files import reasons, write_json_lines

from harken.config import PromptConfig
from harken.data.manifest import read_manifest
from harken.errors import DataError
from harken.prepare.arc import prepare_arc
from harken.prepare.audiomcq import prepare_audiomcq
from harken.prepare.benchmarks import prepare_benchmark
from harken.prepare.source_records import HubDataset
from harken.questions.prompt import Prompt

ARC = [
    {"id": "a", "question": "Q1", "choices": {"text": ["w", "x", "y", "z"], "label": ["A", "B", "C", "D"]}},
    {"id": "b", "question": "Q2", "choices": {"text": ["w", "x", "y"], "label": ["1", "2", "3"]}},
    {"id": "c", "question": "Q3", "choices": {"text": ["v", "w", "x", "y", "z"], "label": ["A", "B", "C", "D", "E"]}},
    {"id": "d", "question": "Q4", "choices": {"text": ["w", "x"], "label": ["A", "B"]}},
]
KEYS = ["D", "2", "E", "1"]
ARC_ROWS = [row | {"answerKey": key} for row, key in zip(ARC, KEYS, strict=True)]


def arc_sources(folder):
    """The same records in each of the forms in which they are published."""
    yield write_json_lines(folder / "flat.jsonl", ARC_ROWS)
    nested = [
        {
            **{"id": row["id"], "answerKey": row["answerKey"]},
            "question": {
                "stem": row["question"],
                "choices": [
                    dict(zip(("label", "text"), choice, strict=True)) for choice in zip(*_columns(row), strict=True)
                ],
            },
        }
        for row in ARC_ROWS
    ]
    yield write_json_lines(folder / "nested.jsonl", nested)
    table = datasets.Dataset.from_list(ARC_ROWS)
    table.to_parquet(folder / "arc.parquet")
    yield folder / "arc.parquet"
    table.to_parquet(folder / "hub" / "ARC-Easy" / "train-00000-of-00001.parquet")
    (folder / "hub" / "README.md").write_text(
        "---\nconfigs:\n- config_name: ARC-Easy\n  data_files:\n  - split: train\n    path: ARC-Easy/train-*\n---\n"
    )
    yield HubDataset(str(folder / "hub"), "ARC-Easy", "train")


def _columns(row):
    return row["choices"]["label"], row["choices"]["text"]


@pytest.mark.parametrize("form", range(4))
def test_arc_is_read_from_each_form_and_the_key_is_looked_up_among_the_labels(tmp_path, form):
    source = list(arc_sources(tmp_path))[form]
    card = prepare_arc(source, tmp_path / "out")
    questions, rejected = read_manifest(tmp_path / "out" / "manifest.jsonl")
    assert rejected == []
    assert [
        (question.id, question.text, question.choices[question.answer], question.audio) for question in questions
    ] == [
        ("arc-a", "Q1", "z", None),
        ("arc-b", "Q2", "x", None),
        ("arc-c", "Q3", "z", None),
    ]
    assert reasons(tmp_path / "out") == [(4, "answerKey: '1' is not one of the labels ['A', 'B']")]
    assert "| 3 choices, 1 questions | 0 / 1 / 0 |" in card.markdown()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"choices": None}, "choices: expected texts and labels, found None"),
        ({"choices": {"text": ["a"], "label": ["A", "B"]}}, "choices: expected as many labels as texts"),
        ({"choices": {"text": ["a", "b"], "label": ["A", "A"]}}, "answerKey: 'A' is not one of the labels"),
        ({"choices": [{"text": "a"}, {"label": "A"}]}, "choices: expected texts that are not empty, found None"),
        ({"answerKey": None}, "answerKey: expected text, found None"),
        ({"question": 7}, "question: expected text, found 7"),
    ],
)
def test_a_bad_arc_record_is_rejected_with_its_reason(tmp_path, change, reason):
    row = {"id": "a", "question": "Q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "A"}
    prepare_arc(write_json_lines(tmp_path / "a.jsonl", [row | change]), tmp_path / "out")
    [(line, actual)] = reasons(tmp_path / "out")
    assert line == 1
    assert actual.startswith(reason)


def test_a_file_that_is_no_parquet_or_not_there_is_one_error(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR2")
    with pytest.raises(DataError, match=r"a\.parquet: cannot be read as a data set"):
        prepare_arc(tmp_path / "a.parquet", tmp_path / "out")
    with pytest.raises(DataError, match=r"b\.parquet: no such file"):
        prepare_arc(tmp_path / "b.parquet", tmp_path / "out")
    with pytest.raises(DataError, match="cannot be read as a data set"):
        prepare_arc(HubDataset(str(tmp_path / "nowhere"), None, "train"), tmp_path / "out")


def test_audiomcq_ids_are_made_unique_and_bad_records_named(tmp_path):
    root = tmp_path / "snapshot"
    write_wav(root / "Clotho" / "a.wav", tone(440, 16_000, 0.2))
    (root / "Clotho" / "dead.wav").write_bytes(b"x")
    row = {
        **{"source_dataset": "Clotho", "question_type": "sound", "id": 1, "audio_path": "Clotho/a.wav"},
        **{"question": "What rings?", "choices": ["bell", "phone"], "answer": "phone", "gemini_cot": "<think>"},
    }
    rows = [
        row,
        row | {"question_type": "speech"},
        {
            "id": "dev1",
            "audio_path": "Clotho/a.wav",
            "question_text": "Who?",
            "multi_choice": ["x", "y"],
            "answer": "x",
        },
        row,
        row | {"id": 2, "answer": "gong"},
        row | {"id": 3, "audio_path": "../a.wav"},
        row | {"id": 4, "audio_path": "/etc/passwd"},
        row | {"id": 5, "audio_path": "Clotho/dead.wav"},
        row | {"id": 6, "audio_path": None},
    ]
    data = write_json_lines(root / "data.jsonl", rows)
    prepare_audiomcq(data, root, tmp_path / "out", workers=1)
    questions, rejected = read_manifest(tmp_path / "out" / "manifest.jsonl", root)
    assert rejected == []
    assert [
        (question.id, question.text, question.answer, question.task, question.dataset, question.audio)
        for question in questions
    ] == [
        ("audiomcq-sound-Clotho-1", "What rings?", 1, "sound", "Clotho", root / "Clotho" / "a.wav"),
        ("audiomcq-speech-Clotho-1", "What rings?", 1, "speech", "Clotho", root / "Clotho" / "a.wav"),
        ("audiomcq-dev1", "Who?", 0, "", "", root / "Clotho" / "a.wav"),
    ]
    reason_of = dict(reasons(tmp_path / "out"))
    assert reason_of.keys() == {4, 5, 6, 7, 8, 9}
    assert reason_of[4] == f"id taken: 'audiomcq-sound-Clotho-1' is the record of {data}:1"
    assert reason_of[5].startswith("answer 'gong' is not one of the 2 choices")
    assert "is outside audio_root" in reason_of[6]
    assert "is outside audio_root" in reason_of[7]
    assert reason_of[8].startswith("clip cannot be decoded (")
    assert reason_of[9] == "audio_path: expected text, found None"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("It rings.", "It rings."),
        ("<think>\nIt rings.\n</think>\n<answer>phone</answer>", "It rings."),
        ("It rings.</think> phone", "It rings."),
        ("<think>", ""),
        (None, ""),
    ],
)
def test_audiomcq_keeps_the_reasoning_texts_on_which_sft_trains(tmp_path, written, kept):
    write_wav(tmp_path / "a.wav", tone(440, 16_000, 0.2))
    row = {"id": 1, "audio_path": "a.wav", "question": "What rings?", "choices": ["bell", "phone"], "answer": "phone"}
    data = write_json_lines(tmp_path / "data.jsonl", [row | {"gemini_cot": written, "mine": "Mine."}])
    card = prepare_audiomcq(data, tmp_path, tmp_path / "out", workers=1)
    [question], _ = read_manifest(tmp_path / "out" / "manifest.jsonl", tmp_path)
    assert question.reasoning == kept
    target = Prompt.from_config(PromptConfig(style="r1_aqa_think")).target_fault(question)
    assert (target is None) == bool(kept)
    [table] = [table for table in card.tables if table.title == "Reasoning texts"]
    assert list(table.rows) == [("with", str(int(bool(kept)))), ("without", str(int(not kept)))]
    for key, reasoning in (("mine", "Mine."), ("", "")):
        prepare_audiomcq(data, tmp_path, tmp_path / f"out{key}", workers=1, reasoning_key=key)
        [question], _ = read_manifest(tmp_path / f"out{key}" / "manifest.jsonl", tmp_path)
        assert question.reasoning == reasoning


def test_a_benchmark_keeps_every_record_whose_clip_is_there(shared, tmp_path):
    data = shared / "benchmarks" / "mmau-test-mini.v05.15.25.json"
    records = json.loads(data.read_text(encoding="utf-8"))
    for record in records[:3]:
        write_wav(tmp_path / "mmau" / record["audio_id"], tone(440, 16_000, 0.1))
    card = prepare_benchmark("mmau", data, tmp_path / "mmau", tmp_path / "out", workers=1)
    questions, _ = read_manifest(tmp_path / "out" / "manifest.jsonl", tmp_path / "mmau")
    assert [question.id for question in questions] == [record["id"] for record in records[:3]]
    assert [question.choices[question.answer] for question in questions] == [
        record["answer"].strip() for record in records[:3]
    ]
    assert len(reasons(tmp_path / "out")) == 997
    assert "| clip no such file | 997 |" in card.markdown()
