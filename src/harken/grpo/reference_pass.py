"""Scores the sampled completions with the reference, the policy that the run started from, for the KL term.

The pass needs no rewards, so it runs while the judge still works.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from harken.config import GrpoConfig
from harken.grpo.micro_batch import SampledBatch, ScoredBatch
from harken.grpo.out_of_memory import halve_until_it_fits
from harken.inference.log_probabilities import score_packed, score_repeated
from harken.models.audio_lm import AudioLM
from harken.models.sharding import reshard
from harken.system.ranks import SINGLE_PROCESS, Ranks


def score_with_reference(
    policy: AudioLM,
    reference: AudioLM | None,
    batches: Sequence[SampledBatch],
    settings: GrpoConfig,
    warn: Callable[[str], None] = lambda line: None,
    ranks: Ranks = SINGLE_PROCESS,
) -> list[ScoredBatch]:
    """Each batch with the reference's log-probabilities of its completions, in halves where memory did not suffice.

    Args:
        reference: None where the run keeps none (`beta: 0`).
        warn: called with a line where a micro-batch is halved.
    """
    if reference is None:
        return [ScoredBatch(batch, None) for batch in batches]
    parts = list(batches)
    scored = halve_until_it_fits(
        parts,
        lambda: [ScoredBatch(batch, _reference_logp(policy, reference, batch, settings)) for batch in parts],
        warn=warn,
        ranks=ranks,
    )
    reshard(reference)
    return scored


def kl_where_nothing_moved(scored: Sequence[ScoredBatch]) -> tuple[float, int]:
    """(sum of the KL estimate in nats, number of tokens) between the policy that sampled and the reference.

    Before the first update the two have the same weights, so anything above 0 is the error of an approximate reference.
    """
    total, tokens = 0.0, 0
    for batch in scored:
        if batch.reference_logp is None or not batch.sampled.responses:  # without a response it is a stand-in
            continue
        completions = batch.sampled.completions
        gap = (batch.reference_logp - completions.logp)[completions.mask].double()
        total += float((gap.exp() - gap - 1).sum())
        tokens += len(gap)
    return total, tokens


@torch.no_grad()
def _reference_logp(policy: AudioLM, reference: AudioLM, batch: SampledBatch, settings: GrpoConfig) -> Tensor:
    """[R, L]."""
    temperature = settings.temperature if settings.temperature_in_loss else 1.0
    if settings.policy_pass == "repeated":
        return score_repeated(reference, batch.inputs, batch.completions, temperature).logp
    # A tower that does not train is the reference's tower too.
    audio = None if policy.audio_trains else batch.audio
    if audio is None:
        audio = reference.encode_audio(batch.inputs)
    return score_packed(reference, reference.embed(batch.inputs, audio), batch.completions, temperature).logp
