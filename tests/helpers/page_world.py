"""The folder in which a reader types the commands of a page: a fresh clone with stand-ins for what one downloads.

A tiny checkpoint lies where a page names a published one, and a few made sounds are the data. What a page takes as
already there, such as a trained run, is copied from one that was trained here.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import harness_logs
import yaml
from benchmark_files import adqa_records, airbench_records, mmar_records, mmau_records, write
from command_line import harken
from downloaded_files import QUESTION, write_downloads
from evaluation_folders import MMAU_ORIGINAL, write_evaluation_folder
from made_media import tone, write_wav
from small_parts import write_language_model, write_whisper
from tiny_models import noise

from harken.benchmarks.registry import find_benchmark
from harken.data.demo_set import write_demo_set
from harken.models.tiny_checkpoint import write_tiny

ROOT = Path(__file__).parents[2]
SMALL = {
    "train": ["grpo.steps=2", "grpo.prompts_per_step=2", "grpo.max_completion_tokens=4", "logging.every=1"],
    "sft": ["sft.steps=2", "sft.prompts_per_step=2", "grpo.max_completion_tokens=4", "logging.every=1"],
}
"""Settings over a page's training: two steps of small batches."""


def write_world(folder: Path) -> Path:
    """Write the clone, the downloads and three trained runs; gives the clone's folder, in which commands are typed."""
    clone = folder / "harken"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    write_downloads(clone, 6)
    write_benchmark(clone / "data" / "mmau", "mmau-test-mini.json")
    write_benchmark(folder / "shared" / "realaqa", "test.json")
    for name in ("clip.wav", "clips/c1.wav"):
        write_wav(clone / name, tone(440, 16_000, 1.0))
    texts = ["What is heard in the audio?", *QUESTION["multi_choice"]]
    write_tiny("qwen2_5_omni", clone / "Qwen" / "Qwen2.5-Omni-7B", texts, 0)
    return clone


def write_benchmark(folder: Path, name: str) -> None:
    """24 questions to train on and four to measure, as MMAU has them; every second one is hard, with transcripts."""
    write_demo_set(folder, seed=0, n_train=24, n_test=4)
    for made, wanted in (("train.json", "train.json"), ("test.json", name)):
        records = json.loads((folder / made).read_text(encoding="utf-8"))
        (folder / made).unlink()
        more = [{"transcript": "a bell", "difficulty": ("easy", "hard")[place % 2]} for place in range(len(records))]
        written = [record | others for record, others in zip(records, more, strict=True)]
        (folder / wanted).write_text(json.dumps(written))


def train_runs(clone: Path) -> None:
    """A finished run and one with LoRA, below kept/; the working folder is the clone."""
    words = ["prepare", "avqa", "--annotations", "train_qa.json", "--media", "videos", "--out", "data/avqa"]
    commands = [words]
    for recipe, name in (("omni_r1_avqa", "mine"), ("omni_r1_avqa_lora", "lora")):
        commands.append(["train", recipe, "--out", f"kept/{name}", *settings("train"), "--quiet"])
    for command in commands:
        done = harken(*command)
        assert done.code == 0, (command, done.out, done.err)
    shutil.move(clone / "data" / "avqa", clone / "kept" / "avqa")


def settings(command: str) -> list[str]:
    return [word for setting in SMALL[command] for word in ("--set", setting)]


def put(clone: Path, *names: str, kept: str = "mine") -> None:
    """Put a trained run under each of these names below runs/, with the data that it was trained on."""
    for name in names:
        shutil.copytree(clone / "kept" / kept, clone / "runs" / name)
    shutil.copytree(clone / "kept" / "avqa", clone / "data" / "avqa", dirs_exist_ok=True)


def for_adqa(clone: Path) -> None:
    """Four questions to train on, and two sets of which one hides its answers."""
    [record] = (clone / "AudioMCQ" / "data.jsonl").read_text(encoding="utf-8").splitlines()
    write(clone / "AudioMCQ" / "data.jsonl", [json.loads(record) | {"id": f"a{number}"} for number in range(4)])
    for folder, name, hidden in (("DCASE2026-Task5-DevSet", "dev", False), ("ADQA-Bench", "eval", True)):
        records = adqa_records(4)
        for place, record in enumerate(records):
            write_wav(clone / folder / record["audio_path"], noise(1.0, place))
        write(clone / folder / f"{name}.jsonl", [record | ({"answer": None} if hidden else {}) for record in records])


def for_benchmarks(clone: Path) -> None:
    """Predictions and logs of other programs, on the records of whole benchmarks."""
    put(clone, "omni-r1-avqa")
    records = mmau_records()
    mmau = write(clone / "data" / "mmau" / "mmau-test-mini.json", records)
    hidden = [{**record, "answer": None} for record in records]
    write(clone / "data" / "mmau" / "mmau-test.json", hidden)
    guesses = [{**record, "model_output": record["choices"][0]} for record in records]
    write(clone / "predictions.json", guesses)
    questions, _ = find_benchmark("mmau").read(mmau, None)
    log = harness_logs.lmms_eval(questions, lambda *_: "A", "mmau")
    for path in ("20260806_samples_mmau_test_mini.jsonl", "logs/exported/20260806_samples_mmau_test_mini.jsonl"):
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        write(clone / path, log)
    (clone / "data" / "airbench").mkdir()
    meta = write(clone / "data" / "airbench" / "Foundation_meta.json", airbench_records())
    questions, _ = find_benchmark("airbench").read(meta, None)
    (clone / "predictions" / "mine").mkdir(parents=True)
    write(clone / "predictions/mine/airbench.jsonl", harness_logs.evalscope(questions, lambda *_: "A", "airbench"))


