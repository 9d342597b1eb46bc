"""The programs behind two figures of docs/: what rounding changes in samples, and the comparison with verl."""

import sys
from pathlib import Path

import pytest
import torch
from tiny_models import tiny_model

from batch_rounding import GROUP, PROMPTS, common_tokens, measure
from harken.inference.completions import as_completions

sys.path.append(str(Path(__file__).parents[2] / "benchmarks" / "peers"))
from verl_objectives import take


@pytest.mark.slow
def test_in_float32_neighbours_move_no_token():
    moved = measure(tiny_model("qwen2_5_omni"), mixed=False, batches=1)
    assert (moved.n_other, moved.n) == (0, PROMPTS * GROUP)
    assert moved.gaps.max() < 1e-4


def test_tokens_are_compared_up_to_the_first_other_one():
    sides = [as_completions([torch.tensor(row)], torch.device("cpu")) for row in ([1, 2, 3, 4], [1, 2, 9], [1, 2, 3])]
    assert common_tokens(sides[0], sides[1], 0) == 2
    assert common_tokens(sides[0], sides[2], 0) == 3
    assert common_tokens(sides[0], sides[0], 0) == 4


def test_functions_are_taken_without_their_decorators_and_a_missing_one_is_named(tmp_path):
    file = tmp_path / "core.py"
    file.write_text("@register('a')\ndef first(x: Unknown) -> Unknown:\n    return x + 1\n")
    names = {}
    take(file, ("first",), names)
    assert names["first"](1) == 2
    with pytest.raises(SystemExit, match=r"core.py has no function second: check out commit b178a3c"):
        take(file, ("first", "second"), {})
