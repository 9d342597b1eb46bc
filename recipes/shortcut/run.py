"""Does a model listen where the text gives most answers away? Plain GRPO beside GRPO with the listening reward.

    python recipes/shortcut/run.py runs/shortcut --seeds 0 1 2
    python recipes/shortcut/run.py runs/shortcut-realaqa --seeds 0 1 2 --realaqa ../shared/realaqa

Every question gets a code word that stands for one of its choices ("Take birch."; each answer has a tree of its own).
In training the word stands for the right answer in 70 % of the questions and lies in the others. The start is a tiny
model that can listen and rather reads: it is fine-tuned on clips with words that say nothing, and then on the training
questions without their clips. From there GRPO goes on with each of ARMS, a recipe beside this file, and the same
settings otherwise. The test questions are asked with a word that lies and with one that is right, with the clip and
without it.

The questions are the easy ones about the built-in sounds or, with --realaqa, the spoken digits of a folder of real
recordings. Finished stages are not repeated and a stopped run goes on. `table.py` writes the tables and the curves.
"""

import argparse
import json
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import product
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
ARMS = ("plain", "listening", "scaled")
TESTS, AUDIO = ("lie", "right"), ("real", "none")
ANSWERS = {"max_completion_tokens": 4, "batch_size": 96}
DIGITS = {"sounds": {"sft.steps": 120}}
"""Recipe -> the settings that are changed for spoken digits, which a tiny model learns to hear later than the built-in
sounds."""


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


def easy_questions(data: Path, seed: int, realaqa: Path | None) -> dict[str, list[dict[str, Any]]]:
    """The questions to train on and those of the test, without code words, by split. The built-in ones are written into
    `data`; of the recordings these are the ones of a single digit."""
    if realaqa is None:
        write_demo_set(data, seed=seed, n_train=N_TRAIN, n_test=N_TEST)
    folder, task = (data, None) if realaqa is None else (realaqa, "speech")
    return {
        split: [
            record
            for record in json.loads((folder / f"{split}.json").read_text(encoding="utf-8"))
            if record["difficulty"] == "easy" and task in (None, record["task"])
        ]
        for split in ("train", "test")
    }


def write_data(data: Path, seed: int, realaqa: Path | None = None) -> None:
    """sounds.json, where each choice's word comes equally often, train.json, and the test questions with words that lie
    and that are right."""
    if (data / "right.json").exists():
        return
    data.mkdir(parents=True, exist_ok=True)
    questions = easy_questions(data, seed, realaqa)
    for name, split, share in (
        ("sounds", "train", 0.25),
        ("train", "train", RIGHT_SHARE),
        ("lie", "test", 0.0),
        ("right", "test", 1.0),
    ):
        rows = with_words(questions[split], share, f"{name} {seed}")
        (data / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")


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


def run_seed(
    out: Path,
    seed: int,
    console: Console,
    realaqa: Path | None = None,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """All stages of one seed.

    Args:
        realaqa: the folder of recordings; None for the built-in sounds.
        changes: keys to change, by recipe; the arms take those of "plain" as well.
    """
    data, tiny = out / "data", out / "tiny"
    changes = {**({} if realaqa is None else DIGITS), **(changes or {})}
    write_data(data, seed, realaqa)
    if not tiny.exists():
        write_tiny("qwen2_5_omni", tiny, question_texts([data / "train.json"]), seed)

    def settings(recipe: str, file: str, model: Path) -> dict[str, Any]:
        source = {"data.train.0.file": data / file, "data.train.0.audio_root": realaqa or data}
        shared = changes.get("plain", {}) if recipe in ARMS else {}
        return {"seed": seed, "model.path": model, **source, **shared, **changes.get(recipe, {})}

    sounds = trained(harken.sft, "sounds", out / "sounds", settings("sounds", "sounds.json", tiny), console)
    start = settings("start", "train.json", sounds.checkpoint)
    runs = [sounds, trained(harken.sft, "start", out / "start", start, console)]
    for arm in ARMS:
        own = settings(arm, "train.json", runs[1].checkpoint)
        runs.append(trained(harken.train, arm, out / arm, own, console))
    for run, test, audio in product(runs, TESTS, AUDIO):
        harken.evaluate(
            model=run.checkpoint,
            data=data / f"{test}.json",
            audio=audio,
            settings={**ANSWERS, "data.audio_root": realaqa or data},
            out=run.folder / "eval" / f"{test}-{audio}",
            console=console,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--realaqa", type=Path, help="folder with train.json, test.json and audio/ of recordings")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        run_seed(arguments.out / f"seed{seed}", seed, Console(), arguments.realaqa)


if __name__ == "__main__":
    main()
