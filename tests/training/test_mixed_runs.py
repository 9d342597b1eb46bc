"""Runs whose files are mixed by weight: the shares of every step, a resumed run, and two ranks."""

import io
import json

import pytest
from rich.console import Console
from scale_runs import completions_of_run, on_ranks, relative_difference, starting_weights, write_recipe
from small_runs import differences, quiet_console, read_run

from harken.config import load_recipe
from harken.data.manifest import write_manifest
from harken.errors import DataError
from harken.grpo.loop import train
from harken.training.training_data import show_mixture
from harken.types import Question

CHOICES = ("one", "two", "three")


def questions(name: str, count: int, source_number: int = 0) -> list[Question]:
    return [
        Question(f"{name}{i}", f"Which {name}? {CHOICES[i % 3]}", CHOICES, i % 3, None, source_number=source_number)
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    """Five steps of three prompts, two of them of a file of eight and one of a file of three."""
    folder = tmp_path_factory.mktemp("mixed")
    for name, count in (("a", 8), ("b", 3)):
        write_manifest(folder / f"{name}.jsonl", questions(name, count))
    sources = [
        {"reader": "manifest", "file": str(folder / f"{name}.jsonl"), "weight": weight}
        for name, weight in (("a", 2.0), ("b", 1.0))
    ]
    return write_recipe(folder, data={"train": sources})


def test_what_each_file_gives_is_said_and_a_file_without_a_question_is_an_error(recipe_file):
    recipe, shown = load_recipe(recipe_file), io.StringIO()
    console = Console(file=shown, width=300)
    show_mixture([*questions("a", 8), *questions("b", 3, source_number=1)], recipe, console)
    first, second = shown.getvalue().splitlines()
    assert "66.7% of the prompts from" in first
    assert "a.jsonl (8 questions)" in first
    assert "33.3% of the prompts from" in second
    with pytest.raises(DataError, match=r"data.train.1: .*b.jsonl has weight 1 and no question to train on"):
        show_mixture(questions("a", 8), recipe, console)


@pytest.mark.slow
def test_a_mixed_run_keeps_its_shares_resumes_bit_for_bit_and_two_ranks_take_the_steps_of_one(recipe_file, tmp_path):
    jobs = [
        {"recipe": str(recipe_file), "loop": "grpo", "sgd": True, "size": size, "out": str(tmp_path / f"ranks{size}")}
        for size in (1, 2)
    ]
    for job in on_ranks(tmp_path / "jobs", *jobs):
        assert set(job["exits"]) == {"done"}, job["errors"]
    one, two = (tmp_path / f"ranks{size}" for size in (1, 2))
    assert completions_of_run(one) == completions_of_run(two)
    last = "checkpoints/step_000005"
    assert relative_difference(one / last, two / last, starting_weights("qwen2_5_omni", one / last)) < 1e-5
    seen = []
    for file in sorted((one / "rollouts").glob("step_*.jsonl")):
        ids = sorted({json.loads(row)["id"] for row in file.read_text().splitlines()})
        assert sum(ident.startswith("a") for ident in ids) == 2
        seen += [ident for ident in ids if ident.startswith("b")]
    assert sorted(seen[:3]) == ["b0", "b1", "b2"]

    recipe = load_recipe(recipe_file)
    train(recipe, tmp_path / "whole", quiet_console())
    train(recipe, tmp_path / "stopped", quiet_console(), on_step=lambda step: step.number == 2)
    train(recipe, tmp_path / "stopped", quiet_console(), resume=True)
    assert differences(read_run(tmp_path / "stopped"), read_run(tmp_path / "whole")) == []
