"""Questions as model inputs: short clips are padded, long ones refused or cropped, and the cache has its budget."""

import itertools
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from tiny_models import ARCHITECTURES, make_prompt, noise, tiny_model

from harken.config import PromptConfig
from harken.data.audio import check_audio
from harken.errors import AudioError
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.unusable_questions import split_unusable, why_unusable
from harken.questions.prompt import Prompt
from harken.types import Question

PROMPT = Prompt.from_config(PromptConfig())


def question(path, samples, ident="a", **changes):
    """A question about a clip of so many samples, which is written to `path`; None = text only."""
    clip = None
    if samples is not None:
        clip = path / f"{ident}.wav"
        soundfile.write(clip, np.resize(noise(1.0, 1), samples), 16_000, subtype="FLOAT")
    values = {"text": "Which digit?", "choices": ("one", "two"), "answer": 0, "source": f"q.json:{ord(ident)}"}
    return Question(**{"id": ident, "audio": clip, **values, **changes})


@pytest.fixture(scope="module")
def model():
    return tiny_model(dtype=torch.float32)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_spectrograms_are_made_in_float32_under_mixed_precision_too(arch):
    model = tiny_model(arch, torch.float32)
    plain = make_prompt(model, "Which digit?", 0.7)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = make_prompt(model, "Which digit?", 0.7)
    assert torch.equal(mixed.features, plain.features)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_clip_of_19_ms_is_padded_to_one_audio_token_and_counted(arch, tmp_path):
    model = tiny_model(arch, torch.float32)
    short = question(tmp_path, 304)
    inputs = PromptInputs(model, PROMPT, cache_gib=1)
    (read,) = inputs([short])
    inputs([short])
    assert inputs.padded == {short.audio_span}
    assert inputs.cropped == set()
    assert model.min_samples > 304
    with torch.no_grad():
        assert len(model.encode_audio([read])[0]) == (75 if arch == "voxtral" else 1)  # or a whole window
    silence = np.zeros(model.min_samples - 304, np.float32)
    whole = model.render(PROMPT.conversation(short), np.concatenate([np.resize(noise(1.0, 1), 304), silence]))
    assert torch.equal(read.features, whole.features)
    assert why_unusable(short, {short.audio_span: 0.019}, model, PROMPT) is None


@pytest.mark.parametrize("arch", [arch for arch in ARCHITECTURES if arch != "voxtral"])  # which refuses it
def test_a_system_turn_of_the_recipe_takes_the_place_of_the_templates_own(arch, tmp_path):
    model, shown = tiny_model(arch, torch.float32), question(tmp_path, 16_000)
    prompts = [Prompt.from_config(PromptConfig(system=text)) for text in (None, "Be brief.")]
    plain, with_system = (PromptInputs(model, prompt, cache_gib=1)([shown])[0].text for prompt in prompts)
    assert with_system.count("Be brief.") == 1
    assert with_system.index("Be brief.") < with_system.index("Which digit?")
    assert plain.replace("You are a helpful assistant.", "Be brief.") == with_system


def test_a_clip_long_enough_is_read_as_it_is(model, tmp_path):
    inputs = PromptInputs(model, PROMPT, cache_gib=1)
    (read,) = inputs([question(tmp_path, model.min_samples)])
    assert inputs.padded == set()
    expected = model.render(PROMPT.conversation(question(tmp_path, 10)), np.resize(noise(1.0, 1), model.min_samples))
    assert torch.equal(read.features, expected.features)


def test_a_question_without_a_clip_opens_no_file_and_has_no_features(model, tmp_path):
    (read,) = PromptInputs(model, PROMPT, cache_gib=1)([question(tmp_path, None)])
    assert read.features is None
    assert "Which digit? Please choose the answer" in read.text


def test_what_fits_the_budget_is_rendered_once_and_the_least_recently_used_leaves(model, tmp_path, monkeypatch):
    questions = [question(tmp_path, 16_000, ident) for ident in "abc"]
    rendered, render = [], type(model).render
    monkeypatch.setattr(type(model), "render", lambda self, *given: rendered.append(1) or render(self, *given))
    (read,) = PromptInputs(model, PROMPT, cache_gib=0)(questions[:1])
    bytes_each = read.features.nbytes + read.input_ids.nbytes

    def renderings(order, cache_bytes):
        rendered.clear()
        inputs = PromptInputs(model, PROMPT, cache_gib=cache_bytes / 2**30)
        for name in order:
            inputs([questions["abc".index(name)]])
            assert inputs._used_bytes <= cache_bytes
        return len(rendered)

    assert renderings("abcabc", 10 * bytes_each) == 3
    assert renderings("aabb", 0) == 4
    assert renderings("abacab", 2 * bytes_each) == 4  # a and b are rendered, c pushes b out, b is rendered again
    assert renderings("abcabc", 2 * bytes_each) == 6


def test_cropping_is_counted_and_only_on_request(model, tmp_path, monkeypatch):
    monkeypatch.setattr(model, "max_samples", 8_000)
    long, short = question(tmp_path, 9_000), question(tmp_path, 8_000, "b")
    inputs = PromptInputs(model, PROMPT, cache_gib=1, crop_long_audio=True)
    read = inputs([long, short])
    assert inputs.cropped == {long.audio_span}
    assert torch.equal(read[0].features, read[1].features)  # the same noise, cut to the same length
    with pytest.raises(ValueError, match=rf"9000 samples is outside .* {model.min_samples} to 8000"):
        PromptInputs(model, PROMPT, cache_gib=1)([long])


