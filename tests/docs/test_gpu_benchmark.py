"""benchmarks/gpu.py runs at its smallest on a CPU, so that it is kept in order where there is no card."""

import json

import pytest

import gpu


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what importing torchao says of its own parts
def test_the_benchmark_of_one_card_runs_small_on_a_cpu(tmp_path, capsys):
    gpu.main(["--small", "--out", str(tmp_path / "out.json")])
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["left_out"] == []
    for name, tokens in (("R1-AQA", 3), ("Audio-Thinker", 5), ("Audio-Thinker in graphs", 5)):
        part = report[name]
        assert (part["mode"], part["notes"]) == ("float32, no checkpointing", [])
        assert part["completion_tokens"] == tokens
        stages = part["seconds"]
        assert stages["step"] == pytest.approx(stages["rollout"] + stages["reference"] + stages["update"])
        assert part["gpu_hours_of_1000_steps"] == pytest.approx(stages["step"] / 3.6)
        assert part["of_floor"] == pytest.approx(stages["step"] / part["floor_s"])
        assert 0 < part["account_gib"]["rollout"] < part["account_gib"]["training"]
    assert (report["graphs"]["tokens_equal"], report["graphs"]["recorded"]) == (True, False)
    assert set(report["cuDNN"]["seconds"]) == {
        f"{what}, cuDNN {state}" for what in ("rollout", "policy pass") for state in ("on", "off")
    }
    assert report["repeated"]["logp_difference_max"] < 0.2
    assert '"R1-AQA": {' in capsys.readouterr().out


def test_parts_that_would_begin_too_late_are_left_out_and_named(tmp_path):
    report = gpu.main(["--small", "--limit", "-1", "--out", str(tmp_path / "out.json")])
    assert report["left_out"][:2] == ["rates", "R1-AQA"]


def test_a_part_that_fails_is_named_with_its_error_and_the_next_one_begins(tmp_path, monkeypatch):
    def fail():
        raise RuntimeError("CUDA error: no kernel image is available\nCompile with ...")

    monkeypatch.setattr(gpu.Parts, "runs", lambda parts: {"rates": fail, "R1-AQA": lambda: {"gpu_hours": 1.0}})
    gpu.main(["--small", "--out", str(tmp_path / "out.json")])
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["rates"] == {"error": "CUDA error: no kernel image is available"}
    assert report["R1-AQA"] == {"gpu_hours": 1.0}


@pytest.mark.slow
def test_the_memory_mode_is_the_first_that_the_account_puts_on_the_card(monkeypatch):
    from gpu_setup import Work
    from gpu_step import MODES, fastest_that_fits

    work = Work("7b", None, gpu.pick_device("cpu"), 10.0, 16, 8, 10, 512, 1)
    cards = {gib: fastest_that_fits(work, "r1_aqa", 10, gib * 2**30)[0] for gib in (48, 80, 141, 400)}
    places = [list(MODES).index(mode) for mode in cards.values()]
    assert places == sorted(places, reverse=True)
    assert cards[400] == "float32, no checkpointing"
    assert places[0] > places[-1]
