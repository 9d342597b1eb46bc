"""The processes that make one run together, called ranks, and the values they exchange.

Values are exchanged as JSON text or as float64 sums, on the CPU by gloo. Weights and gradients are exchanged by FSDP
(`harken.models.sharding`). A run of one process has no process group: every method here then returns at once.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from harken.errors import HarkenError, ReportedByOtherRankError, file_error

T = TypeVar("T")

TIMEOUT_S = 1800.0
"""How long a rank waits for the others [O]. Rank 0 writes checkpoints while the others wait."""

JUDGE_SHARE = 0.5
"""The share of the timeout that the judge may take in one step, so that the ranks meet again before the timeout."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among the ranks of a run.

    Attributes:
        rank, size: number of this rank and count of all ranks. Rank 0 alone writes files and prints.
        local_rank, local_size: the same within this machine.
        timeout_s: how long a rank waits for the others.
        mesh: all ranks in one dimension; None for a run of one process.
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
        """How long a step waits for a judge; None, as long as it takes, in a run of one process."""
        return None if self.size == 1 else self.timeout_s * JUDGE_SHARE

    def own_part(self, items: Sequence[T]) -> Sequence[T]:
        """This rank's part of the items.

        The parts of all ranks, in order, make up all items; their lengths differ by at most one. With fewer items than
        ranks some parts are empty.
        """
        start, stop = (len(items) * rank // self.size for rank in (self.rank, self.rank + 1))
        return items[start:stop]

    def sum(self, values: Sequence[float]) -> list[float]:
        """Sum each value over all ranks, in float64."""
        return self._reduce(values, dist.ReduceOp.SUM)

    def maximum(self, values: Sequence[float]) -> list[float]:
        """Take the maximum of each value over all ranks, in float64."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def any(self, value: bool) -> bool:
        """Whether the value is true on any rank."""
        return self.maximum([float(value)])[0] > 0

    def _reduce(self, values: Sequence[float], operation: dist.ReduceOp.RedOpType) -> list[float]:
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total, operation)
        return total.tolist()

    def gather(self, value: Any) -> list[Any]:
        """Give every rank the values of all ranks, in the order of the ranks. Values are JSON."""
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
        """Give every rank the value of rank 0; the values of the other ranks are ignored. The value is JSON."""
        if self.size == 1:
            return value
        text = bytearray(json.dumps(value).encode()) if self.is_main else bytearray()
        length = torch.tensor([len(text)])
        dist.broadcast(length, 0)
        buffer = torch.frombuffer(text, dtype=torch.uint8) if text else torch.empty(int(length), dtype=torch.uint8)
        dist.broadcast(buffer, 0)
        return json.loads(buffer.numpy().tobytes())

    def run_on_all(self, work: Callable[[], T]) -> T:
        """Do the work on every rank; when it raises a HarkenError or an OSError on one rank, stop all of them.

        The first rank that failed raises its own error, the others raise ReportedByOtherRankError.
        """
        if self.size == 1:
            return work()
        result, error = None, None
        try:
            result = work()
        except HarkenError as caught:
            error = caught
        except OSError as caught:
            error = file_error(caught)
        messages = self.gather(None if error is None else str(error))
        first = next((rank for rank, message in enumerate(messages) if message is not None), None)
        if first is None:
            return result  # pyright: ignore[reportReturnType]
        if error is not None and first == self.rank:
            raise error
        raise ReportedByOtherRankError(f"rank {first}: {messages[first]}") from error

    def run_on_main(self, work: Callable[[], T]) -> T | None:
        """Do the work on rank 0 while the others wait; they get None. Raises as `run_on_all` does."""
        return self.run_on_all(lambda: work() if self.is_main else None)

    def run_in_turn(self, work: Callable[[], T]) -> T:
        """Do the work on every rank, but on one rank of each machine at a time.

        Memory that the work needs only for a while is then needed once on a machine. Raises as `run_on_all` does.
        """
        results: list[T] = []
        for turn in range(int(self.maximum([self.local_size])[0])):
            self.run_on_all(lambda mine=turn == self.local_rank: results.append(work()) if mine else None)
        return results[0]


SINGLE_PROCESS = Ranks()
