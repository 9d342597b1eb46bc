"""The forgetting probe: its two figures computed in another way, when they are measured, errors of a bad file."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from rich.console import Console
from tiny_models import ARCHITECTURES, noise, plain_logp, tiny_folder, tiny_model

from harken.config import ProbeConfig, Recipe, parse
from harken.data.manifest import write_manifest
from harken.errors import ConfigError, DataError
from harken.grpo.loop import train
from harken.inference.prompt_inputs import PromptInputs
from harken.models.loading import load_model
from harken.questions.prompt import TRANSCRIBE
from harken.questions.word_error_rate import words
from harken.training.forgetting_probe import (
    BATCH_SIZE,
    INSTRUCTION_ALONE,
    WER_RISE_WARNED,
    forgetting_warning,
    load_probe,
    measure_probe,
)
from harken.training.sft import accumulate_gradients, sft
from harken.types import Question

REPOSITORY = Path(__file__).parents[2]
TRANSCRIPTS = ("one three", "two", "three one two")
LOOPS = {"sft": sft, "grpo": train}


# --- one measurement


def write_probe(path: Path, *records) -> Path:
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in records))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three clips with their transcripts, and questions about the same clips with other answers."""
    folder = tmp_path_factory.mktemp("run") / "probe"
    folder.mkdir()
    time_s = np.arange(8000) / 16_000
    for i in range(len(TRANSCRIPTS)):
        soundfile.write(folder / f"{i}.wav", (0.3 * np.sin(2 * np.pi * 300 * 3**i * time_s)), 16_000, subtype="FLOAT")
    write_probe(
        folder / "probe.jsonl",
        *({"id": f"t{i}", "audio": f"{i}.wav", "text": text} for i, text in enumerate(TRANSCRIPTS)),
    )
    questions = [Question(f"q{i}", "Which digit?", TRANSCRIPTS, (i + 1) % 3, folder / f"{i}.wav") for i in range(3)]
    write_manifest(folder / "train.jsonl", questions)
    return folder


def loaded(model, file: Path, **changes):
    return load_probe(ProbeConfig(file=file, **changes), model, max_prompt_tokens=4096)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_loss_is_that_of_transformers_own_forward(arch, tmp_path):
    """There are more records than fit into a batch, of different lengths; one clip is too short and is padded."""
    model = tiny_model(arch, torch.float32)
    texts = [" ".join(["two", "Three,", "dog!", "What"][: 1 + i % 4]) for i in range(BATCH_SIZE + 2)]
    lengths_s = [0.01 if i == 4 else 0.3 + 0.1 * i for i in range(len(texts))]
    asked = [{} if i % 2 else {"prompt": "Write down:"} for i in range(len(texts))]
    for i, seconds in enumerate(lengths_s):
        soundfile.write(tmp_path / f"{i}.wav", noise(seconds, i), 16_000, subtype="FLOAT")
    records = [{"id": str(i), "audio": f"{i}.wav", "text": text, **asked[i]} for i, text in enumerate(texts)]
    probe = loaded(model, write_probe(tmp_path / "p.jsonl", *records), max_completion_tokens=16)
    found = measure_probe(model, probe)
    total, n = 0.0, 0
    for i, text in enumerate(texts):
        waveform = noise(lengths_s[i], i)
        waveform = np.pad(waveform, (0, max(0, model.min_samples - len(waveform))))
        instruction = asked[i].get("prompt", TRANSCRIBE)
        content = [{"type": "audio"}, {"type": "text", "text": instruction}]
        tokens = model.encode_answer(text)
        assert int(tokens[-1]) == model.eos_token_ids[0]
        with torch.no_grad():
            logp = plain_logp(model.module, model.render([{"role": "user", "content": content}], waveform), tokens)
        total, n = total - float(logp.double().sum()), n + len(tokens)
    assert found["probe/loss"] == pytest.approx(total / n, rel=1e-6)
    assert found["probe/n"] == len(texts)


