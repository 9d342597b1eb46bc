"""`harken score` on sample logs of lmms-eval, evalscope and inspect, hand-made in the form that they write."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from benchmark_files import RECORDS, write
from harness_logs import LETTERS, Answer, evalscope, lmms_eval

from harken.benchmarks.registry import find_benchmark
from harken.errors import DataError
from harken.results.score_file import score_file
from harken.types import Question


def reviews(questions: list[Question], answer: Answer, name: str) -> list[dict[str, Any]]:
    return [
        {
            **{"index": row["index"], "messages": row["messages"], "target": LETTERS[question.answer]},
            "sample_score": {
                "score": {"value": {"acc": 1.0}, "extracted_prediction": "A", "prediction": answer(place, question)},
                "sample_metadata": row["metadata"],
            },
        }
        for place, (row, question) in enumerate(zip(evalscope(questions, answer, name), questions, strict=True))
    ]


def inspect(questions: list[Question], answer: Answer, name: str) -> list[dict[str, Any]]:
    sound = {"type": "audio", "audio": "x", "format": "wav"}
    return [
        {
            **{"id": place + 1, "epoch": 1, "choices": list(question.choices), "target": LETTERS[question.answer]},
            "input": [{"role": "user", "content": [sound, {"type": "text", "text": question.text}]}],
            "output": {"model": "m", "choices": [], "completion": answer(place, question)},
            "metadata": {"id": question.id} if name == "mmsu" else {},
        }
        for place, question in enumerate(questions)
    ]


def write_log(program: str, folder: Path, questions: list[Question], answer: Answer, name: str) -> Path:
    if program in ("lmms-eval", "evalscope", "reviews"):
        rows = {"lmms-eval": lmms_eval, "evalscope": evalscope, "reviews": reviews}[program](questions, answer, name)
        return write(folder / "log.jsonl", rows)
    samples = inspect(questions, answer, name)
    if program == "inspect json":
        path = folder / "log.json"
        path.write_text(json.dumps({"version": 2, "status": "success", "eval": {"task": name}, "samples": samples}))
        return path
    path = folder / "log.eval"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as log:
        log.writestr("header.json", json.dumps({"eval": {"task": name}}))
        for sample in samples:
            log.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
    return path


def three_of_four(place: int, question: Question) -> str:
    """A letter with its text: right but for each fourth question."""
    chosen = (question.answer + (place % 4 == 3)) % len(question.choices)
    return f"{LETTERS[chosen]}. {question.choices[chosen]}"


@pytest.fixture(params=["mmau", "mmar", "airbench", "mmsu"])
def benchmark(request, tmp_path) -> tuple[str, Path, list[Question]]:
    data = write(tmp_path / "data.json", RECORDS[request.param]())
    questions, rejected = find_benchmark(request.param).read(data)
    assert rejected == []
    return request.param, data, questions


@pytest.mark.parametrize("program", ["lmms-eval", "evalscope", "reviews", "inspect json", "inspect eval"])
def test_a_log_is_scored_as_its_answers_are(program, benchmark, tmp_path):
    name, data, questions = benchmark
    log = write_log(program, tmp_path, questions, three_of_four, name)
    result = score_file(name, data, log)
    right = sum(place % 4 != 3 for place in range(len(questions)))
    assert result["log_of"] == {"reviews": "evalscope"}.get(program, program.split()[0])
    assert (result["n"], result["n_missing"], result["n_unreadable"]) == (len(questions), 0, 0)
    assert result["choice_accuracy"]["value"] == pytest.approx(right / len(questions))
    assert (result["official_input"], result["letters_shown"]) == ("bare choice", True)
    if name != "mmar":  # MMAR's matcher also counts a wrong choice whose words hold those of the right one
        assert result["official_accuracy"]["value"] == pytest.approx(right / len(questions))


def test_bare_letters_and_long_answers_are_read_and_missing_samples_are_missing(benchmark, tmp_path):
    name, data, questions = benchmark
    forms = [lambda q: LETTERS[q.answer], lambda q: f"The answer is ({LETTERS[q.answer]}).", lambda q: "I cannot tell"]
    log = write_log("lmms-eval", tmp_path, questions, lambda n, q: forms[n % 3](q), name)
    rows = log.read_text().splitlines()
    log.write_text("\n".join(rows[: len(rows) // 2]) + "\n")
    result = score_file(name, data, log)
    n = len(rows) // 2
    assert result["n_missing"] == len(rows) - n
    assert result["n_unreadable"] == n // 3
    assert result["choice_accuracy"]["value"] == pytest.approx((n - n // 3) / len(rows))


def test_questions_with_the_same_text_and_choices_are_told_apart_by_their_answers(tmp_path):
    records = [
        {**RECORDS["mmau"](1)[0], "id": str(number), "question": "What is heard?", "choices": ["a dog", "a cat"]}
        | {"answer": ("a dog", "a cat")[number % 2], "audio_id": f"{number}.wav"}
        for number in range(4)
    ]
    data = write(tmp_path / "data.json", records)
    questions, _ = find_benchmark("mmau").read(data)
    rows = lmms_eval(questions, lambda n, q: "A", "")
    log = write(tmp_path / "log.jsonl", rows)
    assert score_file("mmau", data, log)["choice_accuracy"]["value"] == 0.5
    log = write(tmp_path / "some.jsonl", rows[:3])
    with pytest.raises(DataError, match="3 fit several questions, and their right answers do not tell which"):
        score_file("mmau", data, log)


def test_samples_of_another_benchmark_are_refused_with_their_number(tmp_path):
    data = write(tmp_path / "data.json", RECORDS["mmau"](8))
    other = write(tmp_path / "other.json", RECORDS["mmar"](12))
    questions, _ = find_benchmark("mmar").read(other)
    log = write_log("lmms-eval", tmp_path, questions, three_of_four, "mmar")
    with pytest.raises(DataError, match="Of 12 samples\n  12 fit no question of the benchmark file"):
        score_file("mmau", data, log)


@pytest.mark.parametrize(
    "row",
    [
        {"doc_id": 0, "filtered_resps": None, "input": None, "target": {"a": [1]}},
        {"doc_id": [], "filtered_resps": [[[]]], "input": [{"content": 3}], "submission": [3]},
        {"index": 0, "model_output": None, "messages": [None, 3, {"content": [None]}], "metadata": [1]},
        {"index": 0, "sample_score": {"score": 3, "sample_metadata": "x"}, "messages": 5},
        {"index": 0, "sample_score": None, "messages": {"a": 1}},
    ],
)
def test_a_damaged_log_is_a_sentence(row, tmp_path):
    data = write(tmp_path / "data.json", RECORDS["mmau"](4))
    log = write(tmp_path / "log.jsonl", [row])
    with pytest.raises(DataError, match=r"log\.jsonl: cannot be scored"):
        score_file("mmau", data, log)


def test_a_damaged_inspect_log_is_a_sentence(tmp_path):
    data = write(tmp_path / "data.json", RECORDS["mmau"](4))
    log = tmp_path / "log.json"
    log.write_text('{"eval": {}, "samples": [{"id": [], "input": 3, "choices": 7, "output": {"choices": [3]}}]}')
    with pytest.raises(DataError, match="cannot be scored"):
        score_file("mmau", data, log)


def zipped(path: Path, text: str, name: str = "samples/1_epoch_1.json") -> bytearray:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as log:
        log.writestr(name, text)
    return bytearray(path.read_bytes())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"log\.eval: samples/1_epoch_1\.json: not JSON: .*; write the log again"),
        ("[" * 100_000, r"log\.eval: samples/1_epoch_1\.json: nested too deeply"),
        (b"\xff", r"log\.eval: samples/1_epoch_1\.json: not UTF-8"),
    ],
)
def test_a_zipped_sample_that_is_no_json_is_named(tmp_path, text, message):
    data = write(tmp_path / "data.json", RECORDS["mmau"](4))
    zipped(tmp_path / "log.eval", text)
    with pytest.raises(DataError, match=message):
        score_file("mmau", data, tmp_path / "log.eval")


def test_a_zip_file_without_samples_is_no_log(tmp_path):
    data = write(tmp_path / "data.json", RECORDS["mmau"](4))
    zipped(tmp_path / "log.eval", "{}", "predictions.json")
    with pytest.raises(DataError, match=r"log\.eval: a ZIP file without samples/\*\.json is no log of inspect"):
        score_file("mmau", data, tmp_path / "log.eval")


UNREADABLE = "compressed in a way that this Python cannot read; .*inspect log convert log.eval"


def damaged(log: bytearray) -> None:
    start = 30 + len("samples/1_epoch_1.json")  # of the compressed bytes
    log[start : start + 2] = b"\xff\xff"


def put(entry: int, value: int, log: bytearray) -> None:
    """Set a number of two bytes at this place of both descriptions of the sample: its own, and that of the directory,
    which has two more bytes before it."""
    for start in (entry, log.index(b"PK\1\2") + entry + 2):
        log[start : start + 2] = value.to_bytes(2, "little")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damaged, "the ZIP file cannot be read .*; copy or write the log again"),
        (lambda log: put(6, 1, log), "the ZIP file cannot be read .*encrypted.*; copy or write the log again"),
        (
            lambda log: put(8, 98, log),
            UNREADABLE,
        ),
        (
            lambda log: put(4, 99, log),
            UNREADABLE,
        ),
    ],
    ids=["damaged", "encrypted", "unknown compression", "of a later version of ZIP"],
)
def test_a_zip_file_that_python_cannot_read_is_a_sentence(tmp_path, change, message):
    data = write(tmp_path / "data.json", RECORDS["mmau"](4))
    log = zipped(tmp_path / "log.eval", "{}")
    change(log)
    (tmp_path / "log.eval").write_bytes(log)
    with pytest.raises(DataError, match=message):
        score_file("mmau", data, tmp_path / "log.eval")
