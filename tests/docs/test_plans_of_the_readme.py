"""The lines of README's section on a real model run as they are written, in the order of the page, on stand-in data.

A tiny checkpoint lies where the Hub's name leads, and trainings have two steps of small batches; nothing else of a line
is changed.
"""

import json
import re
import shlex
from pathlib import Path

import pytest
from command_line import harken
from made_media import tone, write_wav

from harken.data.demo_set import write_demo_set
from harken.models.tiny_checkpoint import write_tiny
from harken.training import open_session

README = Path(__file__).parents[2] / "README.md"
SMALL = ["grpo.steps=2", "grpo.prompts_per_step=2", "grpo.max_completion_tokens=4", "logging.every=1"]
CHOICES = ["a dog", "a cat", "a cow", "a door"]


def lines_of_the_section() -> list[str]:
    text = README.read_text(encoding="utf-8")
    section = text[text.index("## A real model") : text.index("## Where to read on")]
    lines = [line.strip() for line in section.split("\n") if line.startswith("    ")]
    return [re.sub(r"\s{2,}#.*", "", line) for line in lines]


def write_stand_ins(folder: Path) -> None:
    """What the section expects: AVQA's annotations and videos, MMAU's file and clips, a clip of one's own, a model."""
    annotations = []
    for number in range(6):
        name = f"AAAAAAAAAA{number}_000007"
        write_wav(folder / "videos" / f"{name}.wav", tone(300 + 90 * number, 16_000, 1.0))
        record = {"id": number, "video_name": name, "video_id": 7, "question_text": "What is heard in the video?"}
        record |= {"multi_choice": CHOICES, "answer": number % 4, "question_relation": "Sound", "question_type": "What"}
        annotations.append(record)
    (folder / "train_qa.json").write_text(json.dumps(annotations))
    write_demo_set(folder / "data" / "mmau", seed=0, n_train=4, n_test=4)
    (folder / "data" / "mmau" / "test.json").rename(folder / "data" / "mmau" / "mmau-test-mini.json")
    write_wav(folder / "clip.wav", tone(440, 16_000, 1.0))
    write_tiny("qwen2_5_omni", folder / "Qwen" / "Qwen2.5-Omni-7B", ["What is heard in the audio?", *CHOICES], 0)


@pytest.mark.slow
def test_the_lines_on_a_real_model_run_as_they_are_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(open_session, "refuse_full_disk", lambda *_: None)  # of 7B, by its name
    write_stand_ins(tmp_path)
    lines = lines_of_the_section()
    assert [line for line in lines if not line.startswith("harken ")] == ["pip install -e ."]
    for line in lines[1:]:
        words = shlex.split(line)[1:]
        if words[0] == "train":
            words += [word for setting in SMALL for word in ("--set", setting)]
        result = harken(*words)
        if words[0] == "compare":  # the stand-in's records are not MMAU's, and the command says so
            assert "so the evaluation has no place in a published table" in result.err
            continue
        assert result.code == 0, (line, result.out, result.err)
    run = Path("runs/omni-r1-avqa-80gb")
    for written in ("report.html", "eval/mmau/summary.json", "eval/mmau-listening/listening.json"):
        assert (run / written).is_file()
    report = (run / "report.html").read_text(encoding="utf-8")
    assert "on 4 questions" in report.partition("</section>")[0]  # the page begins with the result
    assert "What the model hears" in report


def test_the_section_trains_what_fits_the_card_that_it_names():
    lines = lines_of_the_section()
    [planned] = [line for line in lines if line.startswith("harken plan ")]
    trained = {shlex.split(line)[2] for line in lines if line.startswith("harken train ")}
    assert trained == {shlex.split(planned)[2]}


@pytest.mark.parametrize(
    ("recipe", "card", "peak_gib"),
    [
        ("omni_r1_avqa_80gb", "h100", 61.0),
        ("omni_r1_avqa_80gb", "a100", 61.0),
        ("omni_r1_avqa_48gb", "l40s", 35.9),
        ("omni_r1_avqa_48gb", "a6000", 35.9),
        ("omni_r1_avqa_lora", "l40s", 16.6),
    ],
)
def test_the_recipes_for_one_card_fit_it(recipe, card, peak_gib):
    planned = harken("plan", recipe, "--card", card)
    assert planned.code == 0, planned.out
    [peak] = [line for line in planned.out.split("\n") if re.match(r"\W*peak ", line)]
    assert float(re.findall(r"\d+\.\d+", peak)[0]) == pytest.approx(peak_gib, abs=0.2)


def test_the_recipe_of_the_paper_does_not_fit_one_card_of_80_gb():
    assert harken("plan", "omni_r1_avqa", "--card", "h100").code == 1
    assert "itself, without any of their savings, needs four cards of 48 GB" in " ".join(README.read_text().split())
    assert harken("plan", "omni_r1_avqa", "--card", "a6000", "--gpus", "4").code == 0
