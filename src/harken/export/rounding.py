"""Measures how much of the change by training is lost when weights are rounded to the number type of an export."""

from dataclasses import dataclass

from torch import Tensor

WORST = 0.05
"""More than this share lost is worth a warning."""
PIECE = 2**24
"""Numbers that are float64 at once."""


@dataclass(slots=True)
class RoundingLoss:
    """Sums over the trained tensors of an export.

    Attributes:
        moved: weights that training changed.
        returned: those of them that are the base's again once they are rounded.
        difference, error: squared norms of what training added, and of what rounding changed of it.
    """

    moved: int = 0
    returned: int = 0
    difference: float = 0.0
    error: float = 0.0

    def add(self, base: Tensor, trained: Tensor, written: Tensor) -> None:
        """Count one tensor: as the base has it, as training left it, and as it is written."""
        pieces = zip(*(tensor.reshape(-1).split(PIECE) for tensor in (base, trained, written)), strict=True)
        for before, after, final in ([piece.double() for piece in tensors] for tensors in pieces):
            moved = after != before
            self.moved += int(moved.sum())
            self.returned += int((moved & (final == before)).sum())
            self.difference += float((after - before).square().sum())
            self.error += float((final - after).square().sum())

    @property
    def returned_share(self) -> float:
        """The share of the changed weights that are the base's again once rounded; 0 where training changed none."""
        return self.returned / self.moved if self.moved else 0.0

    @property
    def relative_error(self) -> float:
        """The norm of what rounding changed, relative to that of what training changed; 0 where it changed nothing."""
        return (self.error / self.difference) ** 0.5 if self.difference else 0.0

    @property
    def is_large(self) -> bool:
        return max(self.returned_share, self.relative_error) > WORST
