"""A folder with a file of every kind that harken reads, and for each file a command that reads it.

`make_fuzz_world` writes the folder with harken's own commands. A `Target` names a file, its kind, and the words of the
command; the command may change what it works on, and then runs on a copy.
"""

import io
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from benchmark_files import mmau_records, write
from cli_world import make_world
from command_line import CommandResult, harken
from evaluation_folders import MMAU_ORIGINAL
from generate_cases import write_captions
from small_parts import write_language_model, write_whisper

from harken.prepare import clip_extraction
from harken.system.json_lines import write_json_lines
from harken.training.run_inputs import append_history

HARD_LINKED = 100_000
"""Files of this size or more are linked into a copy; harken replaces them whole and never changes them in place."""


@dataclass(frozen=True)
class Target:
    """One file to damage.

    Attributes:
        file: its path in the world.
        kind: json, jsonl, yaml or other.
        words: the command; `{name}` is the path of `name` in the world.
        writes: the folder of the world that the command changes; "" where it changes nothing.
        weight: how often it is drawn.
        wrong: exit codes beside 0 and 2 that the command may have.
    """

    file: str
    kind: str
    words: tuple[str, ...]
    writes: str = ""
    weight: int = 1
    wrong: tuple[int, ...] = ()


def in_process(function: Callable[[Any], Any], items: Any, workers: int) -> list[Any]:
    return [function(item) for item in items]


def decode_here() -> None:
    """Decode clips in this process: starting others takes longer than a command."""
    clip_extraction.map_in_processes = in_process


def run(*words: object) -> None:
    result = harken(*words)
    assert result.code == 0, (words, result)


def make_fuzz_world(root: Path) -> None:
    """Write everything that the targets name."""
    decode_here()
    world = make_world(root)
    values = yaml.safe_load(world.recipe.read_text())
    values["logging"] = {"every": 1, "evaluate_every": 2, "checkpoint_every": 1}
    world.recipe.write_text(yaml.safe_dump(values))
    run("train", world.recipe, "--out", root / "run", "--set", "logging.trackers=[]")
    data = ("--data", world.test, "--max-completion-tokens", 2)
    run("evaluate", "--model", root / "run", *data, "--out", root / "run/eval/test")
    run("evaluate", "--model", world.model, *data, "--out", root / "run/eval/before")
    run("evaluate", "--model", world.model, *data, "--samples", 2, "--temperature", 1, "--out", root / "sampled")
    _stop_evaluation(root)
    append_history(root / "run", "resumed with changes", ["recipe: seed: 1 in the folder, 2 now"])
    summary = root / "run/eval/test/summary.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"benchmark": MMAU_ORIGINAL}))
    lora = ["--set", "model.lora={rank: 2}", "--set", "logging.trackers=[]", "--set", "sft.steps=1"]
    run("sft", world.recipe, "--out", root / "lora", *lora)
    run("prepare", "mmau", "--data", world.data, "--audio-root", world.data.parent, "--out", root / "prepared")
    write_whisper(root / "whisper")
    write_language_model(root / "qwen2", "qwen2")
    _write_small_files(root, world.data.parent)
    recipe = {"captions": str(root / "captions.jsonl"), "endpoint": {"base_url": "http://127.0.0.1:1/v1", "model": "m"}}
    (root / "questions.yaml").write_text(yaml.safe_dump({**recipe, "seed": 1}))
    run(*_filled(GENERATE, root))
    results = [_batch_result(json.loads(line)) for line in (root / "requests.jsonl").read_text().splitlines()]
    write_json_lines(root / "results.jsonl", results)
    run(*_filled(GENERATE, root), "--batch-results", root / "results.jsonl")


def _stop_evaluation(root: Path) -> None:
    """An evaluation that was stopped: its journal is there, its predictions are not."""
    stopped = shutil.copytree(root / "run/eval/before", root / "stopped")
    rows = [json.loads(line) for line in (stopped / "predictions.jsonl").read_text().splitlines()]
    answers = [{"id": row["id"], "order": 0, "answers": [[row["completion"], 2, row["ended"], ""]]} for row in rows]
    write_json_lines(stopped / "journal.jsonl", answers)
    for name in ("summary.json", "predictions.jsonl"):
        (stopped / name).unlink()


