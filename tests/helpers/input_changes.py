"""Changes of what a run or an evaluation began with, and the commands that are to go on with it then.

docs/resume.md has the table of these changes.
"""

import json
import os
import shutil
import signal
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from command_line import harken
from safetensors.torch import load_file, save_file

from harken.evaluation import folder as evaluation_folder
from harken.inference import decode as decoding
from harken.system.environment import package_versions
from harken.training import run_inputs

OWN_BENCHMARK = """from dataclasses import replace

from harken.benchmarks.mmau import MMAU

OWN = replace(MMAU, name="own")
"""


def edit(run, **sections):
    """Change values in a run's config.yaml."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    for section, values in sections.items():
        config[section] = config[section] | values if isinstance(values, dict) else values
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def change_answers(world):
    file = world / "data" / "train.json"
    records = json.loads(file.read_text())
    for record in records:
        record["answer"] = next(choice for choice in record["choices"] if choice != record["answer"])
    file.write_text(json.dumps(records))


def halve_data(world):
    file = world / "data" / "train.json"
    file.write_text(json.dumps(json.loads(file.read_text())[:4]))


def silence_clips(world):
    for clip in (world / "data" / "audio").glob("*.wav"):
        with wave.open(str(clip)) as opened:
            settings, n = opened.getparams(), opened.getnframes()
        with wave.open(str(clip), "wb") as opened:
            opened.setparams(settings)
            opened.writeframes(b"\0\0" * n)


def change_base(world):
    config = json.loads((world / "model" / "config.json").read_text())
    (world / "model" / "config.json").write_text(json.dumps(config | {"note": "another"}))


@dataclass
class World:
    """A folder with model, data, two runs of two steps, and an evaluation that was stopped.

    Attributes:
        words: further words of the command line.
    """

    folder: Path
    command: str
    patch: pytest.MonkeyPatch
    words: list[str]

    @property
    def loop(self) -> str:
        return "sft" if self.command == "sft --resume" else "train"

    @property
    def run(self) -> Path:
        return self.folder / self.loop

    def set(self, training: str, evaluation: str = "") -> None:
        """Change a key of the recipe: `--set`, or in the folder of a run that `extend` takes."""
        key, _, value = (evaluation if self.command == "evaluate" else training).partition("=")
        if self.command == "extend":
            *sections, last = key.split(".")
            edit(
                self.run, **{sections[0]: {last: yaml.safe_load(value)}} if sections else {last: yaml.safe_load(value)}
            )
        else:
            self.words += ["--set", f"{key}={value}"]

    def move(self, name: str) -> Path:
        """Move a folder, with its times, and tell the command."""
        moved = self.folder / f"moved-{name}"
        shutil.move(self.folder / name, moved)
        return moved

    def versions(self, **changes: str) -> None:
        for module in (run_inputs, evaluation_folder):
            self.patch.setattr(module, "package_versions", lambda: {**package_versions(), **changes})

    def go_on(self):
        if self.command == "evaluate":
            return evaluate(self.folder, *self.words)
        if self.command == "extend":
            return harken("extend", self.run, "--steps", "3", *self.words)
        return harken(*self.command.split(), self.run, *self.words)


def evaluate(folder: Path, *words: str):
    given = {"--model": folder / "model", "--data": folder / "data" / "train.json"}
    given |= {"--out": folder / "evaluation", "--max-completion-tokens": 3, "--batch-size": 2}
    given |= {"--benchmark": "own_benchmark:OWN"}
    pairs = [word for option, value in given.items() if option not in words for word in (option, value)]
    return harken("evaluate", *pairs, "--set", f"prompt.prompt_file={folder / 'prompt.txt'}", *words)


def stop_evaluation(folder: Path, patch: pytest.MonkeyPatch, *words: str) -> None:
    """Begin the evaluation, and stop it in its third batch."""
    original, calls = decoding._decode, []

    def decode(*arguments):
        calls.append(None)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    patch.setattr(decoding, "_decode", decode)
    assert evaluate(folder, *words).code == 75
    patch.undo()


def set_config(folder: Path, **values) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def change_weight(world: World) -> None:
    file = world.folder / "model" / "model.safetensors"
    weights = load_file(file)
    weights[min(weights)].view(-1)[0] += 1
    save_file(weights, file, {"format": "pt"})


def touch_clips(world: World) -> None:
    for clip in (world.folder / "data" / "audio").glob("*.wav"):
        os.utime(clip, (1e9, 1e9))


def copy_hashed_clips(world: World) -> None:
    hashes = ("--set", "data.hash_clips=true")
    assert harken(world.loop, "--resume", world.run, *hashes).code == 0
    touch_clips(world)


def move_data(world: World) -> None:
    moved = world.move("data")
    if world.command == "evaluate":
        world.words += ["--data", str(moved / "train.json")]
    else:
        edit(world.run, data={"train": [{"reader": "own_benchmark:OWN", "file": str(moved / "train.json")}]})


def move_model(world: World) -> None:
    moved = world.move("model")
    if world.command == "evaluate":
        world.words += ["--model", str(moved)]
    else:
        edit(world.run, model={"path": str(moved)})


def start_from_a_run(world: World) -> None:
    """Have the run, or the evaluation, begin from another run's newest checkpoint; then that run has a newer one."""
    other = world.folder / "other"
    shutil.copytree(world.folder / "sft", other)
    if world.command == "evaluate":
        shutil.rmtree(world.folder / "evaluation")
        world.words += ["--model", str(other)]
        with pytest.MonkeyPatch.context() as patch:
            stop_evaluation(world.folder, patch, *world.words)
    else:
        shutil.rmtree(world.run)
        words = ["--set", f"model.path={other}"]
        assert harken(world.loop, world.folder / "recipe.yaml", "--out", world.run, *words).code == 0
    shutil.copytree(other / "checkpoints" / "step_000002", other / "checkpoints" / "step_000003")
    set_config(other / "checkpoints" / "step_000003", note="newer")