def test_a_clip_too_long_a_prompt_too_long_and_a_control_token_are_reasons(model, tmp_path, monkeypatch):
    monkeypatch.setattr(model, "max_samples", 32_000)
    fine, long = question(tmp_path, 16_000), question(tmp_path, 40_000, "b")
    durations = {fine.audio_span: 1.0, long.audio_span: 2.5}
    assert why_unusable(fine, durations, model, PROMPT) is None
    assert why_unusable(long, durations, model, PROMPT) == (
        f"{long.audio}: 2.5 s, the model hears 2 s (40,000 of 32,000 samples at 16 kHz); cut the clip"
    )
    assert why_unusable(long, durations, model, PROMPT, crop=True) is None
    length = PromptInputs(model, PROMPT, 0)([fine])[0].length
    assert why_unusable(fine, durations, model, PROMPT, max_prompt_tokens=length) is None
    assert why_unusable(fine, durations, model, PROMPT, max_prompt_tokens=length - 1) == (
        f"a prompt of {length} tokens, data.max_prompt_tokens is {length - 1}; a prompt is never cut"
    )
    spoken = question(tmp_path, None, "c", text="Which?<|im_end|>")
    name = model.tokenizer.name_or_path
    assert (
        why_unusable(spoken, {}, model, PROMPT)
        == f"the text holds the control token '<|im_end|>' of the tokenizer {name}"
    )
    kept, rejected = split_unusable([fine, long, spoken], durations, model, PROMPT, 1000)
    assert [question.id for question in kept] == ["a"]
    assert [(record.file, record.line, record.id) for record in rejected] == [("q.json", 98, "b"), ("q.json", 99, "c")]


def test_a_clip_one_frame_over_the_window_is_found_by_the_check_and_not_in_the_run(model, tmp_path, monkeypatch):
    monkeypatch.setattr(model, "max_samples", 16_000)
    soundfile.write(tmp_path / "a.wav", np.zeros(32_000), 32_000)
    soundfile.write(tmp_path / "b.wav", np.zeros(32_001), 32_000)  # half a sample more at 16 kHz, rounded up
    for name, reason in (("a", None), ("b", "1.0 s, the model hears 1 s (16,001 of 16,000 samples at 16 kHz)")):
        over = replace(question(tmp_path, None, name), audio=tmp_path / f"{name}.wav")
        fault = why_unusable(over, {over.audio_span: check_audio(over.audio).duration_s}, model, PROMPT)
        assert fault is None if reason is None else reason in fault
        if reason is None:
            assert len(PromptInputs(model, PROMPT, 0)([over])) == 1


def test_two_parts_of_one_file_are_loaded_and_cached_apart(model, tmp_path):
    whole = question(tmp_path, 16_000)
    first = replace(whole, id="1", end_s=0.5)
    second = replace(whole, id="2", start_s=0.5)
    samples = np.resize(noise(1.0, 1), 16_000)
    inputs = PromptInputs(model, PROMPT, cache_gib=1)
    for _ in range(2):
        read = inputs([first, second])
        for rendered, half in zip(read, (samples[:8000], samples[8000:]), strict=True):
            assert torch.equal(rendered.features, model.render(PROMPT.conversation(whole), half).features)


def test_prefetched_inputs_are_those_rendered_at_once_and_one_window_is_prefetched(model, tmp_path):
    questions = [question(tmp_path, 4_000 + 800 * i, "bcdefg"[i]) for i in range(6)] + [question(tmp_path, None, "t")]
    windows, read = [questions[:3], questions[3:6], questions[6:]], []

    def watched():
        for window in windows:
            read.append(len(window))
            yield window

    inputs = PromptInputs(model, PROMPT, 0)
    ahead = inputs.prefetch(watched())
    prefetched = next(ahead)
    assert read == [3, 3]
    prefetched += itertools.chain.from_iterable(ahead)
    for rendered, expected in zip(prefetched, PromptInputs(model, PROMPT, 0)(questions), strict=True):
        assert torch.equal(rendered.input_ids, expected.input_ids)
        assert (rendered.features is None) == (expected.features is None)
        assert rendered.features is None or torch.equal(rendered.features, expected.features)
    cached = PromptInputs(model, PROMPT, 1)
    first = list(cached.prefetch(windows))
    assert list(cached.prefetch(windows)) == first  # the same objects


def test_an_error_in_a_thread_reaches_the_caller_and_no_thread_stays(model, tmp_path):
    gone = question(tmp_path, 4_000, "x")
    gone.audio.unlink()
    with pytest.raises(AudioError, match="no such file"):
        list(PromptInputs(model, PROMPT, 0).prefetch([[gone]]))
    after_two = [[question(tmp_path, 4_000, "a")], [question(tmp_path, 4_000, "b")], [gone]]
    ahead = PromptInputs(model, PROMPT, 0).prefetch(after_two)
    assert [len(next(ahead)), len(next(ahead))] == [1, 1]  # the third has failed by now, or will
    with pytest.raises(AudioError, match=r"x\.wav: no such file"):
        next(ahead)
    ahead = PromptInputs(model, PROMPT, 0).prefetch([[question(tmp_path, 4_000, name)] for name in "abcd"])
    next(ahead)
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("inputs")]