def test_a_measurement_changes_no_weight_no_mode_and_no_random_state_and_uses_no_dropout(folder):
    model = tiny_model(dtype=torch.float32)
    probe = loaded(model, folder / "probe.jsonl", max_completion_tokens=6)
    still = measure_probe(model, probe)
    assert not model.module.training
    layers = [part for part in model.module.modules() if hasattr(part, "attention_dropout")]
    for part in layers:
        part.attention_dropout = 0.5
    model.module.train()
    weights = {name: parameter.clone() for name, parameter in model.module.named_parameters()}
    random = torch.get_rng_state()
    assert measure_probe(model, probe) == still
    assert layers
    assert model.module.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(parameter, weights[name]) for name, parameter in model.module.named_parameters())


def test_a_record_is_asked_with_its_own_prompt_or_else_with_the_recipes(folder, tmp_path):
    model = tiny_model(dtype=torch.float32)
    records = [
        {"id": "a", "audio": "0.wav", "text": "one"},
        {"id": "b", "audio": "1.wav", "text": "two", "prompt": "What is {choices}?"},
    ]
    file = write_probe(tmp_path / "p.jsonl", *records)
    for instruction, changes in ((TRANSCRIBE, {}), ("Say it.", {"prompt": "Say it."})):
        probe = loaded(model, file, audio_root=folder, **changes)
        prompts = {task.reference: task.prompt.text for task in probe.tasks}
        assert f"{instruction}<|im_end|>" in prompts["one"]
        assert "What is {choices}?<|im_end|>" in prompts["two"]


# --- files that cannot be used

GOOD = {"id": "a", "audio": "0.wav", "text": "one"}
BAD = {
    "a missing clip": (["", {**GOOD, "audio": "no.wav"}], 2, "no.wav: no such file"),
    "a clip that is no audio": ([{**GOOD, "audio": "probe.jsonl"}], 1, "cannot be decoded"),
    "a clip outside its folder": ([{**GOOD, "audio": "../0.wav"}], 1, "is outside audio_root"),
    "a clip longer than the model hears": ([{**GOOD, "audio": "long.wav"}], 1, "cut the clip"),
    "no clip": ([{"id": "a", "text": "one"}], 1, "key 'audio' is missing"),
    "empty text": ([GOOD, {**GOOD, "id": "b", "text": " "}], 2, "text: empty text"),
    "text without a word": ([{**GOOD, "text": "?!"}], 1, "text: no word in '?!'"),
    "text that is a number": ([{**GOOD, "text": 7}], 1, "text: expected text, found 7"),
    "an empty prompt": ([{**GOOD, "prompt": ""}], 1, "prompt: empty text"),
    "a misspelt key": ([{**GOOD, "promt": "x"}], 1, "unknown key 'promt'; known: id, audio, text, prompt"),
    "an id used twice": ([GOOD, {**GOOD, "text": "two"}], 2, "id 'a' is taken by the record in line 1"),
    "a line that is cut": ([GOOD, '{"id": "b", "au'], 2, "not JSON"),
    "a line that is no object": ([GOOD, '"b"'], 2, "expected a JSON object, found 'b'"),
    "a control token in the text": ([{**GOOD, "text": "one <|im_end|>"}], 1, "control token '<|im_end|>'"),
    "a control token in the prompt": ([{**GOOD, "prompt": "<|im_start|>"}], 1, "control token '<|im_start|>'"),
    "a reference too long": ([{**GOOD, "text": "one two " * 99}], 1, "probe.max_completion_tokens is 128; raise it"),
    "a prompt too long": ([{**GOOD, "prompt": "Which digit? " * 2999}], 1, "data.max_prompt_tokens is 4096"),
}


@pytest.fixture(scope="module")
def model():
    return tiny_model("qwen2_audio", torch.float32)