def other_loop(world: World) -> None:
    world.command = {"train --resume": "sft --resume", "sft --resume": "train --resume"}[world.command]
    for loop in ("train", "sft"):
        (world.folder / loop).rename(world.folder / f"of-{loop}")
    (world.folder / "of-train").rename(world.folder / "sft")
    (world.folder / "of-sft").rename(world.folder / "train")


def in_folder(function: Callable[[Path], None]) -> Callable[[World], None]:
    return lambda world: function(world.folder)


CHANGES: dict[str, tuple[Callable[[World], None], str]] = {
    "an answer in a file of questions": (in_folder(change_answers), r"data\.train\.0\.file|train\.json"),
    "half of a file of questions": (in_folder(halve_data), r"data\.train\.0\.file|train\.json"),
    "the sound of a clip, its time of change too": (in_folder(silence_clips), r"clip .*\.wav: changed"),
    "clips copied: the same sound, other times of change": (touch_clips, r"clip .*\.wav: changed"),
    "the same, after hashes of the clips were recorded": (copy_hashed_clips, ""),
    "questions and clips moved to another folder together": (move_data, r"data\.file"),
    "the module of a reward function": (
        lambda world: (world.folder / "own_reward.py").write_text("def reward(response):\n    return 0.5\n"),
        r"module of a reward: own_reward:reward",
    ),
    "the module of a benchmark of one's own": (
        in_folder(lambda folder: (folder / "own_benchmark.py").write_text(f"{OWN_BENCHMARK}OTHER = OWN\n")),
        r"module of a benchmark: own_benchmark:OWN: changed",
    ),
    "the file that prompt.prompt_file names": (
        in_folder(lambda folder: (folder / "prompt.txt").write_text("{question}? {choices}")),
        r"file prompt\.prompt_file: changed",
    ),
    "the seed": (lambda world: world.set("seed=6", "seed=6"), r"seed: \d in the folder, 6 now"),
    "the style of the prompt": (
        lambda world: world.set("prompt.style=r1_aqa", "prompt.style=mmau"),
        r"prompt\.style: 'omni_r1' in the folder",
    ),
    "precision, or what trains": (
        lambda world: world.set("model.train_audio_tower=false"),
        r"model\.train_audio_tower: True in the folder, False now",
    ),
    "the learning rate of the loop": (
        lambda world: world.set(f"{'sft' if world.loop == 'sft' else 'grpo'}.learning_rate=0.5"),
        r"learning_rate: 0\.01 in the folder, 0\.5 now",
    ),
    "the learning rate of the other loop": (
        lambda world: world.set(f"{'grpo' if world.loop == 'sft' else 'sft'}.learning_rate=0.5"),
        "",
    ),
    "the number of steps": (
        lambda world: world.set(f"{'sft' if world.loop == 'sft' else 'grpo'}.steps=4"),
        r"steps: 2 in the folder, 4 now",
    ),
    "the longest answer": (
        lambda world: (
            world.words.extend(["--max-completion-tokens", "4"])
            if world.command == "evaluate"
            else world.set("grpo.max_completion_tokens=4")
        ),
        r"max_completion_tokens: 3 in the folder, 4 now",
    ),
    "how often the run logs and saves": (lambda world: world.set("logging.checkpoint_every=7"), ""),
    "the number of completions decoded together": (lambda world: world.set("memory.rollout_rows=2"), ""),
    "the number of questions decoded together": (lambda world: world.words.extend(["--batch-size", "3"]), "batch_size"),
    "a weight of the base checkpoint": (change_weight, r"base checkpoint model\.safetensors: changed"),
    "a value in the base checkpoint's config.json": (
        lambda world: set_config(world.folder / "model", note="another"),
        r"base checkpoint config\.json: changed",
    ),
    "the base checkpoint's README.md": (
        lambda world: (world.folder / "model" / "README.md").write_text("a base, described"),
        "",
    ),
    "the base checkpoint moved to another folder": (move_model, r"model: .* in the folder"),
    "a run folder that was the base has a newer checkpoint": (
        start_from_a_run,
        r"base checkpoint config\.json: changed|model: .*step_000002' in the folder, .*step_000003' now",
    ),
    "the other loop goes on with the run": (other_loop, r"loop: harken \w+ began the run, harken \w+ is to go on"),
    "a version of torch": (lambda world: world.versions(torch="9.0"), r"version of torch: \S+ then, 9\.0 now"),
    "a version of harken, also a patch release": (
        lambda world: world.versions(harken="0.1.99"),
        r"version of harken: \S+ then, 0\.1\.99 now",
    ),
    "a version of safetensors": (lambda world: world.versions(safetensors="9.0"), ""),
    "a package was installed that was missing": (lambda world: world.versions(torchcodec="1.0"), ""),
}
