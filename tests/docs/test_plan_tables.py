"""The tables of planned memory and prices in docs are what their program writes, and 7B fits each machine of them."""

import pytest

import plan_tables
from harken.config import load_recipe
from harken.config.builtin_recipes import builtin_recipes
from harken.planning.cards import CARDS
from harken.planning.memory_items import GIB, RESERVE


@pytest.mark.parametrize(("file", "write"), [(plan_tables.HARDWARE, "prices"), (plan_tables.MEMORY, "small_card")])
def test_the_tables_are_what_harken_plan_computes(file, write):
    text = file.read_text(encoding="utf-8")
    assert plan_tables.page(text, getattr(plan_tables, write)()) == text, "run python benchmarks/plan_tables.py"


def test_all_weights_of_7b_train_on_each_machine_within_its_memory():
    recipe = load_recipe(builtin_recipes()["omni_r1_avqa"])
    assert {(CARDS[card].name, gpus) for card, gpus in plan_tables.MACHINES} == {
        *(("RTX A6000", 1), ("RTX A6000", 4), ("H100 SXM", 1), ("H100 SXM", 8))
    }
    for card, gpus in plan_tables.MACHINES:
        for way in plan_tables.full_training(recipe, card, gpus):
            assert "model.lora" not in way.changes
            assert way.peak + RESERVE <= CARDS[card].memory_gib * GIB


def test_a_page_without_the_marks_is_refused():
    with pytest.raises(ValueError, match="lacks the line <!-- written by"):
        plan_tables.page("text", "table")
