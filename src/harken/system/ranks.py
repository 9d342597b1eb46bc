"""Several processes that make one run: who they are, and the few things they tell each other.

Takes the environment that torchrun (or srun) sets, gives `Ranks`. Values travel as JSON text or as float64 sums, on the
CPU by gloo; weights and gradients travel by FSDP (`harken.models.sharding`), by nccl where there is CUDA. One process
has no process group, and every method here is then the plain thing. Not taken: objects by torch.distributed's own
`*_object` calls, which pickle.
"""

import atexit
import contextlib
import functools
import json
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from harken.errors import ConfigError, HarkenError, RankError, ReportedByOtherRankError

T = TypeVar("T")
P = ParamSpec("P")

TIMEOUT_S = 1800.0
"""How long a rank waits for the others, from the first to the last that comes [O]; HARKEN_RANK_TIMEOUT_S changes it.
Rank 0 writes checkpoints while the others wait."""

JUDGE_SHARE = 0.5
"""Share of the time limit that a step's verdicts may take: the ranks must meet before the limit."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of the run.

    Attributes:
        rank, size: 0 alone writes files and speaks.
        local_rank, local_size: the same within this machine.
        timeout_s: of a wait for the others.
        mesh: all ranks in one dimension; None for one process.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    timeout_s: float = TIMEOUT_S
    mesh: DeviceMesh | None = None

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    @property
    def judge_deadline_s(self) -> float | None:
        """How long a step waits for a judge; None = as long as it takes, where no other rank waits too."""
        return None if self.size == 1 else self.timeout_s * JUDGE_SHARE

    def own_part(self, items: Sequence[T]) -> Sequence[T]:
        """This rank's part: consecutive items, the parts of all ranks in order make the whole, lengths differ by one at
        most. Empty where there are fewer items than ranks."""
        start, stop = (len(items) * one // self.size for one in (self.rank, self.rank + 1))
        return items[start:stop]

    def sum(self, values: Sequence[float]) -> list[float]:
        """Of each value over all ranks; float64."""
        return self._reduce(values, dist.ReduceOp.SUM)

    def maximum(self, values: Sequence[float]) -> list[float]:
        return self._reduce(values, dist.ReduceOp.MAX)

    def _reduce(self, values: Sequence[float], operation: dist.ReduceOp.RedOpType) -> list[float]:
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total, operation)
        return total.tolist()

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, in their order, on every rank. Values are JSON."""
        if self.size == 1:
            return [value]
        own = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(lengths, torch.tensor([len(own)]))
        longest = max(int(length) for length in lengths)
        padded = torch.zeros(longest, dtype=torch.uint8)
        padded[: len(own)] = own
        texts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(texts, padded)
        return [json.loads(text[: int(length)].numpy().tobytes()) for text, length in zip(texts, lengths, strict=True)]

    def broadcast(self, value: Any) -> Any:
        """Rank 0's value, on every rank; what the others give is not read. JSON."""
        if self.size == 1:
            return value
        text = bytearray(json.dumps(value).encode()) if self.is_main else bytearray()
        length = torch.tensor([len(text)])
        dist.broadcast(length, 0)
        told = (
            torch.frombuffer(text, dtype=torch.uint8) if self.is_main else torch.empty(int(length), dtype=torch.uint8)
        )
        dist.broadcast(told, 0)
        return json.loads(told.numpy().tobytes())

    def run_on_all(self, work: Callable[[], T]) -> T:
        """Every rank does its work; where one meets a HarkenError none goes on. The first such rank raises its own, the
        others ReportedByOtherRankError."""
        if self.size == 1:
            return work()
        result, error = None, None
        try:
            result = work()
        except HarkenError as caught:
            error = caught
        said = self.gather(None if error is None else str(error))
        first = next((rank for rank, text in enumerate(said) if text is not None), None)
        if first is None:
            return result  # pyright: ignore[reportReturnType]
        if error is not None and first == self.rank:
            raise error
        raise ReportedByOtherRankError(f"rank {first}: {said[first]}") from error

    def run_on_main(self, work: Callable[[], T]) -> T | None:
        """Rank 0 works, the others wait and get None. Raises as `together`."""
        return self.run_on_all(lambda: work() if self.is_main else None)

    def run_in_turn(self, work: Callable[[], T]) -> T:
        """Every rank works, one of each machine at a time: what the work holds for a while is held once. Raises as
        `together`."""
        done: list[T] = []
        for turn in range(int(self.maximum([self.local_size])[0])):
            self.run_on_all(lambda mine=turn == self.local_rank: done.append(work()) if mine else None)
        return done[0]


