"""benchmarks/simulate.py: fake tensors are counted as real ones would be, and a step of a tiny model ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import simulate
from counted_memory import CountedMemory, KnownValues

PROGRAM = Path(simulate.__file__)


def test_a_storage_counts_once_however_many_views_it_has_and_not_after_it_is_freed():
    counted = CountedMemory()
    with FakeTensorMode(), counted, KnownValues():
        kept = torch.empty(1000, dtype=torch.float32)
        view = kept.view(10, 100)[2:]
        counted.reset()
        product = view * 2.0  # [8, 100]: 3,200 bytes
        sums = product.sum(1)  # 32 bytes
        del product
        assert (counted.now, counted.peak) == (4000 + 32, 4000 + 3200 + 32)
        del sums, kept
        assert counted.now == 4000  # the view keeps the storage
        del view
        assert counted.now == 0


def test_what_is_in_host_memory_is_not_counted():
    counted = CountedMemory()
    with FakeTensorMode(), counted:
        elsewhere = torch.empty(1000, dtype=torch.bfloat16)
        counted.leave_out(elsewhere)
        assert counted.now == 0
        copied = elsewhere.clone()
        assert counted.now == copied.nbytes == 2000


def test_small_tensors_have_their_values_and_large_ones_read_as_zero():
    with FakeTensorMode(allow_non_fake_inputs=True), KnownValues():
        lengths = torch.tensor([3, 1, 2])
        assert lengths.cumsum(0).tolist() == [3, 4, 6]
        assert int(lengths.max()) == 3
        assert float((torch.empty(100_000) + 1).sum()) == 0.0


@pytest.mark.filterwarnings("ignore")  # what importing torchao says of its own parts
def test_the_table_has_a_row_for_each_case_and_says_why_one_has_no_figures():
    cases = [
        {"size": "3b", "ranks": 1, "mode": "defaults", "prompt_tokens": 300, "simulated": {"rollout": 1, "update": 2}},
        {"size": "7b", "ranks": 4, "mode": "defaults", "failed": "ended with code 1"},
    ]
    planned = simulate.planned_peak(cases[0])
    cases[0]["simulated"]["update"] = planned * 4 // 5
    lines = simulate.page(f"before\n{simulate.BEGIN}\nold\n{simulate.END}\nafter\n", cases).splitlines()
    assert [lines[0], lines[-1], len(lines)] == ["before", "after", 8]
    assert lines[4].startswith("| 3B | 1 | defaults | update | ")
    assert lines[4].endswith(f" {planned / 2**30:.2f} | +25.0 % |")
    assert lines[5] == "| 7B | 4 | defaults | not simulated: ended with code 1 | | | |"


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_two_steps_of_a_tiny_model_end_with_the_peaks_of_their_parts(tmp_path, ranks):
    out = tmp_path / "case.json"
    case = json.dumps(["tiny", ranks, "defaults"])
    subprocess.run(
        [sys.executable, str(PROGRAM), "--case", case, str(out)],
        check=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    peaks, prompt_tokens = json.loads(out.read_text())
    assert list(peaks) == ["rollout", "reference", "update"]
    assert prompt_tokens > 250  # 10 s of sound are 250 of them
    planned = simulate.account(simulate.simulated_run("tiny", ranks, "defaults"), prompt_tokens)
    assert 0 < max(peaks.values()) < 2 * planned["peak"]


@pytest.mark.filterwarnings("ignore")  # what importing torchao says of its own parts
def test_the_account_is_within_7_percent_of_each_simulated_case_and_the_page_is_made_of_them():
    cases = json.loads(simulate.RESULTS.read_text())
    assert len(cases) == 2 * 3 * len(simulate.MODES)  # sizes, numbers of ranks
    for case in cases:
        assert simulate.planned_peak(case) == pytest.approx(max(case["simulated"].values()), rel=0.07), case
    text = simulate.PAGE.read_text()
    assert simulate.page(text, cases) == text  # else run benchmarks/simulate.py --table
