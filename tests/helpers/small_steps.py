"""Steps of GRPO of tiny models on three questions: sampled, rewarded and updated, and what moved by them."""

import torch
from tiny_models import EVERYTHING, perturbed, speaking, tiny_model

from harken.config import GrpoConfig, PromptConfig, RewardConfig
from harken.grpo.micro_batch import ScoredBatch
from harken.grpo.reference_pass import score_with_reference
from harken.grpo.rewarding import Rewarder
from harken.grpo.sample_completions import sample_completions
from harken.grpo.update import update as update_from
from harken.inference.engine import OwnEngine
from harken.inference.prompt_inputs import PromptInputs
from harken.questions.prompt import Prompt

PROMPT = Prompt.from_config(PromptConfig())
CHOICES = ("one", "two", "three")


def settings(**changes) -> GrpoConfig:
    values = {
        **{"completions_per_prompt": 4, "max_completion_tokens": 4, "temperature": 1.2},
        **{"max_grad_norm": 1e9, "beta": 0.04, "learning_rate": 1e-3},
        **changes,
    }
    if values.get("normalization") == "dr_grpo":
        values["scale_rewards"] = False
    return GrpoConfig.model_validate(values)


def policy_of(arch, trained=EVERYTHING):
    policy = speaking(tiny_model(arch), "one", "two", "three", sharpness=0.4)
    with torch.no_grad():
        policy.module.lm_head.bias[list(policy.eos_token_ids)] += 0.7
    if policy.adapters is None:
        policy.set_trainable(**trained)
    return policy


class AnotherPolicy(OwnEngine):
    """An engine whose weights are not quite those of the policy."""

    def holding(self, policy):
        return super().holding(perturbed(policy, 0.03, seed=5))


def collected(policy, questions, config, weights=RewardConfig(), seed=0, inputs=None):  # noqa: B008
    inputs = inputs or PromptInputs(policy, PROMPT, cache_gib=1)
    engine = None if config.rollout.importance == "none" else AnotherPolicy()
    sampled = sample_completions(policy, questions, inputs(questions), PROMPT, config, seed=seed, step=1, engine=engine)
    return rewarded(sampled, config, weights).batches


def rewarded(sampled, config, weights=RewardConfig()):  # noqa: B008
    return Rewarder(weights, config, PROMPT).reward([ScoredBatch(batch, None) for batch in sampled], progress=0.0)


def update(policy, reference, batches, config, optimizer, rate):
    scored = score_with_reference(policy, reference, [batch.sampled for batch in batches], config)
    for batch, with_reference in zip(batches, scored, strict=True):
        batch.reference_logp = with_reference.reference_logp
    return update_from(policy, batches, config, optimizer, rate)


def spread_advantages(batches):
    """Set advantages that differ from row to row, whatever the completions are."""
    for batch in batches:
        batch.advantages = torch.linspace(-1, 1, len(batch.advantages), dtype=torch.float64)
    return batches


def trained_of(module) -> dict[str, torch.Tensor]:
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def sgd(module, rate) -> torch.optim.Optimizer:
    return torch.optim.SGD(trained_of(module).values(), lr=rate)


def moved(policy, start) -> dict[str, torch.Tensor]:
    now = dict(policy.module.named_parameters())
    return {name: (now[name] - before).detach() for name, before in start.items()}


def assert_same_move(actual, expected, tolerance):
    """Compare each tensor, relative to its own norm, or to 1e-3 of the norm of all where that is larger."""
    whole = torch.stack([move.norm() for move in expected.values()]).norm()
    assert whole > 0
    for name, move in expected.items():
        error = (actual[name] - move).norm() / torch.clamp(move.norm(), min=1e-3 * whole)
        assert error < tolerance, (name, float(error))


def weights_of(policy):
    return {name: parameter.detach().clone() for name, parameter in policy.module.named_parameters()}
