"""Each clip of a step is encoded once, for all completions and passes that may share it."""

import pytest
from small_steps import collected, policy_of, settings, sgd, update
from tiny_models import ARCHITECTURES

from harken.models.policy import frozen_copy


class CountedClips:
    """Counts the clips that a model encodes."""

    def __init__(self, model):
        self.n = 0
        self._encode = model.encode_audio
        model.encode_audio = self._counted

    def _counted(self, inputs):
        self.n += sum(model_input.features is not None for model_input in inputs)
        return self._encode(inputs)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize(
    ("tower", "iterations", "by_policy", "by_reference"),
    [(True, 1, 2, 2), (True, 2, 4, 2), (False, 1, 2, 0), (False, 2, 2, 0)],
    ids=["trained", "trained, two iterations", "frozen", "frozen, two iterations"],
)
def test_a_clip_is_encoded_once_per_prompt_and_step(arch, questions, tower, iterations, by_policy, by_reference):
    """Two of the three prompts have a clip. Only a second iteration of a trained tower, whose weights changed since,
    and a reference with another tower encode again."""
    policy = policy_of(arch, {"audio_tower": tower, "projector": tower, "language_model": True})
    reference = frozen_copy(policy)
    encoded, encoded_by_reference = CountedClips(policy), CountedClips(reference)
    if not tower:
        assert next(reference.parts["audio_tower"].parameters()).data_ptr() in {
            parameter.data_ptr() for parameter in policy.module.parameters()
        }
    config = settings(num_iterations=iterations)
    update(policy, reference, collected(policy, questions, config), config, sgd(policy.module, 0.01), 0.01)
    assert (encoded.n, encoded_by_reference.n) == (by_policy, by_reference)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_repeated_rows_encode_every_clip_again_for_each_completion(arch, questions):
    """This shows that the count above can fail: the plain form encodes each clip 1 + G times."""
    policy = policy_of(arch)
    encoded = CountedClips(policy)
    config = settings(policy_pass="repeated", beta=0.0)
    update(policy, None, collected(policy, questions, config), config, sgd(policy.module, 0.01), 0.01)
    assert encoded.n == 2 * (1 + 4)
