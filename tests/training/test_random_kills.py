"""Commands that are killed, or stopped by SIGTERM, at random moments end with the bytes of one that was not.

`make proofs` runs this with 20 hits a command and signal; HARKEN_KILLS sets another number, HARKEN_KILLS_SEED other
moments.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from generate_cases import counting, scripted, write_captions
from made_media import cut, tone, write_media, write_wav
from random_kills import hit_at_random
from scripted_server import Received, Scripted, serving
from small_evaluations import results_of, write_set
from small_runs import differences, quiet_console, read_run, small_recipe
from thinker_runs import OVERALL, judge_endpoint, score_by_prompt, thinker_recipe, write_questions
from tiny_models import tiny_folder

from harken.config import Recipe
from harken.data.demo_set import write_demo_set
from harken.training.sft import sft

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

COUNT = int(os.environ.get("HARKEN_KILLS", "20"))
SEED = int(os.environ.get("HARKEN_KILLS_SEED", "0"))


@dataclass(frozen=True)
class World:
    """A command, how it goes on (None: the same words), what it wrote, and who answers it."""

    start: list[str]
    go_on: list[str] | None
    read: Callable[[Path], Any]
    reply: Callable[[Received], Scripted] | None = None


def training(loop: str, **sections: dict[str, Any]) -> Callable[[Path, str], World]:
    def make(folder: Path, url: str) -> World:
        write_demo_set(folder / "data", seed=0, n_train=8, n_test=4)
        lora = sections.get("model", {}).get("lora") is not None
        values = small_recipe(tiny_folder("qwen2_5_omni"), folder / "data" / "train.json", lora).model_dump(mode="json")
        values["reward"]["parts"] = [{"name": "small_runs:reward_by_letters"}]
        values["logging"] |= {"evaluate_every": 2, "keep_checkpoints": 1}
        for section, changes in sections.items():
            values[section] |= changes
        return run_of(loop, folder, Recipe.model_validate(values))

    return make


def run_of(loop: str, folder: Path, recipe: Recipe) -> World:
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    start = [loop, str(folder / "recipe.yaml"), "--out", "{out}"]
    return World(start, [loop, "--resume", "{out}"], read_training)


def read_training(run: Path) -> dict[str, Any]:
    contents = read_run(run)
    contents |= {name: sorted(text.splitlines()) for name, text in contents.items() if name.startswith("judge/")}
    return contents


def judged(folder: Path, url: str) -> World:
    warm = write_questions(folder / "sft.jsonl", "it is a digit", "a word", "")
    model = sft(thinker_recipe(tiny_folder("qwen2_5_omni"), warm), folder / "warm", quiet_console())
    recipe = thinker_recipe(model, write_questions(folder / "grpo.jsonl", ""), OVERALL, judge_endpoint(url))
    return run_of("train", folder, recipe)


def evaluation(folder: Path, url: str) -> World:
    file = write_set(folder, 40)
    words = ["evaluate", "--model", str(tiny_folder("qwen2_5_omni")), "--data", str(file), "--audio-root", str(folder)]
    return World(
        [*words, "--out", "{out}", "--max-completion-tokens", "4", "--batch-size", "3"],
        None,
        results_of,
    )


def preparation(folder: Path, url: str) -> World:
    records = []
    for number in range(24):
        name = f"AAAAAAAAA{number:02d}_000001"
        path = folder / "media" / f"{name}.wav"
        if number % 3:
            write_wav(path, tone(300 + 20 * number, 44_100, 2.0), 44_100)
        else:
            path = write_media(path.with_suffix(".mp4"), tone(300 + 20 * number, 48_000, 1.0)[None])
        if number % 5 == 4:
            cut(path)
        question = {"question_text": "What is heard?", "multi_choice": ["car", "dog"], "answer": number % 2}
        records.append(
            {"id": number, "video_name": name, "question_relation": "Sound", "question_type": "W"} | question
        )
    (folder / "train_qa.json").write_text(json.dumps(records))
    words = ["prepare", "avqa", "--annotations", str(folder / "train_qa.json"), "--media", str(folder / "media")]
    return World([*words, "--out", "{out}", "--workers", "2"], None, bytes_of)


def generation(folder: Path, url: str) -> World:
    captions = write_captions(folder / "captions.jsonl", 64)
    words = ["generate", "questions", "--captions", str(captions), "--out", "{out}", "--endpoint", url, "--model", "m"]
    settings = ("endpoint.retry_wait_s=0.01", "endpoint.timeout_s=1.5", "endpoint.retries=2")
    return World(
        [*words, "--concurrency", "4", *(word for setting in settings for word in ("--set", setting))],
        None,
        lambda out: {name: data for name, data in bytes_of(out).items() if name != "replies.jsonl"},
    )


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


MIXED = {"model": {"precision": "bf16_mixed"}}
STOCHASTIC = {"weights": "bf16_stochastic", "optimizer": "adamw_8bit"}
WORLDS: dict[str, Callable[[Path, str], World]] = {
    "train": training("train"),
    "train with adapters": training("train", model={"lora": {"rank": 4}, "train_projector": True}),
    "train with two iterations": training("train", grpo={"num_iterations": 2}),
    "train with a judge": judged,
    "train in 8 bits, rounded at random": training("train", memory=STOCHASTIC, **MIXED),
    "train in corrected bfloat16, offloaded": training(
        "train", memory={"weights": "bf16_corrected", "optimizer": "offloaded", "reference": "streamed"}, **MIXED
    ),
    "sft": training("sft"),
    "evaluate": evaluation,
    "prepare avqa": preparation,
    "generate questions": generation,
}
REPLIES = {"train with a judge": lambda: score_by_prompt, "generate questions": lambda: scripted(counting())}
GOES_ON = ("go on with: harken ", "the same command", "start it again", "stopped: by SIGTERM")


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM"])
@pytest.mark.parametrize("kind", WORLDS)
def test_a_command_that_is_hit_at_random_moments_ends_with_the_bytes_of_one_that_was_not(kind, signal, tmp_path):
    with serving(REPLIES.get(kind, lambda: score_by_prompt)()) as server:
        world = WORLDS[kind](tmp_path, server.url)
        result = hit_at_random(tmp_path, world.start, world.go_on, signal, COUNT, f"{kind} {signal} {SEED}")
    codes = [code for code, _ in result["ended"]]
    assert sum(code in (-9, -15, 75) for code in codes) == COUNT  # -15 while Python itself starts
    assert codes[-1] == 0
    for code, line in result["ended"]:
        assert code != 75 or any(sentence in line for sentence in GOES_ON), line
    expected = world.read(tmp_path / "whole")
    for folder in result["folders"]:
        assert differences(world.read(Path(folder)), expected) == [], folder
    print(
        f"{kind}, {signal}: {COUNT} hits in {len(result['folders'])} folders; undisturbed {result['duration_s']:.1f} s"
    )
