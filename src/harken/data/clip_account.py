"""Counts what is unusual about the clips that were kept: a run says it, and none of it is silent."""

from collections.abc import Iterable
from dataclasses import dataclass

from harken.data.audio import ClipFacts


@dataclass(frozen=True, slots=True)
class ClipAccount:
    """How many of the different clips, or parts of files, that were read are of each kind.

    Attributes:
        n: clips in all.
        cut: used although the file is cut short or damaged, because the recipe accepts that.
        beyond_full_scale: with samples beyond full scale, which are clipped.
        cancelled: whose channels cancel each other out, so that the mix is silent.
        mixed: with more than one channel.
    """

    n: int = 0
    cut: int = 0
    beyond_full_scale: int = 0
    cancelled: int = 0
    mixed: int = 0

    @classmethod
    def of(cls, clips: Iterable[ClipFacts]) -> "ClipAccount":
        """Count the clips."""
        facts = list(clips)
        return cls(
            len(facts),
            sum(bool(clip.cut) for clip in facts),
            sum(clip.beyond_full_scale for clip in facts),
            sum(clip.cancelled for clip in facts),
            sum(clip.channels > 1 for clip in facts),
        )

    def sentences(self) -> list[str]:
        """A sentence for each thing that a listener should know; none where there is nothing unusual."""
        kinds = (
            (self.cut, "cut short or damaged, and used as far as they decode (`truncated: accept`)"),
            (self.beyond_full_scale, "louder than full scale in places; these samples are clipped"),
            (self.cancelled, "silent after mixing, because their channels cancel each other out"),
        )
        return [f"{count} of {self.n} clips are {what}" for count, what in kinds if count]