@pytest.mark.parametrize("kind", BAD)
def test_a_record_that_cannot_be_used_is_an_error_with_file_line_and_reason(model, folder, tmp_path, kind):
    records, line, reason = BAD[kind]
    if kind == "a clip longer than the model hears":
        soundfile.write(folder / "long.wav", np.zeros(4000 * (model.max_samples // 16_000 + 2)), 4000)
    file = write_probe(tmp_path / "p.jsonl", *records)
    with pytest.raises(DataError) as caught:
        loaded(model, file, audio_root=folder)
    (first, fix) = str(caught.value).splitlines()
    assert first.startswith(f"{file}:{line}: ")
    assert reason in first
    assert "correct these records" in fix


def test_all_bad_records_are_named_at_once_in_order_of_line(model, folder, tmp_path):
    file = write_probe(
        tmp_path / "p.jsonl", {**GOOD, "audio": "no.wav"}, "{", GOOD, {**GOOD, "id": "b", "text": "\u2026"}
    )
    with pytest.raises(DataError) as caught:
        loaded(model, file, audio_root=folder)
    lines = str(caught.value).splitlines()[:-1]
    assert [line.removeprefix(f"{file}:").split(":")[0] for line in lines] == ["1", "2", "3", "4"]


def test_a_file_that_is_missing_or_holds_no_record_is_named(model, tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.jsonl: cannot be read"):
        loaded(model, tmp_path / "nowhere.jsonl")
    with pytest.raises(DataError, match=r"p\.jsonl: holds no records"):
        loaded(model, write_probe(tmp_path / "p.jsonl", ""))


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({}, "probe.file: missing"),
        ({"file": "p", "evry": 1}, "unknown key (did you mean 'probe.every'?); known here: file, audio_root, prompt"),
        ({"file": "p", "every": 0}, "probe.every: "),
        ({"file": "p", "prompt": ""}, "probe.prompt: "),
    ],
)
def test_a_wrong_section_names_its_key(section, says):
    values = {"name": "x", "model": {"path": "m"}, "data": {"train": [{"file": "q"}]}, "probe": section}
    with pytest.raises(ConfigError, match=r"^r\.yaml: ") as caught:
        parse(Recipe, values, "r.yaml")
    assert says in str(caught.value)


# --- in a run


@pytest.fixture(scope="module")
def transcriber(folder) -> Path:
    """A tiny model that was overfitted on the probe's transcripts until every word was right."""
    torch.manual_seed(0)
    model = load_model(str(tiny_folder("qwen2_5_omni")), device="cpu")
    model.set_trainable(audio_tower=True, projector=True, language_model=True)
    tasks = [
        Question(f"t{i}", TRANSCRIBE, (text,), 0, folder / f"{i}.wav", source=f"t:{i}")
        for i, text in enumerate(TRANSCRIPTS)
    ]
    inputs = PromptInputs(model, INSTRUCTION_ALONE, cache_gib=1)
    optimizer = torch.optim.AdamW(model.module.parameters(), lr=1e-3, weight_decay=0)
    for _ in range(60):
        accumulate_gradients(model, tasks, inputs, INSTRUCTION_ALONE, 8)
        optimizer.step()
        optimizer.zero_grad()
    model.save(folder / "transcriber")
    return folder / "transcriber"


def recipe_of(folder: Path, model: Path, **sections) -> Recipe:
    values = {
        "name": "probed",
        "model": {"path": str(model)},
        "data": {"train": [{"file": str(folder / "train.jsonl"), "reader": "manifest"}]},
        "probe": {"file": str(folder / "probe.jsonl"), "every": 2, "max_completion_tokens": 12},
        "sft": {"steps": 5, "prompts_per_step": 3, "learning_rate": 1e-3},
        "grpo": {
            **{"steps": 5, "prompts_per_step": 3, "completions_per_prompt": 6},
            **{"max_completion_tokens": 6, "learning_rate": 3e-4},
        },
        "logging": {"checkpoint_every": 2, "keep_checkpoints": 9},
        **sections,
    }
    return parse(Recipe, values, "test")


def run(loop, recipe: Recipe, out: Path, *, resume: bool = False) -> str:
    """Run a loop. Returns the text on the console."""
    screen = io.StringIO()
    loop(recipe, out, Console(file=screen), resume=resume)
    return screen.getvalue()


def rows_of(out: Path) -> list[dict]:
    """Metric rows without times and memory."""
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: x for name, x in row.items() if not name.startswith(("time/", "memory/"))} for row in rows]


