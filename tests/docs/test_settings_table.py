"""The table of settings and their sources is what its program writes from the recipes."""

import pytest

import settings_table
from harken.config import load_recipe
from harken.config.builtin_recipes import builtin_recipes


def test_the_page_is_what_the_recipes_say():
    assert settings_table.PAGE.read_text(encoding="utf-8") == settings_table.page(), (
        "run python benchmarks/settings_table.py"
    )


def test_every_recipe_that_names_a_row_of_a_paper_is_in_the_table():
    shown = {name for part in settings_table.parts() for name in part.recipes}
    papers = ("# Omni-R1 (arXiv", "# Audio-Thinker (arXiv")
    stated = {name for name, file in builtin_recipes().items() if file.read_text(encoding="utf-8").startswith(papers)}
    assert len(stated) > 30
    assert stated <= shown
    assert {"omni_r1_avqa", "omni_r1_vggs_gpt", "omni_r1_avqa_text", "r1_aqa", "sari", "random_guess"} <= shown


def test_a_value_without_a_source_is_an_error():
    part = settings_table.parts()[0]
    changed = load_recipe(builtin_recipes()["omni_r1_avqa"], ["grpo.temperature=0.7"])
    with pytest.raises(ValueError, match=r"mine: grpo.temperature: 0.7 has no source"):
        settings_table.source_of("mine", "grpo.temperature", settings_table.value_of(changed, "grpo.temperature"))
    assert settings_table.source_of("omni_r1_avqa", "grpo.temperature", "1.2").mark == "P"
    assert part.heading.startswith("Omni-R1")
