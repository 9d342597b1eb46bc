"""The memory that a run needs, item by item, in bytes on the card and in the host's memory."""

from dataclasses import dataclass

GIB = 2**30
RESERVE = int(1.5 * GIB)
"""Bytes of a card that are kept free for the CUDA context, workspaces of libraries and fragments. The figure was set
with the peaks in view that docs/memory.md lists; it follows from no formula."""


@dataclass(frozen=True, slots=True)
class MemoryItem:
    """The memory for one purpose: bytes on the card, bytes in host memory, and how they are computed."""

    name: str
    device: int
    host: int
    about: str


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """`held` is in memory all the time. A rollout and a training pass add their items, one after the other. `loading`
    is needed before all of them, once on a machine."""

    held: tuple[MemoryItem, ...]
    rollout: tuple[MemoryItem, ...]
    training: tuple[MemoryItem, ...]
    loading: tuple[MemoryItem, ...] = ()

    @property
    def items(self) -> tuple[MemoryItem, ...]:
        return self.held + self.rollout + self.training + self.loading

    @property
    def peak(self) -> int:
        """Bytes on the card when most of it is used."""
        held, rollout, training = (
            sum(item.device for item in part) for part in (self.held, self.rollout, self.training)
        )
        return held + max(rollout, training)

    def host(self, cards: int = 1) -> int:
        """Bytes in the memory of a host with so many cards. What is held there, of the optimizer above all, is there
        only after the checkpoint is loaded."""
        running = sum(item.host for item in self.held + self.rollout + self.training)
        return max(cards * running, sum(item.host for item in self.loading))
