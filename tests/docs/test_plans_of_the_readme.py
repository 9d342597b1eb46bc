"""What README.md says about cards and recipes is what `harken plan` computes."""

import re
import shlex
from pathlib import Path

import pytest
from command_line import harken

README = Path(__file__).parents[2] / "README.md"


def lines_of_the_section() -> list[str]:
    text = README.read_text(encoding="utf-8")
    section = text[text.index("## A real model") : text.index("## Where to read on")]
    lines = [line.strip() for line in section.split("\n") if line.startswith("    ")]
    return [re.sub(r"\s{2,}#.*", "", line) for line in lines]


def test_the_section_trains_what_fits_the_card_that_it_names():
    lines = lines_of_the_section()
    [planned] = [line for line in lines if line.startswith("harken plan ")]
    trained = {shlex.split(line)[2] for line in lines if line.startswith("harken train ")}
    assert trained == {shlex.split(planned)[2]}


@pytest.mark.parametrize(
    ("recipe", "card", "peak_gib", "host_gib"),
    [
        ("omni_r1_avqa_80gb", "h100", 61.0, 94),
        ("omni_r1_avqa_80gb", "a100", 61.0, 94),
        ("omni_r1_avqa_48gb", "l40s", 35.9, 108),
        ("omni_r1_avqa_48gb", "a6000", 35.9, 108),
        ("omni_r1_avqa_lora", "l40s", 16.6, 15),
    ],
)
def test_the_recipes_for_one_card_fit_it(recipe, card, peak_gib, host_gib):
    planned = harken("plan", recipe, "--card", card)
    assert planned.code == 0, planned.out
    [peak] = [line for line in planned.out.split("\n") if re.match(r"\W*peak ", line)]
    assert [float(figure) for figure in re.findall(r"\d+\.\d+", peak)] == [
        pytest.approx(peak_gib, abs=0.2),
        pytest.approx(host_gib, abs=0.5),
    ]
    row = rf"\| `{recipe}`.* \| {peak_gib} \| {host_gib} \|"
    assert re.search(row, (README.parent / "docs" / "faq.md").read_text(encoding="utf-8"))


def test_the_recipe_of_the_paper_does_not_fit_one_card_of_80_gb():
    assert harken("plan", "omni_r1_avqa", "--card", "h100").code == 1
    assert "itself, without any of their savings, needs four cards of 48 GB" in " ".join(README.read_text().split())
    assert harken("plan", "omni_r1_avqa", "--card", "a6000", "--gpus", "4").code == 0
