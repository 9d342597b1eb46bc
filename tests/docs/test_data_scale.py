"""The table of large sets in docs/data.md is made of the results of its program."""

import json

import data_scale


def test_the_table_of_large_sets_is_made_of_the_results():
    results = json.loads(data_scale.RESULTS.read_text(encoding="utf-8"))
    text = data_scale.PAGE.read_text(encoding="utf-8")
    assert data_scale.page(text, results) == text, "run python benchmarks/data_scale.py --out FOLDER --table"


def test_text_work_at_full_size_takes_less_than_500_mb_and_does_10_000_records_a_second():
    results = json.loads(data_scale.RESULTS.read_text(encoding="utf-8"))
    assert results["records"] == 1_000_000
    for name, row in results["rows"].items():
        if name not in ("train", "evaluate"):
            assert row["peak_mib"] * 2**20 < 500e6, name
        if row["text"]:
            assert results["records"] / row["cpu_s"] > 10_000, name
