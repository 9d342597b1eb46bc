"""The two published versions of MMAU test-mini are two benchmarks, told apart by their files and never mixed."""

import json
from pathlib import Path

import pytest
from benchmark_files import accuracies, answered, write

from harken.benchmarks.mmau import MMAU
from harken.errors import DataError
from harken.results.score_file import read_benchmark, score_file

REAL = ("original", "v05.15.25")


def real(shared, version) -> Path:
    return shared / "benchmarks" / f"mmau-test-mini.{version}.json"


@pytest.mark.parametrize("version", REAL)
def test_real_versions_are_told_apart_and_gold_scores_100(shared, tmp_path, version):
    data = real(shared, version)
    records = json.loads(data.read_text(encoding="utf-8"))
    predictions = write(tmp_path / "anything.jsonl", answered(records, "model_output"))
    result = score_file("mmau", data, predictions)
    assert (result["version"], accuracies(result)) == (version, [1.0, 1.0, 1.0])


@pytest.mark.parametrize("stripped", [False, True], ids=["official format", "id and prediction alone"])
@pytest.mark.parametrize(("version", "other"), [REAL, REAL[::-1]])
def test_predictions_of_the_other_version_are_refused_with_counts(shared, tmp_path, version, other, stripped):
    records = answered(json.loads(real(shared, other).read_text(encoding="utf-8")), "model_output")
    if stripped:
        records = [{"id": record["id"], "model_output": record["model_output"]} for record in records]
    predictions = write(tmp_path / "p.json", records)
    with pytest.raises(DataError) as error:
        score_file("mmau", real(shared, version), predictions)
    message = str(error.value)
    assert f"are of MMAU {other}, and the benchmark file is MMAU {version}: two benchmarks, never mixed" in message
    assert "106 have an id that the benchmark file does not have" in message
    assert ("164 state other choices than the benchmark file, so 81.7 % of 894 items" in message) is not stripped


def test_a_benchmark_file_that_mixes_the_versions_is_refused(shared, tmp_path):
    first, second = (json.loads(real(shared, version).read_text(encoding="utf-8")) for version in REAL)
    ids = {record["id"] for record in first}
    mixed = write(tmp_path / "mixed.json", first[:900] + [record for record in second if record["id"] not in ids])
    with pytest.raises(DataError, match="two benchmarks, never mixed"):
        read_benchmark(MMAU, mixed)