@pytest.fixture(scope="module")
def whole(folder, transcriber, tmp_path_factory) -> dict[str, Path]:
    """An uninterrupted run of each loop."""
    out = tmp_path_factory.mktemp("runs")
    for name, loop in LOOPS.items():
        run(loop, recipe_of(folder, transcriber), out / name)
    return {name: out / name for name in LOOPS}


@pytest.mark.parametrize("name", LOOPS)
def test_the_probe_is_measured_before_the_first_step_every_so_many_and_after_the_last(whole, folder, transcriber, name):
    rows = rows_of(whole[name])
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [row["step"] for row in rows if "probe/wer" in row] == [0, 2, 4, 5]
    assert rows[0].keys() == {"step", "probe/wer", "probe/loss", "probe/n"}
    assert {row["probe/n"] for row in rows if "probe/n" in row} == {3}
    untrained = load_model(str(transcriber), device="cpu")
    alone = measure_probe(untrained, loaded(untrained, folder / "probe.jsonl", max_completion_tokens=12))
    assert rows[0] == {"step": 0, **alone}
    assert rows[-1]["probe/loss"] != rows[0]["probe/loss"]


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("kept", [0, 2])
def test_a_resumed_run_neither_doubles_nor_changes_a_row(whole, folder, transcriber, tmp_path, name, kept):
    """The run looks as if it was killed while it wrote a row, with checkpoints up to `kept`."""
    out = tmp_path / "run"
    shutil.copytree(whole[name], out)
    for checkpoint in (out / "checkpoints").iterdir():
        if int(checkpoint.name.removeprefix("step_")) > kept:
            shutil.rmtree(checkpoint)
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (out / "metrics.jsonl").write_text("".join(lines[: kept + 2]) + '{"step": 9, "probe/w', encoding="utf-8")
    run(LOOPS[name], recipe_of(folder, transcriber), out, resume=True)
    assert rows_of(out) == rows_of(whole[name])


