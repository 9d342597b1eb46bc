"""docs/performance.md is what its program makes of the results, and rounds are measured in turn."""

import json
import sys

import pytest

from harness import Cost, Peer, interleaved, median_interval, ratio, summary, write_cases
from performance_page import PAGE, RESULTS, page
from text_model import SHAPE, write_text_model
from text_step import own_side, sampling_side


def test_the_page_in_docs_is_made_of_the_results():
    assert PAGE.read_text(encoding="utf-8") == page(RESULTS), "run python benchmarks/performance_page.py"


def test_our_side_of_the_text_comparison_takes_a_step_in_either_form(tmp_path, monkeypatch):
    small = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    monkeypatch.setattr("text_model.SHAPE", {**SHAPE, **small, "num_attention_heads": 4})
    write_text_model(tmp_path)
    for form in ("continued", "packed"):
        (batch,) = own_side(tmp_path, 12, 5, 3, form)()
        assert batch.sampled.completions.mask.sum(1).tolist() == [5, 5, 5]
    assert sampling_side(tmp_path, 12, 5, 3)().tokens.shape == (3, 5)


def test_sides_take_turns_to_begin_and_the_first_round_is_not_counted():
    order = []

    def side(name, *seconds):
        left = list(seconds)
        return lambda: order.append(name) or Cost(wall_s=9.0, cpu_s=left.pop(0))

    costs = interleaved({"ours": side("ours", 9, 1, 2), "theirs": side("theirs", 9, 4, 6)}, rounds=2)
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert ratio(costs["theirs"], costs["ours"]) == {"median": 3.5, "low": 3.0, "high": 4.0, "n": 2}
    assert summary(costs)["ours"]["cpu_s"] == {"median": 1.5, "low": 1.0, "high": 2.0, "n": 2}


def test_the_interval_of_a_median_is_that_of_medians_of_drawn_rounds():
    values = [1.0, 2.0, 4.0]
    # Of 27 equally likely draws the median is 1 in 7, 2 in 13 and 4 in 7: more than 2.5 % on either side.
    assert median_interval(values) == [1.0, 4.0]
    assert median_interval([3.0] * 5) == [3.0, 3.0]
    low, high = median_interval([0.99, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5])
    assert (low, high) == (1.0, 1.0)


def test_cases_measured_now_take_the_place_of_the_same_and_leave_the_others(tmp_path):
    write_cases(tmp_path, "figure", {"a": {"ratio": 1}, "b": {"ratio": 2}})
    write_cases(tmp_path, "figure", {"b": {"ratio": 3}})
    held = json.loads((tmp_path / "figure.json").read_text())
    assert [(name, case["ratio"]) for name, case in held.items()] == [("a", 1), ("b", 3)]
    assert set(held["b"]["machine"]) == {"device", "threads", "load", "versions", "commit"}


def test_a_peer_answers_each_step_and_its_end_is_told_with_its_words(tmp_path):
    program = 'for line in open(0): print("noise"); print("COST", "{\\"wall_s\\": 2, \\"cpu_s\\": 1}", flush=True)'
    peer = Peer([sys.executable, "-c", program], tmp_path / "log")
    assert [peer(), peer()] == [Cost(2, 1)] * 2
    peer.close()
    failing = Peer([sys.executable, "-c", "input(); raise SystemExit('no such model')"], tmp_path / "log")
    with pytest.raises(RuntimeError, match="ended with 1:\nno such model"):
        failing()
    failing.close()
