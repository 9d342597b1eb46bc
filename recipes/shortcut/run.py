"""Does a model listen where the text gives most answers away? Plain GRPO beside GRPO with the listening reward.

    python recipes/shortcut/run.py runs/shortcut --seeds 0 1 2

Every question about the built-in sounds gets a code word that stands for one of its choices ("Take birch."; each answer
word has a tree of its own). In training the word stands for the right answer in 70 % of the questions and lies in the
others. The start is a tiny model that can listen and rather reads, as a large one does: it is fine-tuned on the sounds
with words that say nothing, and then for a few steps on the training questions without their clips. From there GRPO
goes on with each reward in ARMS and the same settings otherwise. The test questions are asked with a word that lies and
with one that is right, with the clip and without it.

Finished stages are not repeated and a stopped run goes on. `table.py` writes the table and the curves.
"""

import argparse
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

import harken
from harken.data.demo_set import write_demo_set
from harken.models.tiny_checkpoint import question_texts, write_tiny

HERE = Path(__file__).parent
N_TRAIN, N_TEST = 1200, 320
"""Built-in questions that are written; the easy ones, three in five, are used."""
RIGHT_SHARE = 0.7
TREES = [
    *("alder", "birch", "cedar", "elm", "fir", "hazel", "holly", "juniper", "larch", "linden", "maple", "oak"),
    *("palm", "pine", "poplar", "rowan", "spruce", "willow", "yew", "walnut"),
]
ARMS = ("plain", "listening")
TESTS, AUDIO = ("lie", "right"), ("real", "none")
ANSWERS = {"max_completion_tokens": 4, "batch_size": 96}


def with_words(records: Sequence[dict[str, Any]], right_share: float, seed: str) -> list[dict[str, Any]]:
    """The records with a code word, which stands for the right answer in exactly this share of them, else for any of
    the wrong choices. `difficulty` says which: right or lie."""
    draw = random.Random(seed)
    answers = sorted({choice for record in records for choice in record["choices"]})
    right = {record["id"] for record in draw.sample(list(records), round(right_share * len(records)))}
    rows = []
    for record in records:
        wrong = [choice for choice in record["choices"] if choice != record["answer"]]
        kind = "right" if record["id"] in right else "lie"
        told = record["answer"] if kind == "right" else draw.choice(wrong)
        text = f"{record['question']} Take {TREES[answers.index(told)]}."
        rows.append({**record, "question": text, "difficulty": kind})
    return rows


def write_data(out: Path, seed: int) -> None:
    """sounds.json, where each choice's word comes equally often, train.json, and the test questions with words that lie
    and that are right."""
    if (out / "right.json").exists():
        return
    write_demo_set(out, seed=seed, n_train=N_TRAIN, n_test=N_TEST)
    train, test = (
        [record for record in json.loads((out / f"{name}.json").read_text()) if record["difficulty"] == "easy"]
        for name in ("train", "test")
    )
    shares = (
        ("sounds", train, 0.25),
        ("train", train, RIGHT_SHARE),
        ("lie", test, 0.0),
        ("right", test, 1.0),
    )
    for name, records, share in shares:
        rows = with_words(records, share, f"{name} {seed}")
        (out / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


def trained(
    stage: Callable[..., harken.Run],
    recipe: str,
    out: Path,
    settings: dict[str, Any],
    console: Console,
) -> harken.Run:
    """A run from its beginning, or from where it stopped."""
    if (out / "config.yaml").exists():
        return stage(out=out, resume=True, console=console)
    return stage(HERE / f"{recipe}.yaml", out, settings=settings, console=console)


def run_seed(out: Path, seed: int, console: Console) -> None:
    """All stages of one seed."""
    data, tiny = out / "data", out / "tiny"
    write_data(data, seed)
    if not tiny.exists():
        write_tiny("qwen2_5_omni", tiny, question_texts([data / "train.json"]), seed)
    sounds = {
        "seed": seed,
        "data.train.0.file": data / "sounds.json",
        "model.path": tiny,
    }
    shared = {"seed": seed, "data.train.0.file": data / "train.json"}
    runs = {"sounds": trained(harken.sft, "sounds", out / "sounds", sounds, console)}
    settings = {**shared, "model.path": runs["sounds"].checkpoint}
    runs["start"] = trained(harken.sft, "start", out / "start", settings, console)
    for arm in ARMS:
        settings = {**shared, "model.path": runs["start"].checkpoint}
        runs[arm] = trained(harken.train, arm, out / arm, settings, console)
    for run in runs.values():
        for test in TESTS:
            for audio in AUDIO:
                folder = run.folder / "eval" / f"{test}-{audio}"
                harken.evaluate(
                    model=run.checkpoint,
                    data=data / f"{test}.json",
                    audio=audio,
                    settings=ANSWERS,
                    out=folder,
                    console=console,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        run_seed(arguments.out / f"seed{seed}", seed, Console())


if __name__ == "__main__":
    main()
