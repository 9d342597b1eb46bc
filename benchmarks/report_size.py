"""The report of a long run: the time to build it, its size, and the time to open it.

    python benchmarks/report_size.py [--steps 2000] [--completions 50000] [--clips 600]

The program writes a synthetic run (metric rows of every step, completions of about 700 characters in groups of eight,
four evaluations of 1,000 questions, clips of ten seconds of coloured noise) into a temporary folder, builds its report
as `harken report` does, and opens it in Chromium if Playwright and a Chromium are installed. The page counts as open
when the first question and its clip are drawn and all charts are laid out; a chart is drawn when it comes near the
screen.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import soundfile
import yaml

from harken.report.build import write_report
from harken.results.summary import summarise
from harken.system.files import write_json, write_text
from harken.system.json_lines import write_json_lines

GROUP = 8
WORDS = "the clip holds a low steady hum then a bright bell and after it someone speaks two words near the end".split()  # noqa: SIM905


def write_synthetic_run(folder: Path, *, steps: int, completions: int, n_clips: int) -> Path:
    """Write a run and the run that it started from; gives the run's folder."""
    rng = np.random.default_rng(0)
    data, run, start = folder / "data", folder / "run", folder / "start"
    _write_clips(rng, data / "audio", n_clips)
    for path, model in ((run, start), (start, "base")):
        settings = {"name": "long", "model": {"path": str(model)}, "data": {"train": [{"file": str(data / "q.json")}]}}
        write_text(path / "config.yaml", yaml.safe_dump(settings))
        write_json(path / "environment.json", {"started": "2026-01-01T00:00:00+00:00", "threads": 2})
    _write_metrics(rng, run / "metrics.jsonl", steps)
    questions = completions // GROUP
    for step in range(1, steps + 1):
        kept = range(questions * (step - 1) // steps, questions * step // steps)
        if kept:
            rows = [_completion(rng, question, g, n_clips) for question in kept for g in range(GROUP)]
            write_json_lines(run / "rollouts" / f"step_{step:06d}.jsonl", rows)
    for path, share in ((start, 0.5), (run, 0.7)):
        for audio in ("clip", "none"):
            out = path / "eval" / f"test-{audio}"
            chance = share if audio == "clip" else 0.25
            rows = [_prediction(rng, number, chance, n_clips) for number in range(1000)]
            source = {"file": str(data / "test.json"), "audio": audio}
            write_text(out / "config.yaml", yaml.safe_dump({"data": source}))
            write_json_lines(out / "predictions.jsonl", rows)
            write_json(out / "summary.json", {**summarise(rows), "audio": audio, "model": "m", "data": source["file"]})
    return run


def _write_clips(rng: np.random.Generator, folder: Path, n_clips: int) -> None:
    folder.mkdir(parents=True)
    for number in range(n_clips):
        noise = np.cumsum(rng.normal(size=160_000))
        noise -= np.linspace(noise[0], noise[-1], noise.size)
        soundfile.write(folder / f"{number}.wav", 0.5 * noise / np.abs(noise).max(), 16_000)


def _write_metrics(rng: np.random.Generator, file: Path, steps: int) -> None:
    names = ["mean", "accuracy", "format", "consistency", "quality", "std_in_group", "equal_groups"]
    keys = [f"reward/{name}" for name in names] + ["loss/total", "loss/kl", "policy/entropy", "policy/grad_norm"]
    keys += ["completion/length_mean", "completion/truncated", "completion/think", "time/step_s", "memory/peak_gib"]
    figures = rng.random((steps, len(keys)))
    rows = [{"step": i + 1, **dict(zip(keys, map(float, row), strict=True))} for i, row in enumerate(figures)]
    write_json_lines(file, rows)


def _question(number: int, n_clips: int) -> dict:
    return {
        "id": f"{number:032x}",
        "clip": f"audio/{number % n_clips}.wav",
        "task": ("sound", "speech", "music")[number % 3],
        "difficulty": ("easy", "medium", "hard")[number % 7 % 3],
        "question": f"What is heard in recording {number}?",
        "choices": ["a bell", "a dog", "a voice", "rain"],
        "answer": "a bell",
    }


def _answer(rng: np.random.Generator, right: bool) -> dict:
    choice = "a bell" if right else "a dog"
    thought = " ".join(rng.choice(WORDS, size=130))
    text = f"<think>{thought}</think><answer>{choice}</answer>"
    return {"completion": text, "choice": choice, "correct": right, "reason": "exact", "tokens": 140, "ended": True}


def _completion(rng: np.random.Generator, question: int, g: int, n_clips: int) -> dict:
    right = bool(rng.random() < 0.6)
    rewards = {"accuracy": float(right), "format": 1.0, "consistency": 1.0, "quality": round(float(rng.random()), 1)}
    scored = {"reward": sum(rewards.values()), "rewards": rewards, "advantage": float(rng.normal())}
    return {**_question(question, n_clips), "g": g, **_answer(rng, right), **scored}


def _prediction(rng: np.random.Generator, number: int, chance: float, n_clips: int) -> dict:
    return {**_question(number, n_clips), **_answer(rng, bool(rng.random() < chance)), "extracted": "a bell"}


def seconds_to_open(page: Path) -> tuple[float, float] | None:
    """The time to open the page, and the processor time of the browser's processes; None without Playwright or a
    Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if program is None:
        return None
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto("about:blank")
        started, cpu = time.perf_counter(), _children_cpu_s()
        tab.goto(page.as_uri())
        tab.wait_for_selector(".picture")
        tab.wait_for_selector(".panel")
        elapsed = time.perf_counter() - started, _children_cpu_s() - cpu
        browser.close()
    return elapsed


def _children_cpu_s() -> float:
    times = [process.cpu_times() for process in psutil.Process().children(recursive=True)]
    return sum(taken.user + taken.system for taken in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("steps", 2000), ("completions", 50_000), ("clips", 600)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = write_synthetic_run(
            Path(folder), steps=options.steps, completions=options.completions, n_clips=options.clips
        )
        size = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
        print(f"run: {options.steps} steps, {options.completions} completions, {size / 1e6:.0f} MB")
        started, cpu = time.perf_counter(), time.process_time()
        write_report([run], run / "report.html")
        print(f"built in {time.perf_counter() - started:.1f} s, {time.process_time() - cpu:.1f} s of processor time")
        print(f"size {(run / 'report.html').stat().st_size / 1e6:.1f} MB")
        opened = seconds_to_open(run / "report.html")
        if opened is None:
            print("not opened: no Playwright or no Chromium here")
        else:
            print(f"opened in {opened[0]:.2f} s, {opened[1]:.2f} s of processor time of the browser")


if __name__ == "__main__":
    sys.exit(main())
