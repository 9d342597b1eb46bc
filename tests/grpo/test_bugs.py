"""Bugs of public code, with one test each. Each test was seen to fail when its bug was put in.

Where another file proves it: only the first channel of stereo used (data/test_audio_files.py), numbers found in the
reasoning (test_answer.py), a format reward always granted (test_rewards.py), updates lost in bfloat16 (test_step.py),
rollouts without a cache in train mode (test_rollout.py).
"""

import copy
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from plain_classes import PLAIN_CLASSES
from rich.console import Console
from tiny_models import (
    ARCHITECTURES,
    MODELS,
    completions,
    make_prompt,
    noise,
    plain_arguments,
    plain_logp,
    speaking,
    tiny_folder,
    tiny_model,
)

from harken.config import EvaluationRecipe, GrpoConfig, PromptConfig, Recipe
from harken.evaluation import evaluate as evaluation
from harken.evaluation import evaluated_model
from harken.grpo.sample_completions import sample_completions
from harken.inference import packed_rows
from harken.inference.log_probabilities import score_packed, score_repeated
from harken.inference.prefill import next_token_logits
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.loading import load_model
from harken.models.policy import enable_gradient_checkpointing
from harken.models.tiny_checkpoint import write_tiny
from harken.questions.prompt import Prompt
from harken.training.run_folder import RunFolder
from harken.training.training_data import load_training_data, read_training_data
from harken.types import Question

PROMPT = Prompt.from_config(PromptConfig())
QUIET = Console(quiet=True)


def write_clip(path: Path, seconds: float, seed: int) -> Path:
    soundfile.write(path, noise(seconds, seed), 16_000, subtype="FLOAT")
    return path


def write_questions(path: Path, *records) -> Path:
    defaults = {"question": "Which?", "choices": ["one", "two"], "answer": "one"}
    path.write_text("\n".join(json.dumps({**defaults, **record}) for record in records), encoding="utf-8")
    return path


