"""Small runs with the adaptive prompt: their data, their recipe, and a judge whose reply depends only on its prompt."""

import hashlib
from pathlib import Path

from scripted_server import Received, Scripted, said

from harken.config import Recipe
from harken.data.manifest import write_manifest
from harken.types import Question


def write_questions(file: Path, *reasonings: str) -> Path:
    """A manifest with every question once for each of `reasonings`."""
    rows = [
        Question(f"{q.id}-{r}", q.text, q.choices, q.answer, None, difficulty=q.difficulty, reasoning=reasoning)
        for q in QUESTIONS
        for r, reasoning in enumerate(reasonings)
    ]
    write_manifest(file, rows)
    return file


def thinker_recipe(model: Path, data: Path, reward=None, judge=None, **changes) -> Recipe:
    """Four steps of GRPO, and SFT before it, with the accuracy reward or another section `reward`."""
    return Recipe.model_validate(
        {
            **{"name": "thinker", "seed": 3, "model": {"path": str(model), "device": "cpu"}, "judge": judge},
            "data": {"train": [{"reader": "manifest", "file": str(data)}]},
            "prompt": {"style": "adaptive"},
            "reward": reward or {},
            "sft": {
                **{"steps": 50, "prompts_per_step": 6, "learning_rate": 5e-3},
                "schedule": "constant",
            },
            "grpo": {
                **{"steps": 4, "prompts_per_step": 3, "completions_per_prompt": 4},
                **{"max_completion_tokens": 12, "learning_rate": 1e-3, "temperature": 1.2},
            },
            "logging": {"every": 1, "checkpoint_every": 2},
            **changes,
        }
    )


OVERALL = {
    "parts": ({"name": "adaptive"}, {"name": "format", "weight": 0.5}, {"name": "quality"}),
    "adaptive": {"consistency": "equation"},
}


def judge_endpoint(url: str, **changes) -> dict:
    endpoint = {"base_url": url, "model": "m", "api": "completion", "retries": 0, "timeout_s": 5.0}
    return {"endpoint": endpoint, **changes}


def score_by_prompt(request: Received) -> Scripted:
    """A reply that is a score of either aspect, and that depends only on the prompt."""
    return said(f" {hashlib.sha256(request.body['prompt'].encode()).digest()[1] % 2}\n")


CHOICES = ("one", "two", "three")


QUESTIONS = [
    Question(f"q{i}", f"Which digit? {CHOICES[i]}", CHOICES, i, None, difficulty=("easy", "hard")[i % 2])
    for i in range(3)
]