def _write_small_files(root: Path, data: Path) -> None:
    manifest = root / "prepared/manifest.jsonl"
    decision = {"id": "x", "sha256": "0" * 64, "accepted": True, "note": ""}
    write_json_lines(root / "prepared/review.jsonl", [decision])
    write_captions(root / "captions.jsonl", 4)
    clips = [json.loads(line)["audio"] for line in manifest.read_text().splitlines()]
    captions = [
        {"id": f"c{i}", "audio": clip, "caption": "a dog", "sounds": "", "music": ""} for i, clip in enumerate(clips)
    ]
    write_json_lines(root / "clip_captions.jsonl", captions)
    records = mmau_records(20)
    write(root / "mmau.json", records)
    write(root / "predictions.json", [{**record, "model_output": record["answer"]} for record in records])
    arc = {
        "id": "a1",
        "question": "What is hot?",
        "choices": {"text": ["fire", "ice"], "label": ["A", "B"]},
        "answerKey": "A",
    }
    write_json_lines(root / "arc.jsonl", [{**arc, "id": f"a{i}"} for i in range(5)])
    choice = {
        "source_dataset": "x",
        "question_type": "sound",
        "question": "What?",
        "choices": ["a", "b"],
        "answer": "a",
    }
    write_json_lines(root / "mcq.jsonl", [{**choice, "id": i, "audio_path": clip} for i, clip in enumerate(clips)])
    (root / "vggsound.csv").write_text("aBcD3fGh1jK,30,dog barking,train\nlMnOp4rStuV,10,cat,test\n")
    (root / "captions.csv").write_text("id,caption\nYabcdefghijk,A dog barks.\nYlmnopqrstuv,A cat.\n")
    (root / "answers.csv").write_text("id,question,answer\nYabcdefghijk,What?,dog\n")
    avqa = {"id": 1, "video_name": "aBcD3fGh1jK_000030", "question_text": "What?", "multi_choice": ["a", "b", "c", "d"]}
    avqa |= {"video_id": 1, "answer": 0, "question_relation": "Sound", "question_type": "Which"}
    write(root / "avqa.json", [{**avqa, "id": i} for i in range(4)])
    run("prepare", "export", manifest, "--format", "ms_swift", "--out", root / "swift.jsonl", "--audio-root", data)
    run("prepare", "export", manifest, "--format", "trl", "--out", root / "trl.jsonl", "--audio-root", data)
    clip = next((data / "audio").glob("*.wav"))
    (root / "media").mkdir()
    for name in ("aBcD3fGh1jK_000030", "lMnOp4rStuV_000010"):
        shutil.copy(clip, root / "media" / f"{name}.wav")
    (root / "prompt.txt").write_text("{question}\n{choices}\n")


def _batch_result(request: dict) -> dict:
    text = json.dumps({"question_text": "What?", "multi_choice": ["a", "b", "c", "d"], "answer": 0})
    body = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    return {"custom_id": request["custom_id"], "response": {"status_code": 200, "body": body}}


def _filled(words: tuple[str, ...], root: Path) -> list[str]:
    return [word.replace("{", f"{root}/").replace("}", "") for word in words]


GENERATE = ("generate", "questions", "{questions.yaml}", "--out", "{generated}", "--batch-requests", "{requests.jsonl}")
REPORT = ("report", "{run}", "--out", "{report.html}")
COMPARE = ("compare", "{run/eval/before}", "{run/eval/test}")
SCORE = ("score", "{predictions.json}", "--benchmark", "mmau", "--data", "{mmau.json}")
DRY = ("train", "{recipe.yaml}", "--dry-run")
RATED = (*DRY, "--set", "data.order=pass_rate", "--set", "data.pass_rates={sampled/pass_rates.jsonl}")
RESUME = ("train", "--resume", "{run}")
EXTEND = ("extend", "{run}", "--steps", "3")
EVALUATE = ("evaluate", "--model", "{tiny}", "--data", "{data/test.json}", "--max-completion-tokens", "2", "--out")
STOPPED = (*EVALUATE, "{stopped}")
DOCTOR = ("doctor", "--model", "{tiny}")
EXPORT = ("export", "{run}", "--out", "{exported}")
EXPORT_LORA = ("export", "{lora}", "--out", "{exported}", "--adapter")
ASSEMBLE = ("assemble", "--encoder", "{whisper}", "--language-model", "{qwen2}", "--window-s", "6", "--out", "{new}")
REVIEW = ("prepare", "review", "{prepared/manifest.jsonl}")
AUDIO = ("--audio-root", "{data}")
PREPARED = ("--out", "{new}")
TO_JSONL = ("prepare", "jsonl", *AUDIO, *PREPARED, "--data")
AVQA = ("prepare", "avqa", "--annotations", "{avqa.json}", "--media", "{media}", *PREPARED)
CAPTIONS = ("prepare", "audiosetcaps", "--captions", "{captions.csv}", "--answers", "{answers.csv}", *PREPARED)
REASONING = ("generate", "reasoning", "--manifest", "{prepared/manifest.jsonl}", "--captions", "{clip_captions.jsonl}")
SERVED = ("--endpoint", "http://127.0.0.1:1/v1", "--model", "m", "--batch-requests", "{requests.jsonl}", *PREPARED)
TEST = "run/eval/test"
CHECKPOINT = "run/checkpoints/step_000002"

