"""Labels of real recordings become questions, and a model is trained on them."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from command_line import harken
from generate_cases import lines_of, position_counts
from scripted_server import said, serving
from tiny_models import tiny_folder

from harken.data.manifest import read_manifest

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(RECIPES)
        return importlib.import_module("realaqa_generated")


def right_answers(example, records) -> dict[str, set[str]]:
    """The right answers about each clip by its labels, computed independently of the facts."""
    answers: dict[str, set[str]] = {}
    for record in records:
        answer = record["transcript"].split()[0] if record["task"] == "speech" else record["answer"]
        answers.setdefault(Path(record["audio_id"]).stem, set()).add(answer)
    return answers


def test_labels_become_facts_questions_a_manifest_and_two_training_steps(example, shared, tmp_path):
    records = json.loads((shared / "realaqa" / "train.json").read_text())
    captions = tmp_path / "captions.jsonl"
    example.main(["captions", str(shared / "realaqa" / "train.json"), str(captions), "24"])
    with serving(lambda request: said(example.write_question(request.body["messages"][0]["content"]))) as server:
        done = harken(
            *("generate", "questions", "--captions", captions, "--out", tmp_path / "questions"),
            *("--endpoint", server.url, "--model", "scripted"),
        )
    assert done.code == 0, done.err
    manifest = tmp_path / "questions" / "manifest.jsonl"
    rows, labels = lines_of(manifest), right_answers(example, records)
    assert len(rows) == 24
    assert position_counts(rows) == [6, 6, 6, 6]
    assert {row["task"] for row in rows} == {"speech", "sound", "music"}
    assert all(row["choices"][row["answer"]] in labels[row["id"]] for row in rows)
    questions, _ = read_manifest(manifest, shared / "realaqa")
    assert all(question.audio is not None and question.audio.is_file() for question in questions)
    trained = harken(
        *("train", RECIPES / "realaqa_generated.yaml", "--out", tmp_path / "grpo"),
        *("--set", f"model.path={tiny_folder('qwen2_5_omni')}", "--set", f"data.train.0.file={manifest}"),
        *("--set", f"data.train.0.audio_root={shared / 'realaqa'}", "--set", "grpo.prompts_per_step=4"),
    )
    assert trained.code == 0, trained.err
    assert [row["step"] for row in lines_of(tmp_path / "grpo" / "metrics.jsonl")] == [1, 2]


@pytest.mark.slow
def test_the_documented_script_runs_from_end_to_end(shared, tmp_path):
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = [RECIPES / "realaqa_generated.sh", tmp_path / "out", shared / "realaqa", "60"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PATH": programs}, check=False)
    assert done.returncode == 0, done.stderr
    assert position_counts(lines_of(tmp_path / "out" / "questions" / "manifest.jsonl")) == [15, 15, 15, 15]
    assert [row["step"] for row in lines_of(tmp_path / "out" / "grpo" / "metrics.jsonl")] == [1, 2]


def test_reasoning_is_what_sft_trains_on(tmp_path):
    """`harken sft` trains on the manifest of `harken generate reasoning`, with a prompt that asks for thinking."""
    row = {"text": "What?", "choices": ["a", "b"], "answer": 1, "reasoning": "Planning: listen.\nSummary: it is b."}
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps({"id": f"q{i}", **row}) + "\n" for i in range(4)))
    recipe = {
        **{"name": "think", "prompt": {"style": "r1_aqa_think"}, "model": {"path": str(tiny_folder("qwen2_5_omni"))}},
        **{"data": {"train": [{"reader": "manifest", "file": str(manifest)}]}},
        "sft": {"steps": 2, "prompts_per_step": 2, "learning_rate": 1e-3},
    }
    (tmp_path / "think.yaml").write_text(yaml.safe_dump(recipe))
    done = harken("sft", tmp_path / "think.yaml", "--out", tmp_path / "sft")
    assert done.code == 0, done.err
    assert [row["step"] for row in lines_of(tmp_path / "sft" / "metrics.jsonl")] == [1, 2]
