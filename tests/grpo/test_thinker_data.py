"""The data of the realaqa_thinker recipes: the spoken words give the reasoning, and no test clip is trained on."""

import runpy
from collections import Counter
from pathlib import Path

import pytest

from harken.data.manifest import read_manifest

SCRIPT = Path(__file__).parents[2] / "recipes" / "realaqa_thinker.py"


@pytest.fixture(scope="module")
def sets(shared, tmp_path_factory):
    out = tmp_path_factory.mktemp("thinker")
    runpy.run_path(str(SCRIPT))["write_data"](shared / "realaqa", out)
    read = {name: read_manifest(out / f"{name}.jsonl", shared / "realaqa") for name in ("sft", "grpo", "test")}
    assert not any(rejected for _, rejected in read.values())
    return {name: questions for name, (questions, _) in read.items()}


def test_hard_questions_are_asked_twice_as_often_as_easy_and_medium_ones(sets):
    assert Counter(one.difficulty for one in sets["grpo"]) == {"easy": 900, "medium": 900, "hard": 1800}
    assert Counter(one.difficulty for one in sets["test"]) == {"easy": 300, "medium": 100, "hard": 200}


def test_half_of_the_questions_about_speech_are_reasoned_whatever_their_difficulty(sets):
    speech = [one for one in sets["sft"] if one.audio is not None]
    for difficulty in ("easy", "medium", "hard"):
        reasoned = [bool(one.reasoning) for one in speech if one.difficulty == difficulty]
        assert 0.45 < sum(reasoned) / len(reasoned) < 0.55
    assert not any(one.reasoning for one in sets["grpo"])
    assert {one.task for one in sets["sft"] if one.audio is None} == {"text"}


def test_the_reasoning_leads_to_the_answer_and_the_position_of_a_choice_reveals_nothing(sets):
    digits = runpy.run_path(str(SCRIPT))["DIGITS"]
    for one in sets["sft"]:
        words = one.reasoning.split()
        if words:
            said = [digits.index(word) for word in words if word in digits]
            expected = str(sum(said)) if "plus" in words else digits[said[-1]]
            assert one.choices[one.answer] == expected
        assert len(set(one.choices)) == 4
    places = Counter(one.answer for one in sets["grpo"])
    assert all(800 < places[place] < 1000 for place in range(4))


def test_no_clip_of_the_test_part_is_trained_on(sets):
    assert not {one.audio for one in sets["test"]} & {one.audio for one in sets["sft"] + sets["grpo"]}
