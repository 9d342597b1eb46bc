"""Runs on several ranks of this machine, over gloo: scale_driver.py JOBS.json, a list of jobs one after another.

A job is {"recipe": file, "loop": "grpo" or "sft", "out": folder, "size": ranks} and, where wanted, "resume": true,
"sgd": true (plain gradient descent), "lose": [rank, updates] (that rank kills itself after so many updates) and
"late_s" (how long ranks wait for each other); or {"call": a function of scale_work.py, "size": ranks, ...}. Ranks are
forked after the imports, which take longer than a run. Prints, as JSON, for each job how every rank ended, what it said
and what its function gave. A job that takes longer than LIMIT_S has hung.
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
from small_runs import LOOPS, silent

import harken.grpo.step
import harken.inference.log_probabilities
import harken.training.open_session
import harken.training.sft
from harken.config import load_recipe
from harken.errors import HarkenError
from harken.system.distributed_run import join_ranks

LIMIT_S = 300.0
"""The machine may be busy: a job takes a few seconds of it."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def plain_descent(module, *, learning_rate, **_):
    return torch.optim.SGD([one for one in module.parameters() if one.requires_grad], lr=learning_rate)


def lost_after(updates: int) -> None:
    for owner, name in ((harken.grpo.step, "update"), (harken.training.sft, "apply_update")):
        original, done = getattr(owner, name), []

        def wrapped(*args, original=original, done=done, **kwargs):
            if len(done) == updates:
                os.kill(os.getpid(), signal.SIGKILL)
            done.append(None)
            return original(*args, **kwargs)

        setattr(owner, name, wrapped)


def work(job: dict, rank: int, port: int, gave: Path) -> None:
    torch.set_num_threads(1)
    harken.inference.log_probabilities.LOGIT_ROWS = 8  # so that one process cuts what several ranks do not
    if job["size"] > 1:
        places = {"RANK": rank, "WORLD_SIZE": job["size"], "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": job["size"]}
        places |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in places.items()})
        os.environ["HARKEN_RANK_TIMEOUT_S"] = str(job.get("late_s", LIMIT_S))
    if job.get("sgd"):
        harken.training.open_session.build_optimizer = plain_descent
    lose = job.get("lose")
    if lose is not None and lose[0] == rank:
        lost_after(lose[1])
    if "call" in job:
        gave.write_text(json.dumps(getattr(scale_work, job["call"])(join_ranks(), job)))
        return
    LOOPS[job["loop"]](load_recipe(Path(job["recipe"])), Path(job["out"]), silent(), resume=job.get("resume", False))


def forked(job: dict, rank: int, port: int, said: Path, gave: Path) -> int:
    child = os.fork()
    if child:
        return child
    with said.open("w") as file:
        try:
            warnings.simplefilter("error")
            work(job, rank, port, gave)
            code = 0
        except HarkenError as error:
            file.write(f"{type(error).__name__}: {error}")
            code = 2
        except BaseException:  # noqa: BLE001 (reported, then the process ends)
            traceback.print_exc(file=file)
            code = 1
    os._exit(code)


def run(job: dict, folder: Path) -> dict:
    port, started = free_port(), time.monotonic()
    said, gave = ([folder / f"{name}{rank}" for rank in range(job["size"])] for name in ("said", "gave"))
    for file in gave:
        file.write_text("null")
    left = {forked(job, rank, port, said[rank], gave[rank]): rank for rank in range(job["size"])}
    ended = [""] * job["size"]
    while left:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            code = os.waitstatus_to_exitcode(status)
            ended[left.pop(child)] = {0: "done", 1: "failed", 2: "error", -signal.SIGKILL: "killed"}[code]
        elif time.monotonic() - started > LIMIT_S:
            for child, rank in left.items():
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                ended[rank] = "hung"
            left = {}
        else:
            time.sleep(0.02)
    return {
        "ended": ended,
        "said": [one.read_text() for one in said],
        "gave": [json.loads(one.read_text()) for one in gave],
    }


def main() -> None:
    jobs = Path(sys.argv[1])
    sys.stdout.write(json.dumps([run(job, jobs.parent) for job in json.loads(jobs.read_text())]))


if __name__ == "__main__":
    main()