def for_commands(clone: Path) -> None:
    for name in ("base", "a", "b", "x/seed0/sft/eval/test", "x/seed0/grpo/eval/test"):
        write_evaluation_folder(clone / "runs" / name, name)
    write_evaluation_folder(clone / "runs" / "mmau", 0, benchmark=MMAU_ORIGINAL)


def for_data(clone: Path) -> None:
    """Files of other programs, and a test list to check against."""
    (clone / "vggsound_test.csv").write_text("BBBBBBBBBB0,7,dog barking,test\n")
    text = "<audio>What is heard? Choose from: ['a dog', 'a cat']. options: ['a dog', 'a cat']"
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": "a dog"}]
    (clone / "theirs.jsonl").write_text(json.dumps({"messages": turns, "audios": ["c1.wav"]}) + "\n")


def for_evaluation(clone: Path) -> None:
    put(clone, "omni-r1-avqa", "mine")
    (clone / "data" / "mmar").mkdir()
    records = mmar_records(4)
    write(clone / "data" / "mmar" / "MMAR-meta.json", records)
    for record in records:
        write_wav(clone / "data" / "mmar" / record["audio_path"], tone(440, 16_000, 1.0))


def for_extending(clone: Path) -> None:
    """The reward of the page on rewards, questions as that page's recipe reads them, and guesses of a benchmark's."""
    put(clone, "mine")
    page = (ROOT / "docs" / "rewards.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```python\n(# my_rewards\.py\n.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    (clone / "my_rewards.py").write_text(code)
    record = {"text": "Which animal is heard?", "choices": ["a dog", "a cat"], "answer": 0, "audio": "clip.wav"}
    (clone / "questions.jsonl").write_text("".join(json.dumps({"id": f"q{i}", **record}) + "\n" for i in range(4)))
    for number in (1, 2):
        write_wav(clone / f"b{number}.wav", tone(330 * number, 16_000, 1.0))
    (clone / "guesses.json").write_text(json.dumps([{"name": "b1", "guess": "a seal"}]))


def for_generate(clone: Path) -> None:
    fact = {"id": "c1", "audio": "c1.wav", "caption": "Rain falls on a roof.", "sounds": "rain"}
    (clone / "captions.jsonl").write_text(json.dumps(fact) + "\n")
    endpoint = {"base_url": "http://127.0.0.1:9/v1", "model": "m"}
    (clone / "recipe.yaml").write_text(yaml.safe_dump({"captions": "captions.jsonl", "endpoint": endpoint}))


def for_judges(clone: Path) -> None:
    """A recipe with a judge."""
    endpoint = {"base_url": "http://127.0.0.1:8000/v1", "model": "judge"}
    recipe = {"extends": "audio_thinker_model_e", "judge": {"endpoint": endpoint}}
    (clone / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def for_results(clone: Path) -> None:
    for name in ("realaqa-omni", "realaqa-qwen2-audio"):
        for seed in (0, 1):
            for stage in ("sft", "grpo"):
                write_evaluation_folder(clone / "runs" / name / f"seed{seed}" / stage / "eval" / "test", seed)


def for_small(clone: Path) -> None:
    """Parts as narrow as those of the page, with two layers."""
    write_whisper(clone / "runs" / "small" / "parts" / "whisper-base")
    write_language_model(clone / "runs" / "small" / "parts" / "smollm2", "llama")
    write_whisper(clone / "openai" / "whisper-small", positions=1500)
    write_language_model(clone / "Qwen" / "Qwen2.5-0.5B-Instruct", "qwen2")


def for_terminal(clone: Path) -> None:
    put(clone, "mine")
    put(clone, "lora", kept="lora")
    (clone / "recipe.yaml").write_text("extends: omni_r1_avqa\nname: mine-too\n")


def for_serving(clone: Path) -> None:
    put(clone, "omni-r1-avqa")
    put(clone, "lora", kept="lora")


EXTRAS: dict[str, Callable[[Path], None]] = {
    "docs/adqa.md": for_adqa,
    "docs/benchmarks.md": for_benchmarks,
    "docs/command_line.md": for_commands,
    "docs/data.md": for_data,
    "docs/evaluation.md": for_evaluation,
    "docs/extending.md": for_extending,
    "docs/generate.md": for_generate,
    "docs/hardware.md": lambda clone: put(clone),
    "docs/judges.md": for_judges,
    "docs/report.md": lambda clone: put(clone, "mine", "other"),
    "docs/results.md": for_results,
    "docs/resume.md": lambda clone: put(clone, "mine"),
    "docs/serving.md": for_serving,
    "docs/small.md": for_small,
    "docs/terminal.md": for_terminal,
}
"""What a page takes as already there, beside the downloads."""


def answer_batch(requests: Path, results: Path) -> None:
    """Write what a provider sends back for a file of requests for questions."""
    message = {"role": "assistant", "content": json.dumps(QUESTION)}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    rows = [json.loads(line) for line in requests.read_text(encoding="utf-8").splitlines()]
    sent = [{"custom_id": row["custom_id"], "response": {"status_code": 200, "body": body}} for row in rows]
    results.write_text("".join(json.dumps(row) + "\n" for row in sent))
