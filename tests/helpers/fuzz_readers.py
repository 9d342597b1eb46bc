"""The readers of harken, each with a whole file to damage: what a reader gives back accounts for every record.

A reader may raise HarkenError and nothing else. Of a file of records, lines that are not blank = kept + rejected.
"""

import json
import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from benchmark_files import RECORDS
from damage import damaged

from harken.benchmarks import BENCHMARKS
from harken.benchmarks.registry import find_benchmark
from harken.config import load_any_recipe
from harken.data.curriculum import read_pass_rates
from harken.data.manifest import read_manifest
from harken.data.records import read_records
from harken.errors import HarkenError
from harken.export.card_header import read_base_header
from harken.export.weights import _shards
from harken.generate.clip_facts import ClipFacts, ClipFactsFile
from harken.models.checkpoint_json import read_checkpoint_json
from harken.models.fit_of_weights import read_shapes
from harken.prepare.audiosetcaps_rows import answer_rows, caption_rows
from harken.prepare.avqa import avqa_draft
from harken.prepare.clip_lists import vggsound_clips
from harken.prepare.filters import Filters
from harken.prepare.leak_check_sets import compared_records
from harken.prepare.review import read_decisions
from harken.prepare.source_records import read_source
from harken.results.beside_paper import read_summary
from harken.results.compare import compare_folders
from harken.results.evaluation_rows import read_evaluation_rows
from harken.results.listening import read_mode
from harken.results.prediction_file import read_prediction_file
from harken.system import run_files
from harken.system.json_lines import read_json_lines
from harken.system.reply_cache import ReplyCache
from harken.training.run_inputs import read_inputs
from harken.types import Rejected


@dataclass(frozen=True)
class Reader:
    """A reader and the file of the world that it is tried on."""

    name: str
    file: str
    kind: str
    read: Callable[[Path], Any]
    accounts: bool = False


def _rows(name: str, file: str) -> Reader:
    return Reader(f"rows {name}", file, "jsonl", lambda path: run_files.read_rows(path, getattr(run_files, name)))


def _object(name: str, file: str) -> Reader:
    return Reader(f"object {name}", file, "json", lambda path: run_files.read_object(path, getattr(run_files, name)))


