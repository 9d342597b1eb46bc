"""Runs jobs on several ranks of this machine, over gloo, one job after another: scale_driver.py JOBS.json.

A job is {"recipe": file, "loop": "grpo" or "sft", "out": folder, "size": number of ranks}. It may have "resume":
true, "sgd": true (plain gradient descent), "lose": [rank, updates] (that rank kills itself after so many updates),
"stop": [rank, updates] (SIGTERM comes to that rank) and "late_s" (how long ranks wait for each other). Or a job is
{"call": name of a function of scale_work.py, "size": number of ranks, ...}. Ranks are forked after the imports, which
take longer than a run. The program prints as JSON, for each job, three lists over its ranks: exits (how the rank
ended: done, failed, error, stopped, killed, hung, or its signal), errors (its error message) and results (what its
function returned). A job that takes longer than LIMIT_S hangs and is killed.
"""

import json
import os
import signal
import socket
import sys
import time
import traceback
import warnings
from pathlib import Path

import scale_work
import torch
from small_runs import LOOPS, quiet_console

import harken.grpo.step
import harken.models.token_scores
import harken.training.open_session
import harken.training.sft
from harken.config import load_recipe
from harken.errors import HarkenError, StoppedError
from harken.system.distributed_run import join_ranks

LIMIT_S = 300.0
"""A job takes a few seconds; the rest is for a busy machine."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def plain_descent(module, *, learning_rate, **_):
    return torch.optim.SGD(
        [parameter for parameter in module.parameters() if parameter.requires_grad], lr=learning_rate
    )


def signal_self_after(updates: int, number: signal.Signals) -> None:
    """Have this process send itself a signal when it is about to make one more update."""
    for owner, name in ((harken.grpo.step, "update"), (harken.training.sft, "apply_update")):
        original, done = getattr(owner, name), []

        def wrapped(*args, original=original, done=done, **kwargs):
            if len(done) == updates:
                os.kill(os.getpid(), number)
            done.append(None)
            return original(*args, **kwargs)

        setattr(owner, name, wrapped)


def do_job(job: dict, rank: int, port: int, result: Path) -> None:
    torch.set_num_threads(1)
    harken.models.token_scores.LOGIT_ROWS = 8  # so that rows are split
    if job["size"] > 1:
        places = {"RANK": rank, "WORLD_SIZE": job["size"], "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": job["size"]}
        places |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in places.items()})
        os.environ["HARKEN_RANK_TIMEOUT_S"] = str(job.get("late_s", LIMIT_S))
    if job.get("sgd"):
        harken.training.open_session.build_optimizer = plain_descent
    for key, number in (("lose", signal.SIGKILL), ("stop", signal.SIGTERM)):
        if key in job and job[key][0] == rank:
            signal_self_after(job[key][1], number)
    if "call" in job:
        result.write_text(json.dumps(getattr(scale_work, job["call"])(join_ranks(), job)))
        return
    LOOPS[job["loop"]](
        load_recipe(Path(job["recipe"])), Path(job["out"]), quiet_console(), resume=job.get("resume", False)
    )


def fork_rank(job: dict, rank: int, port: int, error_file: Path, result: Path) -> int:
    """Start one rank. Returns its process id; the child writes its error and its result into the files."""
    child = os.fork()
    if child:
        return child
    with error_file.open("w") as file:
        try:
            warnings.simplefilter("error")
            do_job(job, rank, port, result)
            code = 0
        except HarkenError as error:
            file.write(f"{type(error).__name__}: {error}")
            code = 2
        except StoppedError as stopped:
            file.write(stopped.message)
            code = stopped.EXIT_CODE
        except BaseException:  # noqa: BLE001 (reported, then the process ends)
            traceback.print_exc(file=file)
            code = 1
    os._exit(code)


def how_it_ended(rank: int, code: int) -> str:
    """A word for the ends that tests expect; for any other the rank with its signal or exit code."""
    expected = {0: "done", 1: "failed", 2: "error", StoppedError.EXIT_CODE: "stopped", -signal.SIGKILL: "killed"}
    if code in expected:
        return expected[code]
    return f"rank {rank} died of {signal.Signals(-code).name}" if code < 0 else f"rank {rank} exited with code {code}"


def run_job(job: dict, folder: Path) -> dict:
    port, started = free_port(), time.monotonic()
    errors, results = ([folder / f"{name}{rank}" for rank in range(job["size"])] for name in ("error", "result"))
    for file in results:
        file.write_text("null")
    running = {fork_rank(job, rank, port, errors[rank], results[rank]): rank for rank in range(job["size"])}
    exits = [""] * job["size"]
    while running:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            rank = running.pop(child)
            exits[rank] = how_it_ended(rank, os.waitstatus_to_exitcode(status))
        elif time.monotonic() - started > LIMIT_S:
            for child, rank in running.items():
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                exits[rank] = "hung"
            running = {}
        else:
            time.sleep(0.02)
    return {
        "exits": exits,
        "errors": [file.read_text() for file in errors],
        "results": [json.loads(file.read_text()) for file in results],
    }


def main() -> None:
    jobs = Path(sys.argv[1])
    sys.stdout.write(json.dumps([run_job(job, jobs.parent) for job in json.loads(jobs.read_text())]))


if __name__ == "__main__":
    main()
