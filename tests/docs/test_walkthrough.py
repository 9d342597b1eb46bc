"""The page that follows one question: made from a small demo, its figures work out, and another run is told from it."""

import json
import math
import re
import statistics
from pathlib import Path

import pytest
from rich.console import Console

import walkthrough
import walkthrough_run
from harken.api import demo

STEPS = 3
PAGE = Path(__file__).parents[2] / "docs" / "walkthrough.md"


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory) -> Path:
    """Three steps of GRPO after a few of SFT, in the folders that `harken demo` writes."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    settings = {
        "sft": demo.SETTINGS["sft"] | {"steps": 12, "learning_rate": 3e-3},
        "grpo": demo.SETTINGS["grpo"] | {"steps": STEPS, "prompts_per_step": 8},
    }
    patched = {"N_TRAIN": 64, "N_TEST": 8, "SETTINGS": settings}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in patched.items():
            patch.setattr(demo, name, value)
        demo.run_demo(folder, 0, console=Console(quiet=True))
    return folder


@pytest.fixture(scope="module")
def repeated(small_demo, tmp_path_factory) -> walkthrough_run.Step:
    return walkthrough_run.repeat(small_demo / "grpo", STEPS, tmp_path_factory.mktemp("again") / "run")


def test_the_repeated_step_is_the_runs(small_demo, repeated):
    assert walkthrough_run.differences(repeated, STEPS, small_demo / "grpo") == []


def test_another_runs_files_are_told(small_demo, repeated, tmp_path):
    run = tmp_path / "grpo"
    (run / "rollouts").mkdir(parents=True)
    rows = [json.loads(line) for line in (small_demo / "grpo" / "metrics.jsonl").read_text().splitlines()]
    rows[-1]["loss/kl"] += 0.5
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    kept = (small_demo / "grpo" / "rollouts" / f"step_{STEPS:06d}.jsonl").read_text().splitlines()
    other = json.loads(kept[0]) | {"completion": "another"}
    (run / "rollouts" / f"step_{STEPS:06d}.jsonl").write_text("\n".join([json.dumps(other), *kept[1:]]) + "\n")
    lines = walkthrough_run.differences(repeated, STEPS, run)
    assert len(lines) == 2
    assert lines[0].startswith("loss/kl: ")
    assert lines[1] == f"1 of {len(kept)} completions differ"


def test_the_figures_of_the_page_work_out(small_demo, repeated):
    values = walkthrough.facts(repeated, STEPS, small_demo / "grpo")
    rewards = [completion["reward"] for completion in values["completions"]]
    assert 0 < sum(rewards) < len(rewards)
    mean, std = statistics.mean(rewards), statistics.stdev(rewards)
    assert (values["mean"], values["std"]) == (pytest.approx(mean), pytest.approx(std))
    for completion in values["completions"]:
        assert completion["advantage"] == pytest.approx((completion["reward"] - mean) / (std + 1e-4), abs=1e-6)
        assert (completion["choice"] == values["question"].choices[values["question"].answer]) == bool(
            completion["reward"]
        )
    advantage = {"right": (1 - mean) / (std + 1e-4), "wrong": -mean / (std + 1e-4)}
    for token in values["tokens"]:
        gap = token["reference"] - token["logp"]
        assert token["kl"] == pytest.approx(math.exp(gap) - gap - 1, abs=1e-6)
        assert token["loss"] == pytest.approx(-advantage[token["which"]] + 0.04 * token["kl"], abs=1e-5)
    lengths = [completion["tokens"] for completion in values["completions"]]
    assert values["repeated"] == sum(values["prompt"]["tokens"] + length for length in lengths)
    assert values["packed"] == values["prompt"]["tokens"] + sum(length - 1 for length in lengths)
    text = walkthrough.page({**values, "commit": "0000000"})
    assert text.count("\n## ") == 8
    assert all(completion["text"] in text for completion in values["completions"])


def test_the_shipped_page_was_written_from_this_text():
    """Numbers are the shipped run's; every line without one is the template's, in its order."""
    template = (Path(walkthrough.__file__).with_suffix(".md.j2")).read_text(encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    fixed = [line for line in template.split("\n") if line.strip() and not re.search(r"\{[{%]", line)]
    place = -1
    for line in fixed:
        place = page.find(line, place + 1)
        assert place >= 0, line
