"""The listening reward: what the clip adds to a completion, by scoring the same tokens again without the clip.

The gain of a completion o for question q and clip a is log p(o | q, a) - log p(o | q, other), in nats, where `other` is
nothing, silence, noise or another clip. It is the pointwise mutual information of completion and clip. MAPO (arXiv
2605.27741) compares an audio-ablated pass with the policy in the same way to weight tokens, and PAPO (arXiv 2507.06448)
adds the mean of the gain, a KL divergence, to the objective; here it is a bounded part of the reward [O].
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harken.config import ListeningOptions


@dataclass(frozen=True, slots=True)
class HeardCompletion:
    """How likely a completion is with its clip and without it.

    Attributes:
        tokens: its tokens, up to and including the end-of-sequence token.
        with_clip, without_clip: its log-probability, in nats, summed over its tokens.
        correct: whether its answer is right.
    """

    tokens: tuple[int, ...]
    with_clip: float
    without_clip: float
    correct: bool

    @property
    def gain_nats(self) -> float:
        return self.with_clip - self.without_clip


def listening(group: Sequence[HeardCompletion], options: ListeningOptions) -> list[float]:
    """The listening reward of each completion of one question about a clip, in [-1, 1] (docs/rewards.md).

    Without the clip, the probability of the right answers that the group gives is a lower bound of that of all right
    answers, since answers that no completion gave are not scored.
    """
    if options.measure == "correctness":
        right = {each.tokens: each.without_clip for each in group if each.correct}
        probability = min(1.0, sum(math.exp(min(0.0, logp)) for logp in right.values()))
        return [1.0 - probability if each.correct else 0.0 if options.only_correct else -probability for each in group]
    return [_bounded(each, options) if each.correct or not options.only_correct else 0.0 for each in group]


def _bounded(completion: HeardCompletion, options: ListeningOptions) -> float:
    divisor = options.bound * (len(completion.tokens) if options.per_token else 1)
    return min(1.0, max(-1.0, completion.gain_nats / divisor))