def _in_folder(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    return lambda path: read(path.parent)


def _clip_facts(path: Path) -> tuple[list[ClipFacts], list[Rejected]]:
    file = ClipFactsFile(path)
    return list(file.clips), list(file.rejected)


def _cache(path: Path) -> int:
    cache = ReplyCache(path)
    cache.close()
    return 0


def _benchmark(name: str) -> Reader:
    return Reader(f"benchmark {name}", f"made/{name}.jsonl", "jsonl", find_benchmark(name).read, accounts=True)


READERS = (
    _rows("METRICS", "run/metrics.jsonl"),
    _rows("PREDICTIONS", "run/eval/test/predictions.jsonl"),
    _rows("JOURNAL", "stopped/journal.jsonl"),
    _rows("HISTORY", "run/history.jsonl"),
    _rows("CLIPS", "run/clips.jsonl"),
    _rows("REPLIES", "generated/replies.jsonl"),
    _rows("PASS_RATES", "sampled/pass_rates.jsonl"),
    _object("SUMMARY", "run/eval/test/summary.json"),
    _object("COUNTS", "run/data.json"),
    _object("INPUTS", "run/inputs.json"),
    _object("EVALUATION_ENVIRONMENT", "run/eval/test/environment.json"),
    _object("TRAINER_STATE", "run/checkpoints/step_000002/trainer/state.json"),
    Reader("JSON lines", "run/rollouts/step_000001.jsonl", "jsonl", read_json_lines),
    Reader("evaluation rows", "run/eval/test/predictions.jsonl", "jsonl", _in_folder(read_evaluation_rows)),
    Reader("comparison", "run/eval/test/predictions.jsonl", "jsonl", lambda p: compare_folders(p.parent, p.parent)),
    Reader("audio mode", "sampled/pass_rates.jsonl", "jsonl", _in_folder(read_mode)),
    Reader("summary beside a paper", "run/eval/test/summary.json", "json", _in_folder(read_summary)),
    Reader("inputs", "run/inputs.json", "json", _in_folder(read_inputs)),
    Reader("recipe", "recipe.yaml", "yaml", load_any_recipe),
    Reader("recipe of an evaluation", "run/eval/test/config.yaml", "yaml", load_any_recipe),
    Reader("recipe of a run", "run/config.yaml", "yaml", load_any_recipe),
    Reader("recipe of questions", "questions.yaml", "yaml", load_any_recipe),
    Reader("records", "data/train.json", "json", read_records),
    Reader("records of lines", "prepared/manifest.jsonl", "jsonl", read_records, accounts=True),
    Reader("manifest", "prepared/manifest.jsonl", "jsonl", read_manifest, accounts=True),
    Reader("pass rates", "sampled/pass_rates.jsonl", "jsonl", read_pass_rates),
    Reader("clip facts", "captions.jsonl", "jsonl", _clip_facts, accounts=True),
    Reader("decisions", "prepared/review.jsonl", "jsonl", read_decisions),
    Reader("AVQA", "avqa.json", "json", lambda path: avqa_draft(path, path.parent, Filters())),
    Reader("VGGSound", "vggsound.csv", "other", lambda path: list(vggsound_clips(path))),
    Reader("captions", "captions.csv", "other", lambda path: list(caption_rows(path))),
    Reader("answers", "answers.csv", "other", lambda path: list(answer_rows(path))),
    Reader("compared records", "mmau.json", "json", lambda path: list(compared_records(path))),
    Reader("source", "arc.jsonl", "jsonl", lambda path: list(read_source(path).records)),
    Reader("predictions", "predictions.json", "json", lambda path: read_prediction_file(path, *_mmau(), path)),
    Reader("stored replies", "generated/replies.jsonl", "jsonl", _cache),
    Reader("config of a checkpoint", "tiny/config.json", "json", read_checkpoint_json),
    Reader("headers of weights", "tiny/model.safetensors", "other", _in_folder(read_shapes)),
    Reader("index of shards", "made/model.safetensors.index.json", "json", _in_folder(_shards)),
    Reader("card of a base", "made/README.md", "other", _in_folder(read_base_header)),
    *(_benchmark(name) for name in BENCHMARKS),
)
"""Every reader. `accounts` marks those that return (kept, rejected) of lines."""


def _mmau() -> tuple[Any, Any]:
    from harken.types import Question

    return find_benchmark("mmau"), [Question(f"m{i}", "What?", ("a", "b"), 0, None) for i in range(20)]


_PREDICTION = {
    **dict.fromkeys(("clip", "task", "difficulty", "completion", "reason"), "a dog"),
    **{"question": "What?", "choices": ["a dog", "a cat"], "answer": "a dog", "choice": "a dog", "correct": True},
}
_ESTIMATE = {"mean": 0.5, "low": 0.1, "high": 0.9, "n": 3, "clusters": 3}
_RECIPE = {"name": "a", "model": {"path": "m"}, "data": {"train": [{"file": "q.json"}]}, "grpo": {"steps": 3}}
_MADE: dict[str, Any] = {
    "metrics.jsonl": [{"step": step, "loss/total": 0.5, "reward/mean": None} for step in range(1, 4)],
    "predictions.jsonl": [{"id": f"q{i}", **_PREDICTION} for i in range(3)],
    "journal.jsonl": [{"id": "q", "order": 0, "answers": [["a dog", 2, True, ""]]}],
    "history.jsonl": [{"time": "2026-01-01", "step": 1, "event": "extended", "changes": ["a"]}],
    "clips.jsonl": [{"file": "a.wav", "size": 3, "mtime_ns": 17}],
    "replies.jsonl": [{"key": "k", "text": "t", "ended": True, "tokens": [1, 2]}],
    "pass_rates.jsonl": [{"id": f"q{i}", "pass_rate": i / 2} for i in range(3)],
    "summary.json": {"accuracy": {"all": _ESTIMATE}, "audio": "clip", "n": 3},
    "data.json": dict.fromkeys(("records", "kept", "rejected", "trained_on", "development"), 3),
    "inputs.json": {"loop": "grpo", "recipe": _RECIPE, "files": {"a": "0"}, "base": {}, "versions": {"torch": "2"}},
    "environment.json": {"data_sha256": "0", "packages": {"torch": "2"}},
    "state.json": {"step": 2},
    "step_000001.jsonl": [{"id": "q", "completion": "a dog", "reward": 1.0}],
    "recipe.yaml": _RECIPE,
    "questions.yaml": {"captions": "c.jsonl", "endpoint": {"base_url": "http://127.0.0.1:1/v1", "model": "m"}},
    "config.yaml": {"model": "m", "data": {"file": "q.json"}},
    "train.json": [{"id": "a", "question": "What?", "choices": ["a", "b"], "answer": "a"}],
    "manifest.jsonl": [{"id": f"q{i}", "text": "What?", "choices": ["a", "b"], "answer": 0} for i in range(3)],
    "captions.jsonl": [{"id": "c", "audio": "a.wav", "caption": "a dog", "sounds": "", "music": ""}],
    "review.jsonl": [{"id": "x", "sha256": "0", "accepted": True, "note": ""}],
    "avqa.json": [{"id": 1, "video_name": "abcdefghijk_000030", "question_text": "What?", "answer": 0}],
    "arc.jsonl": [{"id": "a", "question": "What?", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "A"}],
    "mmau.json": RECORDS["mmau"](6),
    "predictions.json": [{"id": f"m{i}", "model_output": "a dog"} for i in range(6)],
    "config.json": {"model_type": "qwen2_audio", "text_config": {"hidden_size": 8}},
    "model.safetensors.index.json": {"metadata": {"total_size": 3}, "weight_map": {"a": "x.safetensors"}},
}
_MADE_TEXTS = {
    "vggsound.csv": "abcdefghijk,30,dog barking,train\n",
    "captions.csv": "id,caption\nYabcdefghijk,A dog barks.\n",
    "answers.csv": "id,question,answer\nYabcdefghijk,What?,dog\n",
    "README.md": "---\nlicense: apache-2.0\nlanguage: [en]\n---\n# A model\n",
    "model.safetensors": '\x40\0\0\0\0\0\0\0{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}          \0\0\0\0',
}


def content_of(reader: Reader, root: Path) -> bytes:
    """The whole file, of the world or, where the world has none, made up."""
    file = root / reader.file
    if file.exists():
        return file.read_bytes()
    if reader.name.startswith("benchmark"):
        return as_content(RECORDS[file.stem](6), "jsonl")
    text = _MADE_TEXTS.get(file.name)
    return as_content(_MADE[file.name], reader.kind) if text is None else text.encode("latin-1")


def as_content(value: Any, kind: str) -> bytes:
    if kind == "yaml":
        return yaml.safe_dump(value).encode()
    rows = value if kind == "jsonl" and isinstance(value, list) else [value]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def try_reader(root: Path, rng: random.Random) -> tuple[str, str, str | None]:
    """Damage the file of a reader and read it, in a folder of its own. Returns as `fuzz.try_input` does."""
    reader = rng.choice(READERS)
    content = content_of(reader, root)
    # A header of safetensors is the beginning of a large file.
    name, content = damaged(content[:200_000], reader.kind, rng)
    folder = root / "readers"
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():
        left.unlink()
    file = folder / Path(reader.file).name
    file.write_bytes(content)
    if reader.name == "audio mode":
        (folder / "predictions.jsonl").write_bytes(as_content(_MADE["predictions.jsonl"], "jsonl"))
    try:
        result = reader.read(file)
    except HarkenError as error:
        named = str(folder) in str(error)
        return f"reader {reader.name}", "refused", None if named else f"{name}: names no file: {str(error)[:300]}"
    except Exception:  # noqa: BLE001 (what is looked for)
        return f"reader {reader.name}", "traceback", f"{name}: {traceback.format_exc()[-1200:]}"
    return f"reader {reader.name}", "read", f"{name}: not all records" if _lost(reader, content, result) else None


def _lost(reader: Reader, content: bytes, result: Any) -> bool:
    """Whether kept and rejected are not all lines of the file that are not blank."""
    if not reader.accounts:
        return False
    text = content.decode("utf-8").removeprefix("\ufeff")
    if text.lstrip(" \t\r\n").startswith("["):
        return False
    lines = sum(bool(line.strip(" \t\r\n")) for line in text.split("\n"))
    return len(result[0]) + len(result[1]) != lines
