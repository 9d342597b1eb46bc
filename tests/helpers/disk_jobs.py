"""The commands that write, each with small inputs, for the tests of full and read-only disks."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from benchmark_files import mmau_records, write
from cli_world import World
from command_line import harken
from generate_cases import write_captions
from small_parts import write_language_model, write_whisper

from harken.system.json_lines import write_json_lines

Words = Callable[[Path], Sequence[object]]
"""A command, for the folder that it writes."""


@dataclass(frozen=True)
class Job:
    """A command that writes.

    Attributes:
        words: the command.
        again: the command that goes on after a fault; None = the same.
        same: files below the folder that must be those of an undisturbed command, byte for byte.
        before: what must be there before.
        afresh: the same command refuses what it left, and its folder has to be removed.
    """

    words: Words
    again: Words | None = None
    same: tuple[str, ...] = ()
    before: Callable[[Path], None] | None = None
    afresh: bool = False


READS_ONLY = {"doctor", "recipes", "plan", "ask", "compare", "view", "judge check"}
"""Commands that write nothing but what they print. `view` keeps nothing, `judge check` has a folder of its own."""
LIKE_ANOTHER = {f"prepare {name}" for name in ("mmar", "airbench", "mmau_pro", "mmsu", "adqa")}
LIKE_ANOTHER |= {"prepare filter", "generate paraphrases"}
"""Commands that are `prepare mmau` with another reader, and those that write with the functions of `prepare jsonl` and
`generate questions`."""

SETTINGS = ("--set", "logging.trackers=[]", "--set", "logging.checkpoint_every=1")
SERVED = ("--endpoint", "http://127.0.0.1:1/v1", "--model", "m")


@dataclass(frozen=True)
class Inputs:
    """What the commands read.

    Attributes:
        url: a server that answers captions.
    """

    world: World
    folder: Path
    url: str

    @property
    def audio(self) -> Path:
        return self.world.data.parent

    def done(self, *words: object) -> None:
        result = harken(*words)
        assert result.code == 0, (words, result.err)


def make_inputs(world: World, folder: Path, url: str) -> Inputs:
    """Write the files and run folders that the commands read."""
    inputs = Inputs(world, folder, url)
    captions = write_captions(folder / "captions.jsonl", 8)
    endpoint = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}
    (folder / "questions.yaml").write_text(yaml.safe_dump({"captions": str(captions), "endpoint": endpoint}))
    records = mmau_records(20)
    write(folder / "mmau.json", records)
    write(folder / "predictions.json", [{**record, "model_output": "a dog"} for record in records])
    inputs.done("sft", world.recipe, "--out", folder / "full", *SETTINGS)
    inputs.done("sft", world.recipe, "--out", folder / "lora", *SETTINGS, "--set", "model.lora={rank: 2}")
    inputs.done("prepare", "mmau", "--data", world.data, "--audio-root", inputs.audio, "--out", folder / "prepared")
    manifest = folder / "prepared/manifest.jsonl"
    swift = ("--format", "ms_swift", "--out", folder / "swift.jsonl", "--audio-root", inputs.audio)
    inputs.done("prepare", "export", manifest, *swift)
    clips = [json.loads(line)["audio"] for line in manifest.read_text().splitlines()]
    facts = {"caption": "a dog", "sounds": "", "music": ""}
    write_json_lines(folder / "facts.jsonl", [{"id": f"c{i}", "audio": clip, **facts} for i, clip in enumerate(clips)])
    _write_sources(inputs, clips)
    write_whisper(folder / "whisper")
    write_language_model(folder / "qwen2", "qwen2")
    return inputs


def _write_sources(inputs: Inputs, clips: Sequence[str]) -> None:
    """The files that `harken prepare` reads."""
    folder = inputs.folder
    (folder / "media").mkdir()
    names = [f"aBcD3fGh{i}jK_000030" for i in range(3)]
    for name, clip in zip(names, clips, strict=False):
        shutil.copy(inputs.audio / clip, folder / "media" / f"{name}.wav")
    (folder / "vggsound.csv").write_text("".join(f"{name[:11]},30,dog,train\n" for name in names))
    asked = {"question_text": "What?", "multi_choice": ["a", "b", "c", "d"], "answer": 0}
    about = {"question_relation": "Sound", "question_type": "Which"}
    write(folder / "avqa.json", [{"id": i, "video_name": name, **asked, **about} for i, name in enumerate(names)])
    options = {"text": ["fire", "ice"], "label": ["A", "B"]}
    arc = {"question": "What is hot?", "choices": options, "answerKey": "A"}
    write_json_lines(folder / "arc.jsonl", [{"id": f"a{i}", **arc} for i in range(5)])
    mcq = {"source_dataset": "x", "question_type": "sound", "question": "What?", "choices": ["a", "b"], "answer": "a"}
    write_json_lines(folder / "mcq.jsonl", [{"id": i, "audio_path": clip, **mcq} for i, clip in enumerate(clips[:4])])
    (folder / "captions.csv").write_text("id,caption\nYaBcD3fGh1jK,A dog barks.\n")
    (folder / "answers.csv").write_text("id,question,answer\nYaBcD3fGh1jK,What?,dog\n")


def jobs(inputs: Inputs) -> dict[str, Job]:
    """Name -> job; the name begins with the command."""
    parts = (_loops, _evaluations, _preparations, _generations, _others)
    return {name: job for part in parts for name, job in part(inputs).items()}


def _loops(inputs: Inputs) -> dict[str, Job]:
    def training(command: str) -> Job:
        def begin(out: Path) -> Sequence[object]:
            return (command, inputs.world.recipe, "--out", out, *SETTINGS)

        def go_on(out: Path) -> Sequence[object]:
            return (command, "--resume", out) if (out / "config.yaml").exists() else begin(out)

        return Job(begin, go_on, ("checkpoints/step_000002/model.safetensors", "data.json"))

    return {
        "train": training("train"),
        "sft": training("sft"),
        "extend": Job(
            lambda out: ("extend", out, "--steps", 3),
            lambda out: ("sft", "--resume", out),
            ("checkpoints/step_000003/model.safetensors",),
            before=lambda out: _copy(inputs.folder / "full", out),
        ),
        "demo": Job(lambda out: ("demo", "--out", out), same=("grpo/data.json",), afresh=True),
    }


def _evaluations(inputs: Inputs) -> dict[str, Job]:
    asked = ("evaluate", "--model", inputs.world.model, "--data", inputs.world.test, "--max-completion-tokens", 2)
    samples = ("--samples", 2, "--temperature", 1)
    listening = ("--limit", 3, "--listening")
    return {
        "evaluate": Job(lambda out: (*asked, "--out", out), same=("predictions.jsonl", "summary.json")),
        "evaluate with samples": Job(
            lambda out: (*asked, *samples, "--out", out), same=("predictions.jsonl", "trials.jsonl")
        ),
        "evaluate --listening": Job(lambda out: (*asked, *listening, "--out", out), same=("listening.jsonl",)),
    }


def _preparations(inputs: Inputs) -> dict[str, Job]:
    folder, root = inputs.folder, ("--audio-root", inputs.audio)
    data, media = ("--data", inputs.world.data, *root), ("--media", folder / "media", "--workers", 1)
    sources: Mapping[str, Sequence[object]] = {
        "mmau": data,
        "jsonl": ("--format", "ms_swift", "--data", folder / "swift.jsonl", *root),
        "audiomcq": ("--data", folder / "mcq.jsonl", *root),
        "arc": ("--data", folder / "arc.jsonl"),
        "avqa": ("--annotations", folder / "avqa.json", *media),
        "vggsound": ("--list", folder / "vggsound.csv", *media),
        "audiosetcaps": ("--captions", folder / "captions.csv", "--answers", folder / "answers.csv"),
    }

    def prepared(name: str, words: Sequence[object]) -> Job:
        return Job(lambda out: ("prepare", name, *words, "--out", out), same=("manifest.jsonl", "card.md"))

    manifest = folder / "prepared/manifest.jsonl"
    exported = ("prepare", "export", manifest, "--format", "trl", *root)
    checked = ("prepare", "check", f"{manifest}:{inputs.audio}", f"{inputs.world.test}:{inputs.audio}")
    return {
        **{f"prepare {name}": prepared(name, words) for name, words in sources.items()},
        "prepare export": Job(lambda out: (*exported, "--out", out / "trl.jsonl"), same=("trl.jsonl",)),
        "prepare check": Job(lambda out: (*checked, "--out", out / "shared.jsonl"), same=("shared.jsonl",)),
        "prepare review": Job(
            lambda out: ("prepare", "review", out / "manifest.jsonl"),
            same=("review.jsonl", "card.md"),
            before=lambda out: _copy(folder / "prepared", out),
        ),
    }


def _generations(inputs: Inputs) -> dict[str, Job]:
    folder, manifest = inputs.folder, ("--manifest", inputs.folder / "prepared/manifest.jsonl")
    reasons = ("generate", "reasoning", *manifest, "--captions", folder / "facts.jsonl", *SERVED)
    heard = ("generate", "captions", *manifest, "--audio-root", inputs.audio, "--endpoint", inputs.url, "--model", "m")

    def sent(words: Sequence[object]) -> Job:
        return Job(
            lambda out: (*words, "--out", out, "--batch-requests", out / "requests.jsonl"), same=("requests.jsonl",)
        )

    return {
        "generate questions": sent(("generate", "questions", folder / "questions.yaml")),
        "generate reasoning": sent(reasons),
        "generate captions": Job(lambda out: (*heard, "--out", out), same=("captions.jsonl",)),
    }


def _others(inputs: Inputs) -> dict[str, Job]:
    folder = inputs.folder
    scored = ("score", folder / "predictions.json", "--benchmark", "mmau", "--data", folder / "mmau.json")
    assembled = ("assemble", "--encoder", folder / "whisper", "--language-model", folder / "qwen2", "--window-s", 6)
    return {
        "assemble": Job(lambda out: (*assembled, "--out", out / "both"), same=("both/model.safetensors",)),
        "tiny": Job(lambda out: ("tiny", "--out", out / "tiny"), same=("tiny/model.safetensors",)),
        "export": Job(
            lambda out: ("export", folder / "full", "--out", out / "model"), same=("model/model.safetensors",)
        ),
        "export --adapter": Job(
            lambda out: ("export", folder / "lora", "--adapter", "--out", out / "a"), same=("a/adapter_config.json",)
        ),
        "report": Job(lambda out: ("report", folder / "full", "--out", out / "report.html"), same=("report.html",)),
        "score": Job(lambda out: (*scored, "--submission", out / "submission.json"), same=("submission.json",)),
    }


def _copy(folder: Path, out: Path) -> None:
    shutil.copytree(folder, out)


NAMES = (
    *("train", "sft", "extend", "demo", "evaluate", "evaluate with samples", "evaluate --listening"),
    *(f"prepare {name}" for name in ("mmau", "jsonl", "audiomcq", "arc", "avqa", "vggsound", "audiosetcaps")),
    *(f"prepare {name}" for name in ("export", "check", "review")),
    *(f"generate {name}" for name in ("questions", "reasoning", "captions")),
    *("assemble", "tiny", "export", "export --adapter", "report", "score"),
)
"""The names of `jobs`."""