SINGLE_PROCESS = Ranks()


def distributed_run(loop: Callable[P, T]) -> Callable[P, T]:
    """A training loop, `loop(recipe, out, ...)`, that joins the others first and says what to do when one is lost."""

    @functools.wraps(loop)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        ranks = join_ranks()
        out = args[1] if len(args) > 1 else kwargs["out"]
        assert isinstance(out, Path)
        with _explained(ranks, out):
            return loop(*args, **kwargs)

    return run


@functools.cache
def join_ranks() -> Ranks:
    """The ranks of this process, by the environment: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and
    MASTER_PORT. Asked again it gives the same; without them, or for a size of 1, `SINGLE_PROCESS`.

    Raises ConfigError where the environment is not that of a launcher, RankError where the others do not come.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return SINGLE_PROCESS
    try:
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        local_rank, local_size = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
        timeout_s = float(os.environ.get("HARKEN_RANK_TIMEOUT_S", TIMEOUT_S))
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, and RANK, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and "
            f"MASTER_PORT are not all set ({error}); start the run by torchrun, see docs/scale.md"
        ) from error
    cuda = torch.cuda.is_available()
    if cuda:
        if local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"rank {rank} is number {local_rank} of its machine, which has {torch.cuda.device_count()} CUDA "
                "devices; start one process a device"
            )
        torch.cuda.set_device(local_rank)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=timedelta(seconds=timeout_s))
    except (dist.DistError, RuntimeError) as error:
        raise RankError(
            f"rank {rank} of {size}: the others did not come to {place} within {timeout_s:.0f} s ({_line(error)})"
        ) from error
    atexit.register(dist.destroy_process_group)
    signal.signal(signal.SIGTERM, _stopped)
    mesh = init_device_mesh("cuda" if cuda else "cpu", (size,))
    return Ranks(rank, size, local_rank, local_size, timeout_s, mesh)


def _stopped(number: int, frame: FrameType | None) -> None:
    """The launcher ends the ranks that are left when one is lost, and all of them when the job is cancelled."""
    raise RankError("stopped by the launcher: another rank was lost, or the job was cancelled")


@contextlib.contextmanager
def _explained(ranks: Ranks, out: Path) -> Iterator[None]:
    """What torch raises where a rank is lost, as an error that says how to go on."""
    try:
        yield
    except HarkenError as error:
        if type(error) is RankError:
            raise RankError(f"rank {ranks.rank} of {ranks.size}: {error}. {_go_on(out)}") from error
        raise
    except (dist.DistError, RuntimeError) as error:
        if ranks.size == 1 or not (isinstance(error, dist.DistError) or any(sign in str(error) for sign in LOST)):
            raise
        raise RankError(
            f"rank {ranks.rank} of {ranks.size}: another rank was lost or is late ({_line(error)}). {_go_on(out)}"
        ) from error


LOST = ("gloo", "Gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Timed out waiting")
"""What a plain RuntimeError says where another rank is gone."""


def _go_on(out: Path) -> str:
    whole = sorted((out / "checkpoints").glob("step_*"))
    last = f"The last whole checkpoint is {whole[-1]}" if whole else "There is no checkpoint yet"
    return f"{last}; go on with --resume {out}, on as many ranks as there are"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
