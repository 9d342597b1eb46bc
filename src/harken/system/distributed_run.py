"""How a process joins the other ranks of a run, and what a user reads when one of them is lost.

torchrun or srun starts the processes and describes them in environment variables. Tensors are exchanged by gloo on the
CPU and by nccl on GPUs.
"""

import atexit
import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from harken.errors import ConfigError, HarkenError, RankError, StoppedError, file_error
from harken.system.ranks import SINGLE_PROCESS, TIMEOUT_S, Ranks
from harken.system.writer_lock import WriterLock

T = TypeVar("T")
P = ParamSpec("P")

LOST_RANK_MESSAGES = (
    "gloo",
    "Gloo",
    "NCCL",
    "Connection closed by peer",
    "Connection reset by peer",
    "Timed out waiting",
)
"""torch raises a RuntimeError with one of these when another rank is gone."""


def distributed_run(how_to_go_on: Callable[[Path], str]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function `work(recipe, out, ...)` that several ranks do together: it first joins the other ranks and
    locks the folder `out`, and when it is stopped or a rank is lost, the error says how to go on.

    Args:
        how_to_go_on: the folder -> a sentence that says what is kept in it and how the work goes on.
    """

    def decorate(work: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(work)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            ranks = join_ranks()
            out = args[1] if len(args) > 1 else kwargs["out"]
            assert isinstance(out, Path)
            with _explain_lost_ranks(ranks, lambda: how_to_go_on(out)), _one_writer(ranks, out):
                try:
                    return work(*args, **kwargs)
                except OSError as error:
                    raise file_error(error, how_to_go_on(out)) from error
                except StoppedError as stopped:
                    stopped.advise(how_to_go_on(out))
                    stopped.message = stopped.message if ranks.is_main else ""
                    raise

        return run

    return decorate


@contextlib.contextmanager
def _one_writer(ranks: Ranks, out: Path) -> Iterator[None]:
    """Rank 0 holds the lock of the folder for all ranks."""
    lock = WriterLock.of_folder(out)
    ranks.run_on_main(lock.acquire)
    try:
        yield
    finally:
        lock.release()


@functools.cache
def join_ranks() -> Ranks:
    """Join the run that the environment describes: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and
    MASTER_PORT. HARKEN_RANK_TIMEOUT_S changes the timeout.

    A second call returns the same ranks. Without these variables, or for a size of 1, returns `SINGLE_PROCESS`.
    Raises ConfigError when the environment is incomplete, RankError when the other ranks do not come or this one has no
    device.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return SINGLE_PROCESS
    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        local_rank, local_size = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
        timeout_s = float(os.environ.get("HARKEN_RANK_TIMEOUT_S", TIMEOUT_S))
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, and RANK, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and "
            f"MASTER_PORT are not all set ({error}); start the run by torchrun, see docs/scale.md"
        ) from error
    cuda = torch.cuda.is_available()
    if cuda:
        if local_rank >= torch.cuda.device_count():
            raise RankError(
                f"rank {rank} is number {local_rank} of its machine, which has {torch.cuda.device_count()} CUDA "
                "devices; start one process for each device"
            )
        torch.cuda.set_device(local_rank)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=timedelta(seconds=timeout_s))
    except (dist.DistError, RuntimeError) as error:
        raise RankError(
            f"rank {rank} of {size}: the others did not come to {address} within {timeout_s:.0f} s ({_one_line(error)})"
        ) from error
    atexit.register(dist.destroy_process_group)
    mesh = init_device_mesh("cuda" if cuda else "cpu", (size,))
    return Ranks(rank, size, local_rank, local_size, timeout_s, mesh)


@contextlib.contextmanager
def _explain_lost_ranks(ranks: Ranks, how_to_go_on: Callable[[], str]) -> Iterator[None]:
    """Turn the exceptions that torch raises when a rank is lost into errors that say how to continue."""
    try:
        yield
    except HarkenError as error:
        if type(error) is RankError:
            raise RankError(f"rank {ranks.rank} of {ranks.size}: {error}. {how_to_go_on()}") from error
        raise
    except (dist.DistError, RuntimeError) as error:
        known = isinstance(error, dist.DistError) or any(text in str(error) for text in LOST_RANK_MESSAGES)
        if ranks.size == 1 or not known:
            raise
        raise RankError(
            f"rank {ranks.rank} of {ranks.size}: another rank was lost or is late ({_one_line(error)}). "
            f"{how_to_go_on()}"
        ) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