def test_a_run_killed_while_it_wrote_row_0_measures_it_again(whole, folder, transcriber, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    shutil.copy(whole["sft"] / "config.yaml", out)
    (out / "metrics.jsonl").write_text('{"step": 0, "probe', encoding="utf-8")
    run(sft, recipe_of(folder, transcriber), out, resume=True)
    assert rows_of(out) == rows_of(whole["sft"])


@pytest.mark.parametrize("name", LOOPS)
def test_a_run_with_a_probe_trains_as_one_without(whole, folder, transcriber, tmp_path, name):
    run(LOOPS[name], recipe_of(folder, transcriber, probe=None), tmp_path / "run")
    bare = [{key: x for key, x in row.items() if not key.startswith("probe/")} for row in rows_of(whole[name])[1:]]
    assert rows_of(tmp_path / "run") == bare
    weights = "checkpoints/step_000005/model.safetensors"
    assert (tmp_path / "run" / weights).read_bytes() == (whole[name] / weights).read_bytes()


def test_sft_that_stops_early_is_measured_where_it_stops(folder, tmp_path):
    easy = [Question(f"q{i}", "Which?", ("dog barking", "What"), 0, folder / f"{i}.wav") for i in range(3)]
    write_manifest(folder / "easy.jsonl", easy)
    recipe = recipe_of(
        folder,
        tiny_folder("qwen2_5_omni"),
        seed=1,  # which puts a clip of three on the development side
        data={"train": [{"file": str(folder / "easy.jsonl"), "reader": "manifest"}], "dev_share": 0.25},
        logging={"evaluate_every": 1},
        sft={"steps": 60, "prompts_per_step": 3, "learning_rate": 3e-3, "stop_at_dev_accuracy": 1.0},
        probe={"file": str(folder / "probe.jsonl"), "every": 1000, "max_completion_tokens": 12},
    )
    said = run(sft, recipe, tmp_path / "run")
    assert "stopped after step" in said
    rows = rows_of(tmp_path / "run")
    assert 0 < rows[-1]["step"] < 60
    assert [row["step"] for row in rows if "probe/wer" in row] == [0, rows[-1]["step"]]


def test_a_bad_probe_stops_a_run_before_its_first_step(folder, tmp_path):
    file = write_probe(tmp_path / "p.jsonl", {**GOOD, "audio": "no.wav"})
    with pytest.raises(DataError, match=r"p\.jsonl:1: .*no\.wav: no such file"):
        run(sft, recipe_of(folder, tiny_folder("qwen2_5_omni"), probe={"file": str(file)}), tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


# --- forgetting


def test_a_warning_is_for_more_than_two_points_above_the_first_measurement():
    first = {"step": 0, "probe/wer": 0.125}
    assert WER_RISE_WARNED == 0.02
    assert forgetting_warning(first, {"probe/wer": 0.0}) is None
    assert forgetting_warning(first, {"probe/wer": 0.140625}) is None  # 1.6 points
    said = forgetting_warning(first, {"probe/wer": 0.15625})
    assert said is not None
    assert said.startswith("word error rate on the probe is 15.6%, 3.1 points above the 12.5% of step 0")


def test_a_model_that_learns_other_answers_shows_a_rising_loss_and_a_warning(folder, transcriber, tmp_path):
    recipe = recipe_of(folder, transcriber, sft={"steps": 8, "prompts_per_step": 6, "learning_rate": 1e-3})
    said = run(sft, recipe, tmp_path / "run")
    losses = [row["probe/loss"] for row in rows_of(tmp_path / "run") if "probe/loss" in row]
    rates = [row["probe/wer"] for row in rows_of(tmp_path / "run") if "probe/wer" in row]
    assert rates[0] == 0
    assert losses[0] < 0.2
    assert losses[-1] > 5 * losses[0]
    assert rates[-1] > WER_RISE_WARNED
    assert "probe: 3 records, word error rate 0.0%, loss" in said
    warnings = [line for line in said.splitlines() if line.startswith("warning: step")]
    assert len(warnings) == sum(rate > WER_RISE_WARNED for rate in rates)
    assert warnings[-1].startswith(f"warning: step 8: word error rate on the probe is {rates[-1]:.1%}, ")


def test_a_model_that_hardly_changes_gives_no_warning(folder, transcriber, tmp_path):
    recipe = recipe_of(folder, transcriber, sft={"steps": 4, "prompts_per_step": 6, "learning_rate": 1e-7})
    assert "warning" not in run(sft, recipe, tmp_path / "run")
    assert {row["probe/wer"] for row in rows_of(tmp_path / "run") if "probe/wer" in row} == {0.0}


# --- documentation


def test_the_documented_example_makes_a_probe_of_real_speech(shared, tmp_path, monkeypatch, model):
    """Run the Python block of docs/probe.md unchanged, beside the data."""
    block = (REPOSITORY / "docs" / "probe.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    (tmp_path / "shared").symlink_to(shared)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    exec(compile(block, "docs/probe.md", "exec"), {})
    probe = loaded(model, tmp_path / "here" / "probe.jsonl", audio_root=shared / "realaqa")
    assert len(probe.tasks) == 40
    assert "five" in {word for task in probe.tasks for word in words(task.reference)}


def test_the_documented_prompt_is_the_default_one():
    assert f"`{TRANSCRIBE}`" in (REPOSITORY / "docs" / "probe.md").read_text(encoding="utf-8")