@pytest.mark.parametrize("arch", MODELS)
@pytest.mark.parametrize("form", [score_packed, score_repeated])
def test_1_audio_is_paired_with_the_completions_of_its_own_prompt(arch, form):
    """Two prompts differ only in their clip. Row r must be scored with clip r // G; with the other clip it differs."""
    model = tiny_model(arch)
    inputs = [make_prompt(model, "Which digit?", 0.8, seed=1), make_prompt(model, "Which digit?", 0.8, seed=2)]
    rows = completions(model, [3, 4, 2, 4, 3, 3])
    with torch.no_grad():
        given = inputs if form is score_repeated else model.embed(inputs, model.encode_audio(inputs))
        scored = form(model, given, rows).logp
        for r, length in enumerate(rows.lengths.tolist()):
            own, other = (plain_logp(model.module, inputs[p], rows.tokens[r, :length]) for p in (r // 3, 1 - r // 3))
            assert (scored[r, :length] - own).abs().max() < 1e-9
            assert (scored[r, :length] - other).abs().max() > 1e-3


@pytest.mark.parametrize("arch", MODELS)
def test_1_a_step_samples_grades_and_scores_each_row_with_its_own_question_and_clip(arch, tmp_path):
    model = speaking(tiny_model(arch), "one", "two", "three", sharpness=0.4)
    questions = [
        Question("a", "Which?", ("one", "dog"), 0, write_clip(tmp_path / "a.wav", 0.5, 1)),
        Question("b", "Which?", ("two", "cat"), 0, write_clip(tmp_path / "b.wav", 0.5, 2)),
    ]
    config = GrpoConfig(completions_per_prompt=5, max_completion_tokens=3)
    inputs = PromptInputs(model, PROMPT, 1)
    (batch,) = sample_completions(model, questions, inputs(questions), PROMPT, config, seed=0, step=1)
    read = inputs(questions)
    for r, length in enumerate(batch.completions.lengths.tolist()):
        with torch.no_grad():
            own = plain_logp(model.module, read[r // 5], batch.completions.tokens[r, :length])
        assert (batch.completions.logp[r, :length] - own).abs().max() < 1e-9
        said = batch.responses[r].text.strip()
        assert batch.responses[r].grade.correct == (said == ("one", "two")[r // 5])
    assert {True, False} == {said.grade.correct for said in batch.responses}


@pytest.mark.parametrize("arch", MODELS)
def test_2_a_prompt_of_20_seconds_is_scored_whole(arch):
    """Or as many seconds as the tiny model takes."""
    model = tiny_model(arch)
    seconds = min(20.0, model.max_samples / 16_000)
    one = make_prompt(model, "Which digit?", seconds)
    rows = completions(model, [3, 2])
    with torch.no_grad():
        scored = score_packed(model, model.embed([one], model.encode_audio([one])), rows).logp
        assert (scored[0, :3] - plain_logp(model.module, one, rows.tokens[0, :3])).abs().max() < 1e-9
    assert one.length > {"qwen3_omni_moe": 13, "voxtral": 12.5}.get(arch, 25) * seconds


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_2_the_length_of_a_prompt_is_known_without_rendering_it(arch):
    model = tiny_model(arch, torch.float32)
    conversation = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "Which digit?"}]}]
    for samples in [*range(model.min_samples, model.min_samples + 700, 37), 15_999, 16_000, 16_001, model.max_samples]:
        read = model.render(conversation, np.zeros(samples, np.float32))
        assert model.prompt_length(conversation, samples) == read.length
        with torch.no_grad():
            assert model.encode_audio([read])[0] is not None  # counts its features


def test_2_in_training_a_prompt_that_is_too_long_is_rejected_counted_and_listed_and_none_is_cut(tmp_path):
    for name, seconds in (("short", 0.5), ("long", 4.0), ("endless", 9.0)):
        write_clip(tmp_path / f"{name}.wav", seconds, 1)
    write_questions(tmp_path / "q.json", *({"id": n, "audio_id": f"{n}.wav"} for n in ("short", "long", "endless")))
    model = tiny_model(dtype=torch.float32)
    model.max_samples = 5 * 16_000
    values = {"train": [{"file": str(tmp_path / "q.json")}], "max_prompt_tokens": 100, "max_rejected_share": 0.9}
    recipe = Recipe.model_validate({"name": "x", "model": {"path": "x"}, "data": values})
    run = RunFolder.create(tmp_path / "run", recipe)
    loaded = read_training_data(recipe, run, QUIET)
    kept, _ = load_training_data(recipe, loaded, model, PROMPT, run, QUIET)
    assert [question.id for question in kept] == ["short"]
    listed = [json.loads(line) for line in run.rejected.read_text(encoding="utf-8").splitlines()]
    assert [(one["id"], one["line"]) for one in listed] == [("long", 2), ("endless", 3)]
    assert "data.max_prompt_tokens is 100; a prompt is never cut" in listed[0]["reason"]
    assert "9.0 s, the model hears 5 s" in listed[1]["reason"]
    with pytest.raises(ValueError, match="outside what the model hears"):
        PromptInputs(model, PROMPT, 0)([Question("e", "Which?", ("a", "b"), 0, tmp_path / "endless.wav")])


@pytest.mark.parametrize("arch", MODELS)
@pytest.mark.parametrize("change", ["one place more", "one place less", "no features", "features for text"])
def test_3_features_and_audio_tokens_that_differ_in_number_are_an_error(arch, change):
    model = tiny_model(arch, torch.float32)
    one = make_prompt(model, "Which digit?", 0.9)
    place = int((one.input_ids == audio_token_of(model)).nonzero()[0])
    ids = one.input_ids
    wrong = {
        "one place more": {"input_ids": torch.cat([ids[:place], ids[place:][:1], ids[place:]])},
        "one place less": {"input_ids": torch.cat([ids[:place], ids[place + 1 :]])},
        "no features": {"features": None},
        "features for text": {"input_ids": make_prompt(model, "Which digit?", None).input_ids},
    }[change]
    broken = dataclasses.replace(one, **wrong)
    with pytest.raises(ValueError, match=r"audio features for \d+ audio tokens"):
        model.encode_audio([broken])
    with torch.no_grad():
        audio = model.encode_audio([one])
    given = [None] if change == "no features" else audio
    with pytest.raises(ValueError, match=r"audio features for \d+ audio tokens"):
        model.embed([broken], given)


def audio_token_of(model) -> int:
    config = model.module.config
    return config.audio_token_id


@pytest.mark.parametrize("arch", MODELS)
def test_3_what_is_heard_changes_the_logits_and_reaches_every_later_position(arch):
    """If the processor ignored its audio argument, or the features were lost on the way, they would not change."""
    model = tiny_model(arch, torch.float32)
    inputs = [make_prompt(model, "Which digit?", 0.9, seed) for seed in (1, 2)]
    assert torch.equal(inputs[0].input_ids, inputs[1].input_ids)
    assert not torch.equal(inputs[0].features, inputs[1].features)
    with torch.no_grad():
        logits = next_token_logits(model, model.embed(inputs, model.encode_audio(inputs)))
    assert (logits[0] - logits[1]).abs().max() > 1e-2


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_3_a_clip_without_an_audio_place_or_a_place_without_a_clip_is_an_error(arch):
    model = tiny_model(arch, torch.float32)
    text = {"type": "text", "text": "Which?"}
    with pytest.raises(ValueError, match="0 audio places"):
        model.render([{"role": "user", "content": [text]}], noise(0.5, 0))
    with pytest.raises(ValueError, match="1 audio places"):
        model.render([{"role": "user", "content": [{"type": "audio"}, text]}], None)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_3_without_audio_there_is_no_audio_token(arch):
    model = tiny_model(arch, torch.float32)
    one = make_prompt(model, "Which digit?", None)
    assert audio_token_of(model) not in one.input_ids
    assert one.features is None
    assert model.encode_audio([one]) == [None]


def test_7_every_question_counts_and_what_cannot_be_read_counts_as_wrong(tmp_path, monkeypatch):
    """A right, a wrong and an unreadable answer, an undecodable clip, a clip too long, a broken record: 1 of 6."""
    write_clip(tmp_path / "good.wav", 0.5, 1)
    write_clip(tmp_path / "long.wav", 2.0, 2)
    (tmp_path / "bad.wav").write_bytes(b"no samples")
    file = write_questions(
        tmp_path / "q.json",
        {"id": "right", "audio_id": "good.wav"},
        {"id": "wrong", "audio_id": "good.wav", "answer": "two"},
        {"id": "unreadable", "audio_id": "good.wav", "choices": ["dog", "cat"], "answer": "cat"},
        {"id": "undecodable", "audio_id": "bad.wav"},
        {"id": "too long", "audio_id": "long.wav"},
        {"id": "broken", "audio_id": "good.wav", "answer": "three"},
    )
    model = tiny_model(dtype=torch.float32)
    model.max_samples = 16_000
    model.decode = lambda tokens: "One."
    monkeypatch.setattr(evaluated_model, "load_model", lambda *_, **__: model)

    def evaluated(long_audio):
        values = {"model": "x", "data": {"file": file}, "long_audio": long_audio, "max_completion_tokens": 2}
        summary = evaluation.evaluate(EvaluationRecipe.model_validate(values), tmp_path / long_audio)
        lines = (tmp_path / long_audio / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        return summary, {row["id"]: row for row in map(json.loads, lines)}

    summary, rows = evaluated("wrong")
    assert summary["n"] == len(rows) == 6
    assert summary["accuracy"]["all"]["n"] == 6
    assert summary["accuracy"]["all"]["mean"] == pytest.approx(1 / 6)
    assert {ident: row["correct"] for ident, row in rows.items()} == {
        **dict.fromkeys(("wrong", "unreadable", "undecodable", "too long", "broken"), False),
        "right": True,
    }
    assert summary["n_rejected"] == 2
    assert summary["n_unreadable"] == 4
    assert summary["reasons"] == {"exact": 2, "rejected": 2, "no choice": 1, "not asked": 1}
    assert "2.0 s, the model hears 1 s" in rows["too long"]["reason"]
    assert summary["clips_cropped"] == 0

    summary, rows = evaluated("crop")
    assert rows["too long"]["correct"]
    assert summary["accuracy"]["all"]["mean"] == pytest.approx(2 / 6)
    assert summary["clips_cropped"] == 1


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_9_the_audio_tower_keeps_the_attention_it_was_made_with(arch):
    plain = PLAIN_CLASSES[arch].from_pretrained(tiny_folder(arch), dtype=torch.float32).eval()
    model = load_model(str(tiny_folder(arch)), device="cpu")
    towers = [
        next(part for name, part in module.named_modules() if name.split(".")[-1] == "audio_tower")
        for module in (plain, model.module)
    ]
    assert towers[0].config._attn_implementation == towers[1].config._attn_implementation
    one = make_prompt(model, "Which?", 0.9)
    heard = []
    last = towers[0] if "omni" in arch else plain.model.multi_modal_projector
    last.register_forward_hook(lambda module, given, output: heard.append(output))
    with torch.no_grad():
        plain(**plain_arguments([one], plain))
        found = model.encode_audio([one])[0]
    expected = getattr(heard[0], "last_hidden_state", heard[0])
    assert (expected.reshape(-1, found.shape[-1])[: len(found)] - found).abs().max() < 1e-6


@pytest.mark.parametrize("arch", MODELS)
@pytest.mark.parametrize("seconds", [0.9, None], ids=["audio", "text"])
def test_10_a_call_of_generate_for_another_prompt_changes_no_logits(arch, seconds):
    """Qwen2.5-Omni keeps `rope_deltas` from call to call."""
    model = tiny_model(arch)
    one = make_prompt(model, "Which digit is it?", seconds)
    rows = completions(model, [4, 2])

    def measured():
        with torch.no_grad():
            embedded = model.embed([one], model.encode_audio([one]))
            found = rollout(model, embedded, 2, Sampling(0, 4), None)
            return (
                next_token_logits(model, embedded),
                score_packed(model, embedded, rows).logp,
                found.tokens,
                found.logp,
            )

    before = measured()
    other = plain_arguments([make_prompt(model, "A much longer question about another clip?", 2.1, 5)], model.module)
    other["input_features"] = other["input_features"].double()
    model.module.generate(**other, max_new_tokens=3, do_sample=False, pad_token_id=0)
    for was, now in zip(before, measured(), strict=True):
        assert torch.equal(was, now)
    with torch.no_grad():
        for r, length in enumerate(rows.lengths.tolist()):
            expected = plain_logp(model.module, one, rows.tokens[r, :length])
            assert (before[1][r, :length] - expected).abs().max() < 1e-9


@pytest.mark.parametrize("arch", MODELS)
def test_11_scoring_under_gradient_checkpointing_in_train_mode_sees_the_prompt(arch):
    """Scored against a cache, a completion would have no prompt there; the packed row contains it."""
    model = tiny_model(arch)
    model.set_trainable(audio_tower=True, projector=True, language_model=True)
    inputs = [make_prompt(model, "Which digit?", 0.7), make_prompt(model, "What is 2 + 2?", None)]
    rows = completions(model, [3, 1, 4, 2])
    plain = score_packed(model, model.embed(inputs, model.encode_audio(inputs)), rows).logp.detach()
    watched = copy.deepcopy(model)
    enable_gradient_checkpointing(watched.module)
    watched.module.train()
    found = score_packed(watched, watched.embed(inputs, watched.encode_audio(inputs)), rows).logp
    assert (found - plain).abs().max() < 1e-12
    with torch.no_grad():
        alone = plain_logp(model.module, dataclasses.replace(inputs[1], input_ids=inputs[1].input_ids[-1:]), [50, 60])
    assert (
        alone - plain_logp(model.module, inputs[1], [50, 60]).detach()
    ).abs().max() > 0.1  # what a lost prompt costs


def test_a_completion_attends_to_the_prompt_and_itself_and_to_no_other_completion():
    """The mask of a packed row by hand: a prompt of 2 tokens, completions of 2 and 1 tokens, one place of padding."""
    mask = packed_rows.segment_mask(torch.tensor([[0, 0, 1, 1, 2, -1]]))[0]
    assert mask.int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],
    ]


def test_a_tiny_checkpoint_is_never_written_over_another(tmp_path):
    write_tiny("qwen2_5_omni", tmp_path / "m", ["one"])
    with pytest.raises(ValueError, match=r"already holds a checkpoint; choose another --out"):
        write_tiny("qwen2_5_omni", tmp_path / "m", ["one"])
