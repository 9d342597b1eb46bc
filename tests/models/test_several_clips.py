"""A prompt about several clips: its logits are those of transformers' own forward, and each clip has its own place."""

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURES, PADS_CLIPS_TOGETHER, make_prompt, noise, plain_arguments, tiny_model

SECONDS = (1.2, 1.43, 1.05)


def conversation(clips: int) -> list:
    places = [{"type": "audio"} for _ in range(clips)]
    return [{"role": "user", "content": [*places, {"type": "text", "text": "Which one is louder?"}]}]


def clips() -> list[np.ndarray]:
    return [noise(seconds, seed) for seed, seconds in enumerate(SECONDS)]


@torch.no_grad()
def plain_logits(module, inputs) -> list[torch.Tensor]:
    """Logits at every position of each prompt by the class's own forward, left-padded to one batch."""
    if module.config.model_type in PADS_CLIPS_TOGETHER and len(inputs) > 1:
        return [logits for prompt in inputs for logits in plain_logits(module, [prompt])]
    arguments = plain_arguments(inputs, module)
    arguments["input_features"] = arguments["input_features"].to(module.lm_head.weight.dtype)
    positions = (arguments["attention_mask"].cumsum(-1) - 1).clamp(min=0)
    if "omni" in module.config.model_type:
        positions = positions.expand(3, -1, -1)
    rows = module(**arguments, position_ids=positions, use_cache=False).logits
    return [row[-prompt.length :] for row, prompt in zip(rows, inputs, strict=True)]


@torch.no_grad()
def split_logits(model, inputs) -> list[torch.Tensor]:
    """The same by harken's separate steps, one prompt at a time."""
    logits = []
    for embedded in model.embed(inputs, model.encode_audio(inputs)):
        logits.append(model.logits(model.hidden(embedded[None], torch.arange(len(embedded))[None], None))[0])
    return logits


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_logits_of_a_prompt_about_three_clips_equal_the_plain_forward(arch):
    model = tiny_model(arch)
    inputs = [model.render(conversation(3), clips()), make_prompt(model, "Which digit?", 0.5, 9)]
    assert inputs[0].text.count(model._chat.audio_token) == 3
    for own, plain in zip(split_logits(model, inputs), plain_logits(model.module, inputs), strict=True):
        assert (own - plain).abs().max() < 1e-9


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_clip_of_a_prompt_is_encoded_as_it_is_alone_in_the_order_of_its_places(arch):
    model = tiny_model(arch)
    alone = [model.render(conversation(1), clip) for clip in clips()]
    with torch.no_grad():
        [together] = model.encode_audio([model.render(conversation(3), clips())])
        expected = torch.cat(model.encode_audio(alone))
    assert together.shape == expected.shape
    assert (together - expected).abs().max() < 1e-9


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_one_clip_in_a_list_is_the_clip_alone(arch):
    model = tiny_model(arch)
    listed, alone = model.render(conversation(1), clips()[:1]), model.render(conversation(1), clips()[0])
    assert (listed.text, listed.clip_frames) == (alone.text, ())
    assert torch.equal(listed.input_ids, alone.input_ids)
    assert torch.equal(listed.features, alone.features)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_length_is_known_without_the_clips_and_a_wrong_number_is_refused(arch):
    model = tiny_model(arch)
    rendered = model.render(conversation(3), clips())
    assert rendered.length == model.prompt_length(conversation(3), [len(clip) for clip in clips()])
    assert [clip.shape[1] for clip in rendered.clips] == list(rendered.clip_frames)
    with pytest.raises(ValueError, match="3 audio places in the rendered prompt for 2 clips"):
        model.render(conversation(3), clips()[:2])
