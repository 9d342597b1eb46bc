"""benchmarks/gpu.py runs at its smallest on a CPU, so that it is kept in order where there is no card."""

import json

import pytest

import gpu


@pytest.mark.filterwarnings("ignore")  # what importing torchao says of its own parts
def test_the_benchmark_of_one_card_runs_small_on_a_cpu(tmp_path, capsys):
    pytest.importorskip("torchao")
    small = {"size": "tiny", "seconds": 0.5, "prompts": 2, "group": 2, "completion": 3, "long": 4, "repeats": 1}
    words = [f"--{name}={value}" for name, value in small.items()]
    gpu.main([*words, "--out", str(tmp_path / "out.json")])
    report = json.loads((tmp_path / "out.json").read_text())
    for mode in ("48 GB", "fast"):
        assert "error" not in report[mode]
        assert report[mode]["notes"] == []
        parts = report[mode]["seconds"]
        assert parts["step"] == pytest.approx(parts["rollout"] + parts["reference"] + parts["update"])
        assert report[mode]["of_floor"] == pytest.approx(parts["step"] / report[mode]["floor_s"])
        assert report[mode]["1000_steps_h"] == pytest.approx(parts["step"] / 3.6)
        assert report[mode]["planned_gib"] > 0
    assert report["passes"]["logp_difference_max"] < 0.2
    assert all(report["passes"]["decode"][form]["tokens_per_s"] > 0 for form in ("as rows come", "cuda_graph"))
    assert report["passes"]["decode"]["same_tokens"] == 1
    assert {"matmul_per_s", "copy_bytes_per_s"} == report["rates"].keys()
    assert "of_floor" in capsys.readouterr().out
