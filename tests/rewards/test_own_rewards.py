"""Reward functions of the user's own: what they get, that they may be async, and what a wrong one is told."""

import asyncio
import sys
import threading
import time

import numpy as np
import pytest
import torch

from harken.config import GrpoConfig, PromptConfig, RewardConfig
from harken.errors import ConfigError, HarkenError
from harken.grpo.micro_batch import SampledBatch, ScoredBatch
from harken.grpo.rewarding import Rewarder
from harken.questions.grader import understand
from harken.questions.prompt import Prompt
from harken.rewards import custom_rewards, load_custom
from harken.types import Question

MODULE = '''
import asyncio
import harken

def brief(response):
    return 1.0 if len(response.text) < 10 else 0.0

def column(response):
    return response.question.extra["hardness"]

async def slow(response):
    await asyncio.sleep(0.2)
    return len(response.text)

@harken.per_group
def rarest(responses):
    """1 for an answer that no other completion of the group gives."""
    answers = [response.text for response in responses]
    return [float(answers.count(answer) == 1) for answer in answers]

@harken.per_step
async def centred(responses):
    await asyncio.sleep(0)
    mean = sum(len(response.text) for response in responses) / len(responses)
    return [len(response.text) - mean for response in responses]

@harken.per_step
def ids(responses):
    return [float(response.question.id[1:]) for response in responses]

def nan(response):
    return float("nan")

def text(response):
    return "0.5"

def nothing(response):
    return None

def huge(response):
    return 10 ** 400

def several(response):
    return [1.0, 2.0]

def raises(response):
    return response.words

async def raises_later(response):
    await asyncio.sleep(0)
    return {}["reward"]

async def gives_up(response):
    raise TimeoutError("the service is away")

@harken.per_group
def too_few(responses):
    return [1.0]

@harken.per_group
def one_text(responses):
    return "ab"

@harken.per_step
def one_number(responses):
    return 3.0

def odd(response):
    return 0.0
odd.per = "batch"

value = 3
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_rewards_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda name: load_custom(f"own_rewards_module:{name}")
    sys.modules.pop("own_rewards_module", None)


def group(number: int, *texts: str):
    question = Question(f"q{number}", "What barks?", ("dog", "cat"), 0, None, extra={"hardness": number / 10})
    return [understand(text, question, letters_shown=False, tokens=5, ended=True) for text in texts]


GROUPS = [group(2, "dog", "a cat perhaps"), group(1, "cat", "cat")]


def values(function, groups=GROUPS):
    computed = custom_rewards([function], groups)
    assert computed is not None
    return computed[function.name]


def test_a_function_gets_one_response_and_may_read_the_records_other_columns(own):
    assert values(own("brief")) == [1.0, 0.0, 1.0, 1.0]
    assert values(own("column")) == [0.2, 0.2, 0.1, 0.1]


def test_a_function_may_get_the_completions_of_one_prompt_or_those_of_a_step(own):
    assert values(own("rarest")) == [1.0, 1.0, 0.0, 0.0]
    assert values(own("centred")) == [-2.5, 7.5, -2.5, -2.5]  # lengths 3, 13, 3, 3: mean 5.5


def test_async_functions_run_at_the_same_time(own):
    start = time.perf_counter()
    assert values(own("slow"), GROUPS * 20) == [3.0, 13.0, 3.0, 3.0] * 20
    assert time.perf_counter() - start < 2  # 80 calls of 0.2 s


def test_async_functions_run_inside_a_running_loop_as_that_of_a_notebook(own):
    async def cell():
        return values(own("slow"))

    assert asyncio.run(cell()) == [3.0, 13.0, 3.0, 3.0]


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.int64(1), torch.tensor(0.5), True, 1])
def test_numbers_of_other_libraries_are_rewards(own, number, monkeypatch):
    function = own("brief")
    monkeypatch.setattr(sys.modules["own_rewards_module"], "brief", lambda response: number)
    assert values(own("brief"))[0] == float(number)
    assert function.per == "response"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nan", "returned nan for the question q2; a reward must be a finite number, so correct the function"),
        ("text", "returned '0.5' for the question q2; a reward must be a finite number"),
        ("nothing", "returned None for the question q2; a reward must be a finite number"),
        ("huge", "a reward must be a finite number"),
        ("several", "a function that returns several rewards is marked with harken.per_group or harken.per_step"),
        ("raises", r"raised AttributeError: .* \(own_rewards_module.py, line 47\), for the question q2"),
        ("raises_later", r"raised KeyError: 'reward' \(own_rewards_module.py, line 51\), for the question q2"),
        ("gives_up", "raised TimeoutError: the service is away"),
        ("too_few", "returned 1 rewards for 2 completions; return one for each, in their order"),
        ("one_text", "returned 'ab'; a function per group returns a list with one number for each completion"),
        ("one_number", "returned 3.0; a function per step returns a list with one number for each completion"),
    ],
)
def test_a_function_that_returns_no_rewards_is_refused_by_its_name(own, name, sentence):
    with pytest.raises(HarkenError, match=rf"^reward\.parts: own_rewards_module:{name}: .*{sentence}"):
        values(own(name))


def test_what_is_no_reward_function_is_refused_before_the_first_step(own):
    with pytest.raises(ConfigError, match="own_rewards_module:odd: its attribute per is 'batch': response, group or"):
        own("odd")
    with pytest.raises(ConfigError, match="own_rewards_module:value: is no function but int"):
        own("value")
    with pytest.raises(ConfigError, match="defines no missing"):
        own("missing")
    with pytest.raises(ConfigError, match="cannot be imported"):
        load_custom("not_own_rewards:brief")
    with pytest.raises(ConfigError, match="expected module:object"):
        load_custom("brief")


def test_a_run_that_is_to_stop_does_not_wait_for_async_functions(own, monkeypatch):
    function = own("slow")
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    monkeypatch.setattr(sys.modules["own_rewards_module"].asyncio, "sleep", lambda seconds: asyncio.Event().wait())
    start = time.perf_counter()
    assert custom_rewards([function], GROUPS, stop.is_set) is None
    assert time.perf_counter() - start < 2


def test_an_async_function_that_is_late_is_named(own, monkeypatch):
    function = own("slow")
    monkeypatch.setattr(sys.modules["own_rewards_module"].asyncio, "sleep", lambda seconds: asyncio.Event().wait())
    with pytest.raises(HarkenError, match="own_rewards_module:slow: has not returned before the step's deadline"):
        custom_rewards([function], GROUPS, deadline=time.perf_counter() + 0.1)


def test_a_step_is_rewarded_the_same_in_any_order_of_its_batches(own):
    names = ("rarest", "centred", "ids")
    for name in names:
        own(name)
    config = RewardConfig.model_validate({"parts": [{"name": f"own_rewards_module:{name}"} for name in names]})
    rewarder = Rewarder(config, GrpoConfig(completions_per_prompt=2), Prompt.from_config(PromptConfig()))

    def rewarded(groups) -> dict[str, list[float]]:
        batches = [
            ScoredBatch(SampledBatch([part[0].question], [], [], None, part, [{}, {}]), None)  # pyright: ignore
            for part in groups
        ]
        rewarder.wait(batches)
        by_id = {}
        for batch in rewarder.reward(batches, progress=0.0).batches:
            by_id[batch.questions[0].id] = batch.reward_parts
        return by_id

    there, back = rewarded(GROUPS), rewarded(GROUPS[::-1])
    assert there == back
    assert there["q1"]["own_rewards_module:ids"] == [1.0, 1.0]
    assert there["q2"]["own_rewards_module:centred"] == [-2.5, 7.5]
