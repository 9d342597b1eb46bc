"""Several processes of one machine, over gloo, give what one process gives: the same samples and the same weights.

A job that takes longer than five minutes hangs, and fails. The longer runs are in `make proofs`.
"""

from types import SimpleNamespace

import pytest
import torch
from scale_runs import (
    completions_of_run,
    differing_metrics,
    on_ranks,
    relative_difference,
    starting_weights,
    write_questions,
    write_recipe,
)

from harken.config import GrpoConfig, MemoryConfig, SftConfig
from harken.errors import HarkenError
from harken.grpo.out_of_memory import halve_until_it_fits
from harken.system.ranks import Ranks


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """(folder, job -> its result): all that the default suite runs on several ranks, in one process that forks them."""
    folder = tmp_path_factory.mktemp("scale")
    write_questions(folder)
    run = {"recipe": str(write_recipe(folder)), "loop": "grpo", "sgd": True}
    names = ["exchange", "one reward", "rewards", "late judge", "one", "two"]
    jobs = [
        {"call": "exchange", "size": 3},
        {"call": "rewards", "size": 1, "answers": True},
        {"call": "rewards", "size": 2, "answers": True},
        {"call": "rewards", "size": 2, "answers": False, "late_s": 2.0},
        {**run, "size": 1, "out": str(folder / "one")},
        {**run, "size": 2, "out": str(folder / "two")},
    ]
    return folder, dict(zip(names, on_ranks(folder, *jobs), strict=True))


def test_two_processes_take_the_steps_of_one_with_uneven_groups_and_text_only_ranks(quick):
    folder, jobs = quick
    assert jobs["one"]["exits"] == ["done"], jobs["one"]["errors"]
    assert jobs["two"]["exits"] == ["done"] * 2, jobs["two"]["errors"]
    one, two = (folder / name / "checkpoints" / "step_000005" for name in ("one", "two"))
    assert relative_difference(one, two, starting_weights("qwen2_5_omni", one)) < 1e-5
    assert differing_metrics(folder / "one", folder / "two", 1e-4) == []


def test_sampled_tokens_are_those_of_one_process(quick):
    folder, _ = quick
    texts = completions_of_run(folder / "one")
    assert [len(step) for step in texts] == [3 * 4] * 5
    assert len({text for step in texts for text in step}) > 10
    assert completions_of_run(folder / "two") == texts


def test_only_rank_0_writes_and_its_files_are_those_of_one_process(quick):
    folder, _ = quick
    files = [
        sorted(str(file.relative_to(folder / run)) for file in (folder / run).rglob("*")) for run in ("one", "two")
    ]
    assert files[0] == files[1]


def test_ranks_exchange_values_and_errors(quick):
    _, jobs = quick
    assert jobs["exchange"]["exits"] == ["done"] * 3, jobs["exchange"]["errors"]
    first, second, third = jobs["exchange"]["results"]
    parts_of_lists = zip(*(rank["parts"] for rank in (first, second, third)), strict=True)
    for n, parts in zip((0, 1, 2, 5), parts_of_lists, strict=True):
        assert [item for part in parts for item in part] == list(range(n))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for rank in (first, second, third):
        assert rank["sum"] == [4.5, 3.0]
        assert rank["maximum"] == [2.0, 0.0]
        assert rank["gather"] == [{"says": ["\udcff", "ä", number], "none": None} for number in range(3)]
        assert rank["broadcast"] == "by 0"
    assert [rank["fine"] for rank in (first, second, third)] == [["fine", str(number)] for number in range(3)]
    own, elsewhere = ["DataError", "train.jsonl:3: no such clip"], "ReportedByOtherRankError"
    assert first["first fails"] == first["main fails"] == third["last fails"] == own
    assert second["first fails"] == [elsewhere, "rank 0: train.jsonl:3: no such clip"]
    assert second["last fails"] == first["last fails"] == [elsewhere, "rank 2: train.jsonl:3: no such clip"]
    assert [rank["in turn"] for rank in (first, second, third)] == [0, 1, 2]
    assert first["turns"][1] <= second["turns"][0]
    assert second["turns"][1] <= third["turns"][0]


def test_adaptive_rewards_and_a_judges_figures_are_over_all_ranks(quick):
    _, jobs = quick
    (alone,), (first, second) = jobs["one reward"]["results"], jobs["rewards"]["results"]
    for name in ("reward", "advantages"):
        assert first[name] + second[name] == alone[name]
    for estimator, own in enumerate(alone["over step"]):  # bit for bit: sums over the step are exact
        assert first["over step"][estimator] + second["over step"][estimator] == own
        assert sum(value > 0 for value in own) > 2
    assert first["figures"] == second["figures"] == alone["figures"]
    assert alone["figures"]["think/lambda"] == pytest.approx(5 / 9)  # of nine valid forms; each rank's own: 3/3 and 2/5
    assert alone["figures"]["judge/asked"] == 10
    assert len(first["reward"]) == 4


def test_a_judge_that_never_answers_is_given_up_before_the_ranks_meet(quick):
    _, jobs = quick
    assert jobs["late judge"]["exits"] == ["done"] * 2, jobs["late judge"]["errors"]
    for rank in jobs["late judge"]["results"]:
        assert (rank["figures"]["judge/asked"], rank["figures"]["judge/failed"]) == (10, 10)
        assert "no verdict before the step's deadline" in rank["warnings"][0]


def test_the_continued_pass_is_refused_on_several_ranks():
    settings = GrpoConfig(prompts_per_step=1, policy_pass="continued")
    refusal = MemoryConfig().refusal(settings, 2)
    assert refusal == "grpo.policy_pass: continued is for one process: set grpo.policy_pass: packed"
    assert MemoryConfig().refusal(settings, 1) is None


@pytest.mark.parametrize(
    "memory",
    [
        {"rollout_rows": 3},
        {"weights": "bf16_corrected", "optimizer": "offloaded", "reference": "streamed"},
        {"weights": "bf16_stochastic", "optimizer": "adamw_8bit", "reference": "int8", "step_in_backward": True},
    ],
)
def test_every_mode_of_memory_is_for_any_number_of_ranks(memory):
    for settings in (GrpoConfig(max_grad_norm=None), SftConfig(max_grad_norm=None)):
        assert MemoryConfig(**memory).refusal(settings, 8) is None


def test_out_of_memory_on_one_of_several_ranks_names_the_setting_and_halves_nothing():
    def full():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried")

    batches: list = [SimpleNamespace(questions=[1, 2, 3])]
    with pytest.raises(HarkenError, match=r"rank 1 of 4: .*a smaller grpo.tokens_per_micro_batch, .*plan --gpus 4"):
        halve_until_it_fits(batches, full, warn=pytest.fail, ranks=Ranks(rank=1, size=4))
    assert len(batches) == 1