TARGETS = (
    *(Target(f"run/{name}.jsonl", "jsonl", REPORT, "", 4) for name in ("metrics", "history", "rollouts/step_000001")),
    *(Target(f"run/{name}.json", "json", REPORT, "", 3) for name in ("environment", "data")),
    Target("run/config.yaml", "yaml", REPORT, "", 3),
    *(
        Target(f"{TEST}/{name}", kind, REPORT, "", 4)
        for name, kind in (("summary.json", "json"), ("config.yaml", "yaml"))
    ),
    Target(f"{TEST}/predictions.jsonl", "jsonl", REPORT, "", 6),
    Target(f"{TEST}/predictions.jsonl", "jsonl", COMPARE, "", 12),
    Target(f"{TEST}/summary.json", "json", ("compare", "{run/eval/test}", "--published", "omni-r1-v2:I"), "", 8),
    Target("predictions.json", "json", SCORE, "", 12),
    Target("mmau.json", "json", SCORE, "", 8),
    Target("recipe.yaml", "yaml", DRY, "", 6),
    Target("recipe.yaml", "yaml", ("recipes", "{recipe.yaml}", "--resolved"), "", 12),
    Target("recipe.yaml", "yaml", ("plan", "{recipe.yaml}", "--gpu-memory", "80"), "", 2),
    Target("data/train.json", "json", DRY, "", 4),
    Target("recipe.yaml", "yaml", ("sft", "{recipe.yaml}", "--dry-run"), "", 3),
    Target("lora/metrics.jsonl", "jsonl", ("sft", "--resume", "{lora}"), "lora", 1),
    Target("prompt.txt", "other", (*DRY, "--set", "prompt.prompt_file={prompt.txt}"), "", 1),
    Target("sampled/pass_rates.jsonl", "jsonl", RATED, "", 3),
    *(
        Target(f"run/{name}", kind, RESUME, "run", 2)
        for name, kind in (("inputs.json", "json"), ("config.yaml", "yaml"))
    ),
    *(Target(f"run/{name}.jsonl", "jsonl", RESUME, "run", 2) for name in ("clips", "metrics", "history")),
    *(Target(f"run/{name}.json", "json", EXTEND, "run", 3) for name in ("inputs", "data", "environment")),
    Target("run/config.yaml", "yaml", EXTEND, "run", 3),
    Target("run/history.jsonl", "jsonl", EXTEND, "run", 2),
    Target(f"{CHECKPOINT}/trainer/state.json", "json", RESUME, "run"),
    *(Target(f"{CHECKPOINT}/trainer/{name}.pt", "other", RESUME, "run") for name in ("optimizer", "random")),
    Target("stopped/journal.jsonl", "jsonl", STOPPED, "stopped", 2),
    Target("stopped/environment.json", "json", STOPPED, "stopped", 3),
    Target("stopped/config.yaml", "yaml", STOPPED, "stopped", 3),
    Target("run/eval/before/summary.json", "json", (*EVALUATE, "{run/eval/before}"), "run", 3),
    Target("data/test.json", "json", (*EVALUATE, "{new}"), "", 1),
    *(
        Target(f"tiny/{name}.json", "json", DOCTOR, "", 1, (1,))
        for name in ("config", "generation_config", "tokenizer")
    ),
    *(
        Target(f"tiny/{name}.json", "json", DRY, "", 2)
        for name in ("config", "tokenizer_config", "preprocessor_config")
    ),
    Target("tiny/chat_template.jinja", "other", DRY, "", 3),
    Target("tiny/model.safetensors", "other", DOCTOR, "", 1, (1,)),
    *(
        Target(f"{CHECKPOINT}/{name}", kind, EXPORT, "", 1)
        for name, kind in (("config.json", "json"), ("model.safetensors", "x"))
    ),
    Target("run/config.yaml", "yaml", EXPORT, "", 2),
    *(Target(f"{part}/config.json", "json", ASSEMBLE, "", 2) for part in ("whisper", "qwen2")),
    Target("qwen2/tokenizer_config.json", "json", ASSEMBLE, "", 2),
    Target("whisper/model.safetensors", "x", ASSEMBLE, "", 1),
    Target("lora/checkpoints/step_000001/adapter_config.json", "json", EXPORT_LORA, "", 2),
    Target("lora/checkpoints/step_000001/adapter_config.json", "json", ("doctor", "--model", "{lora}"), "", 1, (1,)),
    Target("lora/checkpoints/step_000001/adapter_model.safetensors", "x", ("doctor", "--model", "{lora}"), "", 1, (1,)),
    Target("prepared/manifest.jsonl", "jsonl", REVIEW, "prepared", 6),
    Target("prepared/review.jsonl", "jsonl", REVIEW, "prepared", 8),
    Target("prepared/card.md", "other", REVIEW, "prepared", 2),
    Target(
        "prepared/manifest.jsonl",
        "jsonl",
        ("prepare", "export", "{prepared/manifest.jsonl}", *AUDIO, "--format", "trl", "--out", "{trl_new.jsonl}"),
        "",
        8,
    ),
    Target(
        "prepared/manifest.jsonl",
        "jsonl",
        ("prepare", "check", "{prepared/manifest.jsonl}:{data}", "{data/test.json}:{data}"),
        "",
        3,
    ),
    Target("data/train.json", "json", ("prepare", "mmau", "--data", "{data/train.json}", *AUDIO, *PREPARED), "", 2),
    Target("mcq.jsonl", "jsonl", ("prepare", "audiomcq", "--data", "{mcq.jsonl}", *AUDIO, *PREPARED), "", 1),
    Target("arc.jsonl", "jsonl", ("prepare", "arc", "--data", "{arc.jsonl}", *PREPARED), "", 8),
    Target("avqa.json", "json", AVQA, "", 8),
    Target(
        "vggsound.csv",
        "other",
        ("prepare", "vggsound", "--list", "{vggsound.csv}", "--media", "{media}", *PREPARED),
        "",
        8,
    ),
    *(Target(f"{name}.csv", "other", CAPTIONS, "", 4) for name in ("captions", "answers")),
    Target("swift.jsonl", "jsonl", (*TO_JSONL, "{swift.jsonl}", "--format", "ms_swift"), "", 4),
    Target("trl.jsonl", "jsonl", (*TO_JSONL, "{trl.jsonl}", "--format", "trl"), "", 4),
    Target("captions.jsonl", "jsonl", GENERATE, "generated", 6),
    Target("questions.yaml", "yaml", GENERATE, "generated", 6),
    Target("generated/replies.jsonl", "jsonl", GENERATE, "generated", 8),
    Target("results.jsonl", "jsonl", (*GENERATE, "--batch-results", "{results.jsonl}"), "generated", 8),
    Target("clip_captions.jsonl", "jsonl", (*REASONING, *SERVED), "", 4),
    Target("prepared/manifest.jsonl", "jsonl", (*REASONING, *SERVED), "", 3),
)
"""Every file of the world with the commands that read it."""

