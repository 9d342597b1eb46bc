"""Several processes of one machine, over gloo, are one process: same samples, same weights, and none waits for ever.

A job that takes longer than five minutes has hung, and fails. The longer runs are in `make proofs`.
"""

from types import SimpleNamespace

import pytest
import torch
from scale_runs import completions, moved_apart, on_ranks, plan, questions, same_rows, starting_weights

from harken.config import GrpoConfig, MemoryConfig, SftConfig
from harken.errors import HarkenError
from harken.grpo.out_of_memory import halve_until_it_fits
from harken.system.ranks import Ranks


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Everything that the default suite runs on several ranks, in one process that forks them."""
    folder = tmp_path_factory.mktemp("scale")
    questions(folder)
    run = {"recipe": str(plan(folder)), "loop": "grpo", "sgd": True}
    names = ["facts", "one reward", "rewards", "late judge", "one", "two"]
    jobs = [
        {"call": "facts", "size": 3},
        {"call": "rewards", "size": 1, "answers": True},
        {"call": "rewards", "size": 2, "answers": True},
        {"call": "rewards", "size": 2, "answers": False, "late_s": 2.0},
        {**run, "size": 1, "out": str(folder / "one")},
        {**run, "size": 2, "out": str(folder / "two")},
    ]
    return folder, dict(zip(names, on_ranks(folder, *jobs), strict=True))


def test_two_processes_take_the_steps_of_one_with_uneven_groups_and_text_only_ranks(quick):
    folder, ended = quick
    assert ended["one"]["ended"] == ["done"], ended["one"]["said"]
    assert ended["two"]["ended"] == ["done"] * 2, ended["two"]["said"]
    one, two = (folder / name / "checkpoints" / "step_000005" for name in ("one", "two"))
    assert moved_apart(one, two, starting_weights("qwen2_5_omni", one)) < 1e-5
    assert same_rows(folder / "one", folder / "two", 1e-4) == []


def test_sampled_tokens_are_those_of_one_process(quick):
    folder, _ = quick
    told = completions(folder / "one")
    assert [len(step) for step in told] == [3 * 4] * 5
    assert len({text for step in told for text in step}) > 10
    assert completions(folder / "two") == told


def test_rank_0_alone_writes_and_what_it_leaves_is_what_one_process_leaves(quick):
    folder, _ = quick
    left = [sorted(str(file.relative_to(folder / run)) for file in (folder / run).rglob("*")) for run in ("one", "two")]
    assert left[0] == left[1]


def test_ranks_tell_each_other_values_and_errors(quick):
    _, ended = quick
    assert ended["facts"]["ended"] == ["done"] * 3, ended["facts"]["said"]
    first, second, third = ended["facts"]["gave"]
    shares = zip(*(one["shares"] for one in (first, second, third)), strict=True)
    for n, parts in zip((0, 1, 2, 5), shares, strict=True):
        assert [item for part in parts for item in part] == list(range(n))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for one in (first, second, third):
        assert one["sum"] == [4.5, 3.0]
        assert one["largest"] == [2.0, 0.0]
        assert one["gather"] == [{"says": ["\udcff", "ä", rank], "none": None} for rank in range(3)]
        assert one["tell"] == "by 0"
    assert [one["fine"] for one in (first, second, third)] == [["fine", str(rank)] for rank in range(3)]
    own, heard = ["DataError", "train.jsonl:3: no such clip"], "ReportedByOtherRankError"
    assert first["first fails"] == first["main fails"] == third["last fails"] == own
    assert second["first fails"] == [heard, "rank 0: train.jsonl:3: no such clip"]
    assert second["last fails"] == first["last fails"] == [heard, "rank 2: train.jsonl:3: no such clip"]
    assert [one["in turn"] for one in (first, second, third)] == [0, 1, 2]
    assert first["turns"][1] <= second["turns"][0]
    assert second["turns"][1] <= third["turns"][0]


def test_adaptive_rewards_and_a_judges_figures_are_over_all_ranks(quick):
    _, ended = quick
    (alone,), (first, second) = ended["one reward"]["gave"], ended["rewards"]["gave"]
    for name in ("reward", "advantages"):
        assert first[name] + second[name] == alone[name]
    assert first["figures"] == second["figures"] == alone["figures"]
    assert alone["figures"]["think/lambda"] == pytest.approx(5 / 9)  # of nine valid forms; each rank's own: 3/3 and 2/5
    assert alone["figures"]["judge/asked"] == 10
    assert len(first["reward"]) == 4


def test_a_judge_that_never_answers_is_given_up_before_the_ranks_meet(quick):
    _, ended = quick
    assert ended["late judge"]["ended"] == ["done"] * 2, ended["late judge"]["said"]
    for one in ended["late judge"]["gave"]:
        assert (one["figures"]["judge/asked"], one["figures"]["judge/failed"]) == (10, 10)
        assert "no verdict before the step's deadline" in one["warnings"][0]


@pytest.mark.parametrize(
    ("memory", "grpo", "fix"),
    [
        ({"weights": "bf16_corrected"}, {}, "memory.weights: float32"),
        ({"weights": "bf16_stochastic"}, {}, "memory.weights: float32"),
        ({"optimizer": "adamw_8bit"}, {}, "memory.optimizer: adamw"),
        ({"optimizer": "offloaded"}, {}, "memory.optimizer: adamw"),
        ({"reference": "streamed"}, {}, "memory.reference: copy"),
        ({"reference": "int8"}, {}, "memory.reference: copy"),
        ({"step_in_backward": True}, {"max_grad_norm": None}, "memory.step_in_backward: false"),
        ({}, {"policy_pass": "continued"}, "grpo.policy_pass: packed"),
        ({}, {"cuda_graph": True}, "grpo.cuda_graph: false"),
    ],
)
def test_what_is_kept_for_one_process_is_refused_on_several(memory, grpo, fix):
    settings = GrpoConfig(prompts_per_step=1, prompts_per_micro_batch=1, **grpo)
    refusal = MemoryConfig(**memory).refusal(settings, 2)
    assert refusal is not None
    assert refusal.endswith(f"is for one process: set {fix}")
    assert MemoryConfig(**memory).refusal(settings, 1) is None


def test_the_default_memory_and_parts_of_a_rollout_are_for_any_number_of_ranks():
    for settings in (GrpoConfig(), SftConfig()):
        assert MemoryConfig(rollout_rows=3).refusal(settings, 8) is None


def test_out_of_memory_on_one_of_several_ranks_names_the_setting_and_halves_nothing():
    def full():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried")

    batches: list = [SimpleNamespace(questions=[1, 2, 3])]
    with pytest.raises(HarkenError, match=r"rank 1 of 4: .*prompts_per_micro_batch: 2, .*plan --gpus 4"):
        halve_until_it_fits(batches, full, warn=pytest.fail, ranks=Ranks(rank=1, size=4))
    assert len(batches) == 1
