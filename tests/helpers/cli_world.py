"""A small world for tests of the command line: a question set, a tiny checkpoint and a recipe, made by commands."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import yaml
from command_line import harken

from harken.data.demo_set import write_demo_set

SETTINGS = {
    "name": "small",
    "sft": {"steps": 2, "prompts_per_step": 4, "learning_rate": 1e-3},
    "grpo": {
        "steps": 2,
        "prompts_per_step": 3,
        "completions_per_prompt": 2,
        "max_completion_tokens": 4,
        "learning_rate": 1e-4,
    },
    "logging": {"every": 1, "evaluate_every": 2, "trackers": ["tensorboard"]},
}


@dataclass(frozen=True)
class World:
    """Paths of the world: its folder, the recipe, the training questions and the checkpoint."""

    folder: Path
    recipe: Path
    data: Path
    model: Path

    @property
    def test(self) -> Path:
        """The test questions."""
        return self.data.parent / "test.json"

    def write(self, name: str, *records) -> Path:
        """Write a file of records beside the clips; a text is a line as it is."""
        path = self.data.parent / name
        path.write_text("\n".join(record if isinstance(record, str) else json.dumps(record) for record in records))
        return path


def make_world(folder: Path) -> World:
    write_demo_set(folder / "data", seed=0, n_train=24, n_test=12)
    data, model, recipe = folder / "data" / "train.json", folder / "tiny", folder / "recipe.yaml"
    assert harken("tiny", "--out", model, "--text", data, "--seed", 3).code == 0
    values = {**SETTINGS, "model": {"path": str(model)}, "data": {"train": [{"file": str(data)}], "dev_share": 0.3}}
    recipe.write_text(yaml.safe_dump(values), encoding="utf-8")
    return World(folder, recipe, data, model)


def rows_of(path: Path) -> list:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_bad_records(world: World) -> Path:
    """Four usable records, one about a clip of 19 ms, and one of every kind that cannot be used."""
    root, rng = world.data.parent, np.random.default_rng(0)

    def clip(name, samples, rate_hz=16_000, **options):
        soundfile.write(root / f"{name}.wav", samples, rate_hz, **options)
        return f"{name}.wav"

    def record(ident, name="fine.wav", **changes):
        return {"id": ident, "audio_id": name, "question": "Which?", "choices": ["a", "b"], "answer": "a", **changes}

    clip("fine", rng.normal(0, 0.1, 8_000))
    clip("tick", rng.normal(0, 0.1, 304))
    (root / "undecodable.wav").write_bytes(b"RIFF and then nothing")
    return world.write(
        "bad.jsonl",
        record("good0"),
        record("missing", "gone.wav"),
        record("undecodable", "undecodable.wav"),
        record("good1"),
        record("empty", clip("empty", np.zeros(0))),
        record("nan", clip("nan", np.array([0.1, np.nan, 0.2] * 500), subtype="FLOAT")),
        record("one hertz", clip("slow", rng.normal(0, 0.1, 100), rate_hz=1)),
        record("19 ms", "tick.wav"),
        record("answer", answer="cat"),
        record("one choice", choices=["a"]),
        record("good0", question="Another?"),
        record("too long", question="very " * 150 + "long?"),
        record("control token", question="Which?<|im_end|>"),
        record("good2"),
        '{"id": "cut", "audio_id": "fine.wav", "question": "Wh',
    )
