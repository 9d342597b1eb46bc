"""GSPO, CISPO, RLOO and REINFORCE++ beside verl's own functions, on the same numbers: verl_objectives.py CHECKOUT

    git clone https://github.com/volcengine/verl && git -C verl checkout b178a3c
    python benchmarks/peers/verl_objectives.py verl

verl itself need not be installed: the functions are taken out of its files by name. It prints the largest difference of
losses, gradients and advantages in float64, and ends with 1 where one is above 1e-8. What is left are verl's own small
constants, which it adds to denominators.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harken.grpo.advantage import OVER_STEP, Estimator, group_values, moments, over_step
from harken.grpo.loss import grpo_loss
from harken.grpo.objectives import Objective

MASKED = ("masked_sum", "masked_mean", "masked_var", "masked_whiten")
OBJECTIVES: dict[Objective, tuple[str, float]] = {
    "gspo": ("compute_policy_loss_gspo", 0.2),
    "cispo": ("compute_policy_loss_cispo", 1.0),
}
"""Objective -> verl's function, and its lower bound: 1.0 leaves cispo without one, as harken's is."""
ESTIMATORS: dict[Estimator, str] = {
    "rloo": "compute_rloo_outcome_advantage",
    "reinforce_pp": "compute_reinforce_plus_plus_outcome_advantage",
    "reinforce_pp_baseline": "compute_reinforce_plus_plus_baseline_outcome_advantage",
}
PROMPTS, GROUP, LONGEST, CLIP_HIGH, MOST = 4, 3, 5, 0.28, 1e-8
LENGTHS = torch.tensor([5, 1, 3, 2, 4, 2] * 2)
MASK = torch.arange(LONGEST) < LENGTHS[:, None]


def main(checkout: Path) -> int:
    verl = functions_of(checkout)
    torch.manual_seed(0)
    gaps = dict([*objective_gaps(verl), *estimator_gaps(verl)])
    for name, gap in gaps.items():
        print(f"{name}: {gap:.1e}")
    return int(max(gaps.values()) > MOST)


def functions_of(checkout: Path) -> dict[str, Any]:
    """verl's functions by name, run without its decorators, which register them."""
    names: dict[str, Any] = {"torch": torch, "np": np, "defaultdict": defaultdict, "ActorConfig": SimpleNamespace}
    take(checkout / "verl" / "utils" / "torch_functional.py", MASKED, names)
    names["verl_F"] = SimpleNamespace(**{name: names[name] for name in MASKED})
    wanted = ("agg_loss", *(name for name, _ in OBJECTIVES.values()), *ESTIMATORS.values())
    take(checkout / "verl" / "trainer" / "ppo" / "core_algos.py", wanted, names)
    return names


def take(file: Path, wanted: tuple[str, ...], names: dict[str, Any]) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kept = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in wanted]
    missing = set(wanted) - {node.name for node in kept}
    if missing:
        raise SystemExit(f"{file} has no function {', '.join(sorted(missing))}: check out commit b178a3c")
    for node in kept:
        node.decorator_list, node.returns = [], None
        for argument in (*node.args.args, *node.args.kwonlyargs):
            argument.annotation = None
    exec(compile(ast.Module(kept, []), str(file), "exec"), names)


def objective_gaps(verl: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Loss and gradient of a step whose ratios are clipped on both sides."""
    rows = PROMPTS * GROUP
    logp = -3 * torch.rand(rows, LONGEST, dtype=torch.float64)
    old = logp + 0.3 * torch.randn(rows, LONGEST, dtype=torch.float64)
    advantages = torch.randn(rows, dtype=torch.float64)
    for objective, (name, low) in OBJECTIVES.items():
        config = SimpleNamespace(clip_ratio=0.2, clip_ratio_low=low, clip_ratio_high=CLIP_HIGH, global_batch_info={})

        def theirs(policy: Tensor, name: str = name, config: SimpleNamespace = config) -> Tensor:
            return verl[name](old, policy, advantages[:, None].expand_as(policy), MASK.double(), config=config)[0]

        def ours(policy: Tensor, objective: Objective = objective, low: float = low) -> Tensor:
            return grpo_loss(
                *(policy, old, None, advantages, MASK),
                **{"beta": 0.0, "clip_low": min(low, 0.999), "clip_high": CLIP_HIGH, "objective": objective},
                normalization="grpo" if objective == "gspo" else "dapo",
                **{"max_completion_tokens": LONGEST, "total_rows": rows, "total_tokens": int(MASK.sum())},
            ).loss

        for part, one_side, other in zip(
            ("loss", "gradient"), differentiated(theirs, logp), differentiated(ours, logp), strict=True
        ):
            yield f"{objective}, {part}", float((one_side - other).abs().max())


def differentiated(loss_of: Callable[[Tensor], Tensor], logp: Tensor) -> tuple[Tensor, Tensor]:
    policy = logp.clone().requires_grad_()
    loss = loss_of(policy)
    (gradient,) = torch.autograd.grad(loss, policy)
    return loss.detach(), gradient


def estimator_gaps(verl: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Advantages of completions of different lengths, a number for each token."""
    rewards = torch.rand(PROMPTS, GROUP, dtype=torch.float64)
    of_tokens = torch.zeros(PROMPTS * GROUP, LONGEST, dtype=torch.float64)
    of_tokens[torch.arange(PROMPTS * GROUP), LENGTHS - 1] = rewards.flatten()
    for estimator, name in ESTIMATORS.items():
        index = {} if estimator == "reinforce_pp" else {"index": np.repeat(np.arange(PROMPTS), GROUP)}
        config = SimpleNamespace(gamma=1.0)
        theirs = verl[name](of_tokens.clone(), MASK.double(), config=config, **index)[0]
        ours = group_values(estimator, rewards, {}, {}, scale=True).flatten()
        if estimator in OVER_STEP:
            ours = over_step(estimator, ours, moments(ours.tolist(), LENGTHS.tolist()))
        yield estimator, float((theirs * MASK - ours[:, None] * MASK).abs().max())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
