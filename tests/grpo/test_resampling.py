"""Groups of equal rewards are replaced, at most so often, and a resumed run replaces them by the same questions."""

import json

import pytest
import small_runs
import torch
from pydantic import ValidationError
from scale_runs import write_questions, write_recipe
from scale_work import CHOICES, COMPLETIONS, PromptJudge
from small_runs import differences, metric_rows, quiet_console, read_run

from harken.config import GrpoConfig, PromptConfig, Recipe, RewardConfig, load_recipe
from harken.data.question_order import QuestionOrder
from harken.grpo.advantage import equal_groups
from harken.grpo.loop import train
from harken.grpo.micro_batch import SampledBatch, ScoredBatch
from harken.grpo.rewarding import Rewarder
from harken.grpo.without_clip_pass import WithoutClip
from harken.judges import FailureLimit
from harken.questions.grader import understand
from harken.questions.prompt import Prompt
from harken.types import Question

ODD = {"parts": [{"name": "small_runs:reward_of_odd_questions"}]}
"""Of the nine questions q0 .. q8 five have groups of equal rewards, whatever is sampled."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resampling")
    write_questions(folder)
    return folder


def recipe(folder, **grpo) -> Recipe:
    return load_recipe(write_recipe(folder, reward=ODD, grpo={"steps": 3, "completions_per_prompt": 2, **grpo}))


def kept_ids(run) -> list[list[str]]:
    """The questions of each step, sorted."""
    files = sorted((run / "rollouts").glob("step_*.jsonl"))
    return [sorted({json.loads(row)["id"] for row in file.read_text().splitlines()}) for file in files]


def slow_kept(rounds: int, steps: int = 3, prompts: int = 3) -> tuple[list[list[str]], list[int]]:
    """(the questions that each step keeps, the prompts that it samples), where even numbers have equal groups."""
    order = QuestionOrder(9, seed=5)
    kept, sampled = [], []
    for step in range(steps):
        tried = order.batch(prompts, step, steps)
        for _ in range(rounds):
            missing = prompts - sum(index % 2 for index in tried)
            if missing <= 0:
                break
            tried += order.replacements(missing, step, tried)
        varied = [index for index in tried if index % 2]
        filled = [index for index in tried if not index % 2][: prompts - len(varied)]
        kept.append(sorted(f"q{index}" for index in varied + filled))
        sampled.append(len(tried))
    return kept, sampled


@pytest.fixture(scope="module")
def whole(folder):
    """A run of three steps with one round of replacements at most."""
    train(recipe(folder, resample_equal_groups=1), folder / "whole", quiet_console())
    return folder / "whole"


def test_a_step_keeps_the_groups_that_differ_and_fills_up_with_the_first_equal_ones(whole):
    kept, sampled = slow_kept(rounds=1)
    rows = metric_rows(whole)
    assert kept_ids(whole) == kept
    assert [row["resample/prompts"] for row in rows] == sampled
    assert max(sampled) > 3
    assert all(row["resample/rounds"] <= 1 for row in rows)
    assert [row["reward/equal_groups"] * 3 for row in rows] == pytest.approx(
        [sum(int(ident[1:]) % 2 == 0 for ident in step) for step in kept]
    )
    assert all(row["resample/equal_groups_first"] >= row["reward/equal_groups"] for row in rows)


def test_a_run_that_is_stopped_between_steps_resumes_bit_for_bit(whole, folder):
    out, settings = folder / "stopped", recipe(folder, resample_equal_groups=1)
    train(settings, out, quiet_console(), on_step=lambda step: step.number == 2)
    train(settings, out, quiet_console(), resume=True)
    assert differences(read_run(out), read_run(whole)) == []


def test_a_completion_is_scored_without_its_clip_and_rewarded_by_a_function_once(folder, monkeypatch):
    """Also where a preview rewards it before the step that keeps it."""
    scored, rewarded = [], []
    score, odd = WithoutClip._logp, small_runs.reward_of_odd_questions

    def scored_once(self, batch):
        scored.extend(question.id for question in batch.questions)
        return score(self, batch)

    @small_runs.per_group
    def rewarded_once(responses):
        rewarded.append(responses[0].question.id)
        return odd(responses)

    monkeypatch.setattr(WithoutClip, "_logp", scored_once)
    monkeypatch.setattr(small_runs, "reward_of_odd_questions", rewarded_once)
    reward = {"parts": [*ODD["parts"], {"name": "listening", "weight": 1e-9}]}
    grpo = {"steps": 2, "completions_per_prompt": 2, "resample_equal_groups": 2}
    train(load_recipe(write_recipe(folder, reward=reward, grpo=grpo)), folder / "once", quiet_console())
    prompts = [int(row["resample/prompts"]) for row in metric_rows(folder / "once")]
    assert len(scored) == len(rewarded) == sum(prompts)
    assert max(prompts) > 3
    assert sorted(scored) == sorted(rewarded)
    assert all("reward/listening" in row for row in metric_rows(folder / "once"))


@pytest.mark.slow
def test_with_rounds_enough_a_step_learns_from_groups_that_differ_alone(folder):
    run = folder / "enough"
    train(recipe(folder, resample_equal_groups=8, prompts_per_step=4), run, quiet_console())
    assert kept_ids(run) == [["q1", "q3", "q5", "q7"]] * 3
    assert all(row["reward/equal_groups"] == 0 for row in metric_rows(run))


@pytest.mark.parametrize(
    ("grpo", "data", "fault"),
    [
        ({"policy_pass": "continued"}, {}, "set policy_pass: packed"),
        ({}, {"order": "pass_rate", "pass_rates": "r.jsonl"}, "set resample_equal_groups: 0, or order: shuffled"),
    ],
)
def test_what_resampling_cannot_go_with_is_refused(grpo, data, fault):
    values = {
        **{"name": "a", "model": {"path": "p"}, "data": {"train": [{"file": "f"}], **data}},
        "grpo": {"resample_equal_groups": 1, **grpo},
    }
    with pytest.raises(ValidationError, match=fault):
        Recipe.model_validate(values)
    assert GrpoConfig().resample_equal_groups == 0


def test_a_preview_counts_the_judges_calls_and_changes_no_reward():
    """Two rounds are previewed and the second is kept: its rewards are its own, and all calls are counted."""
    config = RewardConfig.model_validate({"parts": [{"name": "adaptive"}], "adaptive": {"consistency": "equation"}})
    prompt = Prompt.from_config(PromptConfig(style="adaptive"))
    settings = GrpoConfig(completions_per_prompt=2)
    rewarder = Rewarder(config, settings, prompt, PromptJudge(answers=True), FailureLimit(0.9))

    def batch(number: int) -> ScoredBatch:
        question = Question(f"q{number}", "Which?", CHOICES, 0, None)
        responses = [
            understand(text, question, letters_shown=False, tokens=3, ended=True) for text in COMPLETIONS[number]
        ]
        nothing = {"inputs": [], "audio": [], "completions": None}
        sampled = SampledBatch(questions=[question], responses=responses, pending_verdicts=[{}, {}], **nothing)
        return ScoredBatch(rewarder.start_judging(sampled), None)

    first, second = batch(3), batch(1)
    for each in (first, second):
        rewarder.wait([each])
        [previewed] = rewarder.preview([each], progress=0.5)
    rewarder.wait([second])
    kept = rewarder.reward([second], progress=0.5)
    assert kept.batches[0].rewards.tolist() == previewed.tolist()
    assert kept.figures["judge/asked"] == 4  # each of the two groups has two completions that think
    rewarder.wait([second])
    assert rewarder.reward([second], progress=0.5).figures["judge/asked"] == 2


def test_by_accuracy_a_group_is_equal_where_all_its_answers_are_right_whatever_else_they_earn():
    config = RewardConfig.model_validate({"parts": [{"name": "accuracy"}, {"name": "format", "weight": 0.5}]})
    prompt = Prompt.from_config(PromptConfig(style="r1_aqa"))
    right, plain, wrong = f"<answer>{CHOICES[0]}</answer>", CHOICES[0], f"<answer>{CHOICES[1]}</answer>"
    asked = Question("q", "Which?", CHOICES, 0, None)
    opened = Question("o", "What?", (), None, None, answer_text="a bell")
    texts = [(right, plain), (right, wrong), (wrong, CHOICES[1]), (right, "a bell")]
    questions = [asked, asked, asked, opened]

    def previewed(by: str) -> list[list[float]]:
        rewarder = Rewarder(
            config, GrpoConfig(completions_per_prompt=2, resample_equal_groups=1, resample_by=by), prompt
        )
        responses = [
            understand(text, question, letters_shown=False, tokens=3, ended=True)
            for question, group in zip(questions, texts, strict=True)
            for text in group
        ]
        nothing = {"inputs": [], "audio": [], "completions": None, "pending_verdicts": [{}] * 8}
        batch = ScoredBatch(SampledBatch(questions=questions, responses=responses, **nothing), None)
        rewarder.wait([batch])
        [earned] = rewarder.preview([batch], progress=0.0)
        return earned.tolist()

    rewards = [[1.5, 1.0], [1.5, 0.5], [0.5, 0.0], [0.5, 0.0]]
    assert previewed("reward") == rewards
    by_accuracy = [[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], rewards[3]]
    assert previewed("accuracy") == by_accuracy
    assert equal_groups(torch.tensor(by_accuracy)).tolist() == [True, False, True, False]
