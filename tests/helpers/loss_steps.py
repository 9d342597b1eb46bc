"""Log-probabilities and advantages of a step, its loss by harken, and the same loss by TRL."""

import warnings
from collections import defaultdict
from types import SimpleNamespace

import torch

from harken.grpo.loss import grpo_loss

with warnings.catch_warnings():
    # TRL and what it imports warn while loading (experimental parts, optional back ends); none of it runs here.
    warnings.simplefilter("ignore")
    from trl.trainer.grpo_trainer import GRPOTrainer

R, L, LONGEST = 12, 5, 8
NORMALIZATIONS = ("grpo", "dr_grpo", "dapo")


def small_step() -> SimpleNamespace:
    """Log-probabilities of a step: ratios are far enough from 1 to be clipped on both sides, one row is masked."""
    torch.manual_seed(0)
    logp = -3 * torch.rand(R, L, dtype=torch.float64)
    lengths = torch.tensor([5, 1, 3, 0, 4, 2] * 2)
    return SimpleNamespace(
        logp=logp,
        old=logp + 0.3 * torch.randn(R, L, dtype=torch.float64),
        ref=logp + 0.5 * torch.randn(R, L, dtype=torch.float64),
        advantages=torch.tensor([1.2, -0.7, -1.1, 0.4, 0.9, 0.0, -1.2, 0.7, 1.1, 0.4, -0.9, -0.1], dtype=torch.float64),
        mask=torch.arange(L) < lengths[:, None],
    )


def ours(step, old, beta, normalization, rows=slice(None), logp=None, importance=None, objective="clipped"):
    return grpo_loss(
        step.logp[rows] if logp is None else logp,
        None if old is None else old[rows],
        step.ref[rows] if beta else None,
        step.advantages[rows],
        step.mask[rows],
        beta=beta,
        clip_low=0.2,
        clip_high=0.28,
        normalization=normalization,
        max_completion_tokens=LONGEST,
        total_rows=R,
        total_tokens=int(step.mask.sum()),
        importance=None if importance is None else importance[rows],
        objective=objective,
    )


def loss_and_gradient(compute, logp):
    logp = logp.clone().requires_grad_()
    loss = compute(logp)
    loss.backward()
    return loss.detach(), logp.grad


def trl_loss(step, old, beta, normalization, logp, importance=None, objective="clipped"):
    """Call TRL's loss method on a bare object that has only what the method reads.

    Its cispo is one mean over all tokens, whatever the normalization, and its epsilon_high is the cap itself.
    """
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logp, torch.zeros_like(logp), None),
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
        model=SimpleNamespace(training=True),
        accelerator=SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x),
        current_gradient_accumulation_steps=1,
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        importance_sampling_level="sequence" if objective == "gspo" else "token",
        use_vllm=importance is not None,
        vllm_importance_sampling_correction=True,
        beta=beta,
        epsilon_low=0.2,
        epsilon_high=1.28 if objective == "cispo" else 0.28,
        loss_type="cispo" if objective == "cispo" else normalization,
        max_completion_length=LONGEST,
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )
    inputs = {
        "prompt_ids": torch.zeros(R, 2, dtype=torch.long),
        "prompt_mask": torch.ones(R, 2, dtype=torch.long),
        "completion_ids": torch.zeros(R, L, dtype=torch.long),
        "completion_mask": step.mask.long(),
        "advantages": step.advantages,
        "ref_per_token_logps": step.ref,
        "num_items_in_batch": step.mask.sum(),
    }
    if old is not None:
        inputs["old_per_token_logps"] = old
    if importance is not None:
        inputs["importance_sampling_ratio"] = importance
    loss = GRPOTrainer._compute_loss(trainer, None, inputs)
    return loss, {name: values[0] for name, values in trainer._metrics["train"].items()}
