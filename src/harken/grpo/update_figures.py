"""What an update measures: the sums of its passes, and the figures over all ranks that they become."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harken.config import GrpoConfig
from harken.system.ranks import Ranks


@dataclass(frozen=True, slots=True)
class UpdateFigures:
    """Figures of one update over all ranks. Means are over the tokens in the loss; the gap is |log-probability when
    sampled - log-probability in this pass|. `importance` is the mean importance weight and `importance_cut` the share
    of weights at the cap; both are None where the recipe asks for no weights."""

    loss: float
    kl: float
    entropy: float
    clip_low: float
    clip_high: float
    ratio_max: float
    logp_gap_mean: float
    logp_gap_max: float
    importance: float | None
    importance_cut: float | None
    grad_norm: float


@dataclass(frozen=True, slots=True)
class StepSize:
    """Numbers over all micro-batches of all ranks: rows, tokens in the loss, prompts with a clip."""

    rows: int
    tokens: int
    clips: int


@dataclass(frozen=True, eq=False, slots=True)
class Pass:
    """The pass over one micro-batch. Everything stays on the device, so that the host can launch the next pass while
    this one runs.

    Attributes:
        sums: [8] of loss, KL, entropy, tokens clipped low, tokens clipped high, gap, importance weights and weights
            that were cut, over the tokens in the loss.
        maxima: [2] of the ratio and of the gap.
        logp: [R, L].
    """

    sums: Tensor
    maxima: Tensor
    logp: Tensor


def update_figures(
    passes: Sequence[Pass], size: StepSize, grad_norm: float, settings: GrpoConfig, ranks: Ranks
) -> UpdateFigures:
    """The figures of an update whose passes of this rank are done.

    Args:
        size: of the step, over all ranks.
        grad_norm: norm of all gradients before they were clipped.
    """
    sums = torch.stack([one_pass.sums for one_pass in passes]).sum(0)
    maxima = torch.stack([one_pass.maxima for one_pass in passes]).amax(0)
    own = torch.cat([sums, maxima]).tolist()  # the one place at which the host waits for the passes
    loss, kl, entropy, clipped_low, clipped_high, logp_gap, importance, importance_cut = ranks.sum(own[:8])
    ratio_max, logp_gap_max = ranks.maximum(own[8:])
    tokens, weighted = max(1, size.tokens), settings.rollout.importance != "none"
    return UpdateFigures(
        loss=loss,
        kl=kl / tokens,
        entropy=entropy / tokens,
        clip_low=clipped_low / tokens,
        clip_high=clipped_high / tokens,
        ratio_max=ratio_max,
        logp_gap_mean=logp_gap / tokens,
        logp_gap_max=logp_gap_max,
        importance=importance / tokens if weighted else None,
        importance_cut=importance_cut / tokens if weighted else None,
        grad_norm=grad_norm,
    )
