"""A step moves what a recipe trains, and leaves frozen parts and the reference as they are, bit for bit."""

import pytest
from small_steps import collected, moved, policy_of, settings, sgd, spread_advantages, trained_of, update, weights_of
from tiny_models import ARCHITECTURES, EVERYTHING, tiny_model

from harken.models.policy import frozen_copy
from harken.training.optimizer import build_optimizer

PARTS = {
    "audio tower": {**dict.fromkeys(EVERYTHING, False), "audio_tower": True},
    "projector": {**dict.fromkeys(EVERYTHING, False), "projector": True},
    "language model": {**dict.fromkeys(EVERYTHING, False), "language_model": True},
}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_three_switches_name_disjoint_parts_that_cover_what_trains(arch):
    model = tiny_model(arch)
    names = {}
    for part, switches in PARTS.items():
        model.set_trainable(**switches)
        names[part] = set(trained_of(model.module))
        assert names[part]
        assert model.audio_trains == (part != "language model")
    assert sum(map(len, names.values())) == len(set().union(*names.values()))
    model.set_trainable(**EVERYTHING)
    assert set().union(*names.values()) == set(trained_of(model.module))
    model.set_trainable(**dict.fromkeys(EVERYTHING, False))
    assert not trained_of(model.module)
    assert not model.audio_trains


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("part", [*PARTS, "everything"])
def test_frozen_parts_stay_bit_for_bit_and_trained_parts_change(arch, questions, part):
    """The step has audio and text; one micro-batch has no clip."""
    policy = policy_of(arch, PARTS.get(part, EVERYTHING))
    before, trains = weights_of(policy), set(trained_of(policy.module))
    config = settings(tokens_per_micro_batch=1)
    optimizer = build_optimizer(policy.module, learning_rate=1e-3, betas=(0.9, 0.999), weight_decay=0.0)
    batches = spread_advantages(collected(policy, questions, config))
    figures = update(policy, frozen_copy(policy), batches, config, optimizer, 1e-3)
    changed = {name for name, move in moved(policy, before).items() if bool((move != 0).any())}
    assert changed <= trains
    assert len(changed) > 0.9 * len(trains)
    assert figures.grad_norm > 0
    assert all(parameter.grad is None for parameter in policy.module.parameters())


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_step_of_text_alone_leaves_a_model_of_which_only_the_tower_trains_as_it_is(arch, questions):
    policy = policy_of(arch, PARTS["audio tower"])
    before = weights_of(policy)
    batches = spread_advantages(collected(policy, [questions[1]], settings()))
    figures = update(policy, frozen_copy(policy), batches, settings(), sgd(policy.module, 1.0), 1.0)
    assert figures.grad_norm == 0.0
    assert not any((move != 0).any() for move in moved(policy, before).values())


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_reference_never_changes_and_shares_what_does_not_train(arch, questions):
    policy = policy_of(arch, {"audio_tower": False, "projector": True, "language_model": True})
    trains = set(trained_of(policy.module))
    reference = frozen_copy(policy)
    own, theirs = dict(policy.module.named_parameters()), dict(reference.module.named_parameters())
    assert own.keys() == theirs.keys()
    for name in own:
        assert (own[name].data_ptr() == theirs[name].data_ptr()) == (name not in trains), name
    assert not trained_of(reference.module)
    assert not reference.module.training
    assert set(trained_of(policy.module)) == trains
    before = weights_of(reference)
    for _ in range(2):
        batches = spread_advantages(collected(policy, questions, settings(num_iterations=2)))
        figures = update(policy, reference, batches, settings(num_iterations=2), sgd(policy.module, 0.1), 0.1)
    assert figures.kl > 0
    assert not any((move != 0).any() for move in moved(reference, before).values())
    assert not reference.module.training
