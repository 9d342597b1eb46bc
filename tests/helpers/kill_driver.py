"""Makes runs that kill themselves at named points: kill_driver.py JOBS.json, with {"recipe", "loop", "runs"} in JOBS.

Each run is {"out": folder, "kill": [point, ...]}. For each point one process starts or resumes the run and kills itself
there; then a last process resumes it and finishes it undisturbed. Processes are forked after the imports, which take
longer than a run. With "points": FILE the undisturbed process also writes every point that it passes into the file. The
program prints how each process ended, as JSON.
"""

import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

import torch
import transformers.modeling_utils
from small_runs import LOOPS, quiet_console

import harken.grpo.step
import harken.system.json_lines
import harken.training.sft
from harken.config import load_recipe
from harken.training.run_folder import RunFolder


class Points:
    """The places where a process may be killed, each with a name. Paths in names start at the run folder, and a
    temporary file has the name of the file that it will replace."""

    def __init__(self, run: Path, kill: str | None) -> None:
        self.run, self.kill, self.passed = run, kill, []

    def pass_by(self, name: str) -> None:
        self.passed.append(name)
        if name == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)

    def name(self, path) -> str:
        path = Path(os.path.abspath(path))
        parts = path.relative_to(self.run).parts if path.is_relative_to(self.run) else path.parts
        return "/".join(part[1:-4] if part.startswith(".") and part.endswith(".tmp") else part for part in parts)

    def around(self, owner, function: str, action: str, name_of) -> None:
        """Add a point before and a point after each call of `owner.function`."""
        original = getattr(owner, function)

        def wrapped(*args, **kwargs):
            name = name_of(*args, **kwargs)
            self.pass_by(f"before {action} {name}")
            result = original(*args, **kwargs)
            self.pass_by(f"after {action} {name}")
            return result

        setattr(owner, function, wrapped)

    def halfway(self, owner, function: str, action: str, path_of) -> None:
        """Add a point at which the file that a call writes is half written."""
        original = getattr(owner, function)

        def wrapped(*args, **kwargs):
            path = Path(path_of(*args, **kwargs))
            result = original(*args, **kwargs)
            name = f"half {action} {self.name(path)}"
            if name == self.kill:
                os.truncate(path, path.stat().st_size // 2)
            self.pass_by(name)
            return result

        setattr(owner, function, wrapped)

    def install(self) -> None:
        # The file is cut before the points around the call are passed: halves first, then what goes around them.
        self.halfway(torch, "save", "save", lambda value, path, *_, **__: path)
        self.halfway(transformers.modeling_utils, "safe_save_file", "save", lambda tensors, path, *_, **__: path)
        self.halfway(Path, "write_text", "write", lambda path, *_, **__: path)
        self.around(torch, "save", "save", lambda value, path, *_, **__: self.name(path))
        self.around(
            transformers.modeling_utils, "safe_save_file", "save", lambda tensors, path, *_, **__: self.name(path)
        )
        self.around(harken.grpo.step, "update", "update", lambda *_, **__: "")
        self.around(harken.training.sft, "apply_update", "update", lambda *_, **__: "")
        self._lines()
        self._rename()
        self._removal()
        self._rows()

    def _lines(self) -> None:
        """Add a point after each row of a file of JSON lines that is written whole."""
        original = harken.system.json_lines._write

        def write(file, row):
            original(file, row)
            name = f"half write {self.name(file.name)}"
            if name == self.kill:
                file.flush()
                os.truncate(file.name, os.path.getsize(file.name) // 2)
            self.pass_by(name)

        harken.system.json_lines._write = write

    def _rename(self) -> None:
        """Add points around renames. A folder is renamed before it is removed; those points are named retire."""

        def name_of(source, target) -> str:
            return self.name(target)

        original = os.replace

        def wrapped(source, target):
            action = "retire" if Path(target).name.startswith(".") else "replace"
            self.pass_by(f"before {action} {name_of(source, target)}")
            original(source, target)
            self.pass_by(f"after {action} {name_of(source, target)}")

        os.replace = wrapped

    def _removal(self) -> None:
        original = shutil.rmtree

        def wrapped(path, *args, **kwargs):
            name = f"half remove {self.name(path)}"
            if name == self.kill:
                first = next(file for file in sorted(Path(path).rglob("*")) if file.is_file())
                first.unlink()
            self.pass_by(name)
            original(path, *args, **kwargs)

        shutil.rmtree = wrapped

    def _rows(self) -> None:
        original = RunFolder.append_metrics

        def wrapped(run, row):
            before = run.metrics.stat().st_size if run.metrics.exists() else 0
            original(run, row)
            name = f"half row {row['step']}"
            if name == self.kill:
                os.truncate(run.metrics, (before + run.metrics.stat().st_size) // 2)
            self.pass_by(name)

        RunFolder.append_metrics = wrapped


def start_or_resume(recipe_file: Path, loop: str, out: Path, kill: str | None, passed: Path | None) -> None:
    points = Points(out, kill)
    points.install()
    resume = (out / "config.yaml").exists()
    LOOPS[loop](load_recipe(recipe_file), out, quiet_console(), resume=resume)
    if passed is not None:
        passed.write_text("\n".join(points.passed))


def in_a_process(*arguments) -> str:
    """Run `start_or_resume` in a process. Returns how it ended: done, killed, or its exit code."""
    child = os.fork()
    if child == 0:
        try:
            start_or_resume(*arguments)
        except BaseException:  # noqa: BLE001 (reported, then the process ends)
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {0: "done", -signal.SIGKILL: "killed"}.get(code, str(code))


def main() -> None:
    torch.set_num_threads(1)
    jobs = json.loads(Path(sys.argv[1]).read_text())
    ended = []
    for run in jobs["runs"]:
        points = Path(run["points"]) if "points" in run else None
        ends = [in_a_process(Path(jobs["recipe"]), jobs["loop"], Path(run["out"]), kill, None) for kill in run["kill"]]
        ends.append(in_a_process(Path(jobs["recipe"]), jobs["loop"], Path(run["out"]), None, points))
        ended.append(ends)
    sys.stdout.write(json.dumps(ended))


if __name__ == "__main__":
    main()
