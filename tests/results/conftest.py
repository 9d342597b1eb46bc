"""The two files that `harken score` reads: those of a benchmark and of predictions."""

import pytest
from benchmark_files import KEY, RECORDS, answered, write


@pytest.fixture
def files(tmp_path):
    """Writes a benchmark's file and a file of predictions, which are right unless others are given."""

    def write_both(benchmark="mmau", records=None, predictions=None, name="predictions.json"):
        records = RECORDS[benchmark]() if records is None else records
        predictions = answered(records, KEY[benchmark]) if predictions is None else predictions
        return write(tmp_path / f"{benchmark}.json", records), write(tmp_path / name, predictions)

    return write_both