OUTPUTS = ("new", "exported", "report.html", "requests.jsonl", "trl_new.jsonl")
"""What commands write that is no part of the world."""


def words_of(target: Target, root: Path) -> list[str]:
    """The command; of several braces in a word each is a path."""
    return _filled(target.words, root)


def copy_of(folder: Path, to: Path) -> None:
    """A copy in which large files are links."""

    def link_or_copy(source: str, target: str) -> None:
        if os.path.getsize(source) >= HARD_LINKED:
            os.link(source, target)
        else:
            shutil.copyfile(source, target)

    shutil.copytree(folder, to, copy_function=link_or_copy)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


ENDED = "run/eval/before/summary.json"
"""With this file whole, its command ends with exit code 2: an evaluation that is finished is not done again."""


def run_on(target: Target, root: Path, change: Callable[[Path], None]) -> CommandResult:
    """Run the command of a target with its file changed, and put everything back as it was."""
    file = root / target.file
    before = file.read_bytes()
    if target.writes:
        remove(root / "kept")
        copy_of(root / target.writes, root / "kept")
    stdin, sys.stdin = sys.stdin, io.StringIO("aaq")
    try:
        change(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return harken(*words_of(target, root))
    finally:
        sys.stdin = stdin
        if target.writes:
            remove(root / target.writes)
            (root / "kept").rename(root / target.writes)
        if not target.writes or not file.is_relative_to(root / target.writes):
            file.write_bytes(before)


def remove_outputs(root: Path) -> None:
    for output in OUTPUTS:
        remove(root / output)


def check_world(root: Path) -> None:
    """Raises AssertionError where a command fails although its file is whole: damages of that file would try little."""
    for target in TARGETS:
        result = run_on(target, root, lambda file: None)
        assert (result.code == 0) != (target.file == ENDED), (target, result)
        remove_outputs(root)
