"""Peak memory and CPU seconds of harken's commands on a large set: every kind of `prepare`, the leak check, the export,
batch files of `generate`, and training and evaluation on a manifest of 1,000,000 records over 10,000 clips.

    python benchmarks/data_scale.py --out runs/data-scale

The clips are sounds of one second, the model is a tiny Qwen2.5-Omni thinker. Each command is a process of its own, and
its peak memory and CPU seconds, with those of its workers, are what the operating system says. --records and --clips
set other sizes, --only runs single commands (the files that they read must be there). Results are kept in
<out>/results.json after each command. --table writes them to benchmarks/results/data_scale.json and into docs/data.md.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from harken.config import Recipe, as_yaml
from harken.models.tiny_checkpoint import write_tiny
from harken.system.environment import source_commit
from harken.system.files import write_text
from harken.system.json_lines import write_json_lines
from marked_page import between_marks

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "data_scale.json", ROOT / "docs" / "data.md"
BEGIN, END = "<!-- written by benchmarks/data_scale.py -->", "<!-- end of the table -->"
CHOICES = ["a dog", "a cat", "a door", "a bell"]
N_BENCHMARK = 100


class World:
    """The files that the commands read, below one folder: `n` records over `n_clips` clips."""

    def __init__(self, folder: Path, n: int, n_clips: int) -> None:
        self.folder, self.n, self.n_clips = folder, n, n_clips
        self.media, self.tiny = folder / "media", folder / "tiny"

    def clip(self, number: int) -> str:
        return f"Aa{number % self.n_clips:09d}_000001"

    def write(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for number in range(self.n_clips):
            _write_sound(self.media / f"{self.clip(number)}.wav", [number], 44_100)
        for name, rows in self.sources().items():
            write_json_lines(self.folder / name, rows)
        (self.folder / "list.csv").write_text("".join(f"Bb{i:09d}_000001.mp4,dog\n" for i in range(self.n)))
        _write_benchmark(self.folder / "benchmark")
        texts = [f"What is heard in part of the recording? {' '.join(CHOICES)}"]
        write_tiny("qwen2_5_omni", self.tiny, texts, seed=0)
        recipe = {
            "name": "large",
            "model": {"path": str(self.tiny)},
            "data": {"train": [{"reader": "manifest", "file": str(self.manifest), "audio_root": str(self.prepared)}]},
            "grpo": {"steps": 2, "prompts_per_step": 4, "max_completion_tokens": 4},
        }
        (self.folder / "recipe.yaml").write_text(as_yaml(Recipe.model_validate(recipe)))

    @property
    def prepared(self) -> Path:
        """What `prepare avqa` writes."""
        return self.folder / "avqa"

    @property
    def manifest(self) -> Path:
        """The large manifest, over the clips that `prepare avqa` writes."""
        return self.folder / "manifest.jsonl"

    def sources(self) -> dict[str, Iterable[dict[str, Any]]]:
        """The records of each file; no two have the same text."""
        n, clip = range(self.n), self.clip
        question, right = "What is heard in part {} of the recording?".format, lambda i: CHOICES[i % 4]
        prompt = "<audio>{} Please choose the answer from the following options: {}.".format
        avqa = {"question_relation": "Sound", "question_type": "W", "multi_choice": CHOICES}
        mmau = {"choices": CHOICES, "task": "sound", "difficulty": "easy"}
        facts = {"sounds": "a dog, rain", "speech": "", "music": ""}
        caption = "A dog barks {} times while rain falls on a roof.".format
        return {
            "avqa.jsonl": (
                {"id": i, "video_name": clip(i), "question_text": question(i), "answer": i % 4, **avqa}
                for i in range(self.n_clips)
            ),
            "ms_swift.jsonl": (
                {"messages": [{"role": "user", "content": prompt(question(i), CHOICES)}], "solution": right(i)}
                | {"audios": [f"{clip(i)}.wav"]}
                for i in n
            ),
            "r1_aqa.jsonl": (
                {"id": i, "question_text": question(i), "multi_choice": CHOICES, "answer": i % 4} for i in n
            ),
            "arc.jsonl": (
                {"id": f"a{i}", "question": question(i), "answerKey": "ABCD"[i % 4]}
                | {"choices": {"text": CHOICES, "label": list("ABCD")}}
                for i in n
            ),
            "mmau.jsonl": (
                {"id": f"m{i}", "audio_id": f"{clip(i)}.wav", "question": question(i), "answer": right(i), **mmau}
                for i in n
            ),
            "manifest.jsonl": (
                {"id": f"q{i}", "text": question(i), "choices": CHOICES, "answer": i % 4}
                | {"audio": f"audio/{clip(i)}.wav"}
                for i in n
            ),
            "captions.jsonl": ({"id": f"q{i}", "audio": f"{i}.wav", "caption": caption(i), **facts} for i in n),
            "captions_of_clips.jsonl": (
                {"id": clip(i), "audio": f"audio/{clip(i)}.wav", "caption": caption(i), **facts}
                for i in range(self.n_clips)
            ),
        }

    def commands(self) -> Iterator[tuple[str, str, Sequence[object], bool]]:
        """(name, title, words of the command, whether it is work on text alone) of each command, in order."""
        folder, n, clips = self.folder, f"{self.n:,} records", f"{self.n_clips:,} clips"
        two = ("--workers", 2)
        benchmark = folder / "benchmark" / "manifest.jsonl"
        avqa = ("prepare", "avqa", "--annotations", folder / "avqa.jsonl", "--media", self.media)
        yield "avqa", f"`prepare avqa`, {clips} of 1 s", (*avqa, "--out", self.prepared, *two), False
        yield "avqa-again", "the same command again, all clips there", (*avqa, "--out", self.prepared, *two), False
        jsonl = ("prepare", "jsonl", "--data")
        words = (*jsonl, folder / "ms_swift.jsonl", "--format", "ms_swift", "--audio-root", self.media, *two)
        title = f"`prepare jsonl --against`, {n} of ms-swift without ids, {clips}"
        yield "ms_swift", title, (*words, "--against", benchmark, "--out", folder / "o1"), False
        words = (*jsonl, folder / "r1_aqa.jsonl", "--format", "r1_aqa", "--text-only", "--out", folder / "o2")
        yield "r1_aqa", f"`prepare jsonl --text-only`, {n} of R1-AQA", words, True
        words = ("prepare", "arc", "--data", folder / "arc.jsonl", "--out", folder / "o3")
        yield "arc", f"`prepare arc`, {n}", words, True
        words = ("prepare", "mmau", "--data", folder / "mmau.jsonl", "--audio-root", self.media, *two)
        yield "mmau", f"`prepare mmau`, {n}, {clips}", (*words, "--out", folder / "o4"), False
        words = ("prepare", "vggsound", "--list", folder / "list.csv", "--media", self.media, "--index-only")
        yield "vggsound", f"`prepare vggsound --index-only`, {self.n:,} rows", (*words, "--out", folder / "o5"), True
        words = ("prepare", "check", f"{self.manifest}:{self.prepared}", benchmark, *two)
        yield "check", f"`prepare check`, {n}, {clips}, against {N_BENCHMARK}", words, False
        words = ("prepare", "export", self.manifest, "--audio-root", self.prepared, "--format", "ms_swift")
        yield "export", f"`prepare export`, {n} for ms-swift", (*words, "--out", folder / "o6.jsonl"), True
        server = ("--endpoint", "http://127.0.0.1:9/v1", "--model", "m", "--batch-requests")
        words = ("generate", "questions", "--captions", folder / "captions.jsonl", "--out", folder / "o7", *server)
        yield "questions", f"batch files of `generate questions`, {self.n:,} clips", (*words, folder / "b.jsonl"), True
        words = ("generate", "reasoning", "--captions", folder / "captions_of_clips.jsonl", "--out", folder / "o8")
        words = (*words, "--manifest", self.manifest, *server, folder / "c.jsonl")
        yield "reasoning", f"batch files of `generate reasoning`, {n}", words, True
        words = ("train", folder / "recipe.yaml", "--out", folder / "run")
        yield "train", f"`train`, two steps, {n}", words, False
        words = ("evaluate", "--model", self.tiny, "--benchmark", "manifest", "--data", self.manifest)
        words = (*words, "--audio-root", self.prepared, "--max-completion-tokens", 4, "--batch-size", 64)
        yield "evaluate", f"`evaluate --limit 1000`, {n}", (*words, "--limit", 1000, "--out", folder / "limited"), False


def _write_sound(path: Path, seed: list[int], rate_hz: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).normal(scale=0.1, size=rate_hz)
    soundfile.write(path, samples, rate_hz, subtype="PCM_16")


def _write_benchmark(folder: Path) -> None:
    """A manifest of clips that the others do not hold; their names are ids too."""
    rows = []
    for number in range(N_BENCHMARK):
        name = f"Cc{number:09d}_000001.wav"
        _write_sound(folder / name, [7, number], 16_000)
        rows.append({"id": f"b{number}", "text": f"Which one, {number}?", "choices": CHOICES, "answer": 0})
        rows[-1]["audio"] = name
    write_json_lines(folder / "manifest.jsonl", rows)


_LAUNCHER = """
import json, os, sys, time
started = time.perf_counter()
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
moved = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
_, status, usage = os.wait4(os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=moved), 0)
cpu_s, wall_s = usage.ru_utime + usage.ru_stime, time.perf_counter() - started
print(json.dumps({"status": status, "cpu_s": cpu_s, "wall_s": wall_s, "peak_mib": usage.ru_maxrss / 1024}))
"""
"""A small process of its own starts each command: the memory of who starts a process counts in the process's peak."""


