"""Truncated importance weights: the correction for an engine that samples from almost, but not quite, the policy.

An engine's kernels round differently from the training pass, so its samples are drawn from mu and not from the policy
pi. Each token's policy term is multiplied by min(pi / mu, cap), in which pi is the policy's own first pass over the
completions. This is `token_truncate` of `vllm_importance_sampling_correction` in TRL 1.16 and `rollout_is: token` in
verl; truncation bounds the variance (Ionides 2008, "Truncated importance sampling").
"""

from torch import Tensor


def importance_weights(policy_logp: Tensor, sampled_logp: Tensor, mask: Tensor, cap: float) -> Tensor:
    """[R, L] min(exp(policy - sampled), cap) for each token, without a graph; 1 where masked.

    Args:
        policy_logp: [R, L] log-probabilities under the policy that the engine's weights are of, nats.
        sampled_logp: [R, L] those that the engine sampled with.
        mask: [R, L] bool. Values elsewhere are never read.
    """
    gap = (policy_logp.detach() - sampled_logp.to(policy_logp)).masked_fill(~mask, 0.0)
    return gap.exp().clamp(max=cap)
