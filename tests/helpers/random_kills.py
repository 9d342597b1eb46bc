"""Sends a signal to a command at random moments until it has been hit often enough: random_kills.py JOB.json.

A job is {"start": words, "go_on": words or null, "folder", "signal", "count", "seed"}. "{out}" in the words is the
folder that the command writes. The command runs once undisturbed, into `folder/whole`, which gives the time over which
the moments are spread. Then it runs into `folder/hit0`; each time it is hit it starts again, with `go_on` where the
folder holds a config.yaml. When it ends by itself, the next folder begins. The program prints how each process ended,
as JSON: {"folders": [...], "ended": [[exit code, last line of standard error], ...], "duration_s": of the whole run}.

Processes are forked after the imports, which take longer than a run.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def hit_at_random(
    folder: Path, words: list[str], go_on: list[str] | None, signal_name: str, count: int, seed: int | str
) -> dict:
    """Run this program on a job, in a process of its own. Returns what it prints."""
    job = {"start": words, "go_on": go_on, "folder": str(folder)}
    job |= {"signal": signal_name, "count": count, "seed": seed}
    (folder / "job.json").write_text(json.dumps(job))
    program = subprocess.run(
        [sys.executable, __file__, folder / "job.json"],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert program.returncode == 0, program.stderr
    return json.loads(program.stdout)


def command(job: dict, out: Path) -> list[str]:
    goes_on = job["go_on"] is not None and (out / "config.yaml").exists()
    return [word.replace("{out}", str(out)) for word in (job["go_on"] if goes_on else job["start"])]


def start(words: list[str], log: Path) -> int:
    """Fork a process that runs `harken WORDS`, as a terminal would. Returns its number."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv, code = ["harken", *words], 0
    try:
        from harken.cli.app import main

        main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:  # noqa: BLE001 (reported, then the process ends)
        import traceback

        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    os._exit(code)


def end_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def last_line(log: Path) -> str:
    """What the command said last; helpers of multiprocessing may warn after it, because the process ends at once."""
    lines = log.read_text(errors="replace").strip().splitlines()
    said = [line for line in lines if line.startswith(("stopped:", "error:"))]
    return said[-1] if said else lines[-1] if lines else ""


def hit(job: dict) -> dict:
    folder, draw, number = Path(job["folder"]), random.Random(job["seed"]), getattr(signal, job["signal"])
    log, began = folder / "log.txt", time.monotonic()
    code = end_of(start(command(job, folder / "whole"), log))
    if code != 0:
        raise SystemExit(f"undisturbed: exit code {code}\n{log.read_text()}")
    duration_s = time.monotonic() - began
    folders, ended, hits = [], [], 0
    while hits < job["count"] or (ended and ended[-1][0] != 0):
        if not ended or ended[-1][0] == 0:
            folders.append(str(folder / f"hit{len(folders)}"))
        out = Path(folders[-1])
        child = start(command(job, out), log)
        if hits < job["count"]:
            time.sleep(draw.uniform(0, duration_s))
            os.kill(child, number)  # does nothing to one that has ended and is not yet waited for
        code, line = end_of(child), last_line(log)
        if code == 2 and line.endswith("holds an evaluation already; choose another --out"):
            code = 0  # it was hit after its summary was written
        hits += code in (-number, 75)
        ended.append([code, line])
        if code not in (0, -number, 75):
            raise SystemExit(f"exit code {code} after {hits} hits\n{log.read_text()}")
    return {"folders": folders, "ended": ended, "duration_s": duration_s}


def main(file: str) -> None:
    import torch

    import harken.cli.app
    import harken.evaluation.evaluate
    import harken.generate.questions
    import harken.grpo.loop
    import harken.prepare.avqa
    import harken.training.sft  # noqa: F401

    torch.set_num_threads(1)
    sys.stdout.write(json.dumps(hit(json.loads(Path(file).read_text()))))


if __name__ == "__main__":
    main(sys.argv[1])