def measured(words: Sequence[object], log: Path) -> dict[str, float]:
    """Run `harken WORDS`. Its CPU seconds, with those of the workers it waited for, and the largest peak of one of
    its processes."""
    launcher = [sys.executable, "-S", "-c", _LAUNCHER, str(log), sys.executable, "-m", "harken", *map(str, words)]
    row = json.loads(subprocess.run(launcher, check=True, capture_output=True, text=True).stdout)
    if row.pop("status") != 0:
        raise SystemExit(f"harken {' '.join(map(str, words))} failed; see {log}")
    return row


def clear(words: Sequence[object]) -> None:
    """Remove what an earlier run of the command has left."""
    if "--out" in words:
        shutil.rmtree(str(words[words.index("--out") + 1]), ignore_errors=True)


def table(results: dict[str, Any]) -> str:
    """The rows as Markdown."""
    lines = ["| command | CPU, s | records a CPU second | peak of a process, MiB |", "|---|---:|---:|---:|"]
    for row in sorted(results["rows"].values(), key=lambda row: row["place"]):
        rate = f"{results['records'] / row['cpu_s']:,.0f}" if row["text"] else ""
        lines.append(f"| {row['title']} | {row['cpu_s']:.0f} | {rate} | {row['peak_mib']:,.0f} |")
    commits = ", ".join(sorted({row["commit"][:7] for row in results["rows"].values()}))
    state = f"Commit {commits}, Python {results['python']}, one thread, two workers for clips; load of the "
    return "\n".join([*lines, "", f"{state}machine {results['load'][0]:.0f} to {results['load'][1]:.0f} on two cores."])


def page(text: str, results: dict[str, Any]) -> str:
    """The page with the table between its marks."""
    return between_marks(text, BEGIN, table(results), END)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of commands; the others keep their results")
    parser.add_argument("--table", action="store_true", help="run nothing; write the results into the page")
    given = parser.parse_args()
    file = given.out / "results.json"
    if given.table:
        results = json.loads(file.read_text())
        write_text(RESULTS, json.dumps(results, indent=1) + "\n")
        write_text(PAGE, page(PAGE.read_text(encoding="utf-8"), results))
        return
    world = World(given.out, given.records, given.clips)
    if not given.only:
        world.write()
    results: dict[str, Any] = {}
    for place, (name, title, words, is_text) in enumerate(world.commands()):
        if given.only and name not in given.only:
            continue
        if name != "avqa-again":
            clear(words)
        row = measured(words, given.out / f"{name}.log")
        print(f"{name}: {row['cpu_s']:.0f} CPU s, {row['wall_s']:.0f} s, {row['peak_mib']:,.0f} MiB", flush=True)
        results = json.loads(file.read_text()) if file.exists() else {"rows": {}, "load": [1e9, 0.0]}
        results["rows"][name] = {"place": place, "title": title, "text": is_text, "commit": source_commit(), **row}
        load, known = os.getloadavg()[0], results["load"]
        state = {"load": [min(known[0], load), max(known[1], load)], "records": given.records}
        results |= {**state, "python": platform.python_version()}
        file.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
