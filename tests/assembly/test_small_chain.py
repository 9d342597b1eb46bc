"""The whole of recipes/small on random parts as wide as the real ones, two steps each, and how their files are read."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from command_line import harken
from recipe_programs import RECIPES, recipe_program
from small_parts import write_language_model, write_whisper
from spoken_tones import write_tones
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from figure_cells import EMPTY
from harken.config import load_recipe
from harken.data.demo_set import write_demo_set
from harken.data.manifest import read_manifest
from harken.errors import DataError
from harken.types import Question
from small_figures import ROWS, SETS, answers
from small_table import THINKERS, tables, with_tables

TWO_STEPS = (
    *("sft.steps=2", "sft.prompts_per_step=2", "grpo.steps=2", "grpo.prompts_per_step=2"),
    *(
        "grpo.completions_per_prompt=2",
        "grpo.max_completion_tokens=4",
        "logging.evaluate_every=null",
        "data.dev_share=0",
    ),
)


run, parts, thinker_judge = (
    recipe_program(f"small/{name}.py", f"recipes_small_{name}") for name in ("run", "parts", "thinker_judge")
)


def arc_record(n):
    choices = {"text": ["iron", "water", "air", "wood"], "label": ["A", "B", "C", "D"]}
    return {"id": f"q{n}", "question": f"What floats on mercury, case {n}?", "choices": choices, "answerKey": "A"}


@pytest.fixture
def world(tmp_path):
    """Data of every kind, and random parts where the packages would have given them."""
    write_demo_set(tmp_path / "realaqa", seed=0, n_train=8, n_test=4)
    write_tones(tmp_path / "realaqa")
    for folder in ("arc", "benchmarks"):
        (tmp_path / folder).mkdir()
    for part in ("train", "test"):
        lines = "".join(json.dumps(arc_record(n)) + "\n" for n in range(8))
        (tmp_path / "arc" / f"arc_easy_{part}.jsonl").write_text(lines)
    records = json.loads((tmp_path / "realaqa" / "test.json").read_text())
    for version in ("original", "v05.15.25"):
        (tmp_path / "benchmarks" / f"mmau-test-mini.{version}.json").write_text(json.dumps(records))
    out = tmp_path / "out"
    (out / "packages" / "gguf").mkdir(parents=True)
    write_whisper(out / "parts" / "whisper-base")
    write_language_model(out / "parts" / "smollm2", "llama")
    return tmp_path


def in_this_process(commands):
    """An `execute` that runs commands of harken here and remembers them."""

    def run_here(words, environment):
        commands.append(words)
        if words[1] != "-m":  # a program of recipes/
            return subprocess.run(words, check=False).returncode
        result = harken(*words[3:])
        if result.code:
            sys.stderr.write(result.err)
        return result.code

    return run_here


@pytest.mark.slow
def test_the_whole_chain_fills_every_cell_and_does_nothing_a_second_time(world, monkeypatch):
    commands = []
    monkeypatch.setattr(run, "execute", in_this_process(commands))
    places = [f"--{name}={world / name}" for name in ("realaqa", "arc", "benchmarks", "out")]
    monkeypatch.setattr(sys, "argv", ["run.py", *places, "--limit", "4", "--set", *TWO_STEPS])
    run.main()
    text = tables(world / "out")
    without = [line for line in text.partition("### Thinking")[0].splitlines() if EMPTY in line]
    # the stand-in has no easy speech, and no thinking row has been run
    assert [line[:8] for line in without] == ["| 0 | 1.", "| 0 | 8."]
    accuracies = text.partition("### Accuracy, %")[2].partition("###")[0]
    assert accuracies.count("(n 4)") == len(ROWS) * len(SETS)
    account = [json.loads(line) for line in (world / "out/seed0/account.jsonl").read_text().splitlines()]
    assert len(account) == len(commands) == 3 + len(ROWS) + len(ROWS) * len(SETS)
    assert all(row["code"] == 0 and row["cpu_s"] >= 0 for row in account)
    run.main()
    assert len(commands) == len(account)
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--rows", *run.THINKING])
    run.main()
    assert len(commands) == len(account) + 1 + len(THINKERS) * (1 + 4 * len(run.THINKER_KINDS))
    for row in THINKERS:
        for kind in run.THINKER_KINDS:
            rows = answers(world / "out/seed0", row, f"{kind}-no_think")
            assert len(rows) == 4
            assert all(each["completion"].startswith("<answer>") for each in rows)
    rollouts = world / "out/seed0/thinker_judged/rollouts"
    assert any(file.stat().st_size for file in rollouts.iterdir())
    assert "before" not in with_tables("a <!-- made by benchmarks/small_table.py -->before<!-- end --> b", text)


def test_parts_assemble_align_and_answer(world, monkeypatch):
    """The base and its first evaluation, as the whole chain has them."""
    commands = []
    monkeypatch.setattr(run, "execute", in_this_process(commands))
    places = run.Places(world / "out", world / "realaqa", world / "arc", world / "benchmarks", 0)
    steps = list(run.steps(places, [], TWO_STEPS, 2))
    assert [step.name for step in steps[:8]] == [
        *("packages", "parts", "arc train", "arc test", "assemble", "sft align", "evaluate base test"),
        "evaluate base test-no-audio",
    ]
    for step in steps[2:8]:
        run.run(step, places.run / "account.jsonl")
    assert all(step.done.exists() for step in steps[:8])
    assert run.command_of(steps[5])[3:5] == ["sft", "--resume"]
    assert len(read_manifest(world / "out/arc/train/manifest.jsonl")[0]) == 8
    text = tables(world / "out")
    assert text.partition("### Accuracy, %")[2].partition("###")[0].count("(n 2)") == 2
    assert "| 0 | sum: from nothing to table IV" in text


TRAINED = sorted({recipe for _, recipe in [*run.ROWS.values(), *run.THINKING.values()]})


@pytest.mark.parametrize("recipe", ["align", "thinker_start", *TRAINED])
def test_each_recipe_of_the_folder_is_valid_and_leaves_the_tower_as_it_is(recipe):
    loaded = load_recipe(RECIPES / "small" / f"{recipe}.yaml")
    assert (loaded.model.train_audio_tower, loaded.model.train_projector) == (False, True)
    assert (loaded.data.train[0].audio == "none") == (recipe == "grpo_no_audio")
    assert (loaded.prompt.style == "adaptive") == recipe.startswith("thinker")
    if recipe not in ("align", "thinker_start"):
        assert (loaded.sft.steps, loaded.sft.prompts_per_step) == (loaded.grpo.steps, loaded.grpo.prompts_per_step)
        assert loaded.sft.learning_rate == loaded.grpo.learning_rate


def test_a_step_that_fails_ends_the_chain_and_is_in_the_account(tmp_path):
    step = run.Step("broken", [sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "never")
    with pytest.raises(SystemExit, match="3"):
        run.run(step, tmp_path / "account.jsonl")
    [row] = [json.loads(line) for line in (tmp_path / "account.jsonl").read_text().splitlines()]
    assert (row["step"], row["code"]) == ("broken", 3)


def model_bin(tensors, version=6):
    """CTranslate2's file with these tensors: name -> array."""

    def text(value):
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    numbers = {np.dtype(dtype): number for number, dtype in parts._DTYPES.items()}
    data = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, len(tensors))
    for name, array in tensors.items():
        data += text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        data += struct.pack("<BI", numbers[array.dtype], array.nbytes) + array.tobytes()
    return data


def as_ctranslate2(encoder):
    """The tensors of a Whisper encoder as CTranslate2 names and joins them."""
    state = {name: tensor.half().numpy() for name, tensor in encoder.state_dict().items()}
    tensors = {"encoder/num_heads": np.array(8, dtype=np.int16), "encoder/position_encodings/encodings": None}
    tensors["encoder/position_encodings/encodings"] = state.pop("embed_positions.weight")
    norms = {"weight": "gamma", "bias": "beta"}
    for name in ("conv1", "conv2"):
        tensors |= {f"encoder/{name}/{end}": state[f"{name}.{end}"] for end in norms}
    tensors |= {f"encoder/layer_norm/{norms[end]}": state[f"layer_norm.{end}"] for end in norms}
    for i in range(len(encoder.layers)):
        own, to = f"layers.{i}", f"encoder/layer_{i}"
        for theirs, ours in parts._LAYER_NAMES.items():
            ends = norms if "layer_norm" in theirs else {"weight": "weight", "bias": "bias"}
            tensors |= {f"{to}/{theirs}/{ends[end]}": state[f"{own}.{ours}.{end}"] for end in ends}
        joined = [state[f"{own}.self_attn.{part}_proj.weight"] for part in "qkv"]
        biases = [state.get(f"{own}.self_attn.{part}_proj.bias", np.zeros(512, np.float16)) for part in "qkv"]
        tensors[f"{to}/self_attention/linear_0/weight"] = np.concatenate(joined)
        tensors[f"{to}/self_attention/linear_0/bias"] = np.concatenate(biases)
    return tensors | {"decoder/embeddings/weight": np.zeros((4, 512), np.float16)}


def test_ctranslate2s_whisper_becomes_transformers_encoder_to_the_bit():
    encoder = WhisperEncoder(WhisperConfig(d_model=512, encoder_layers=2, encoder_attention_heads=8))
    torch.nn.init.normal_(encoder.embed_positions.weight)
    data = model_bin(as_ctranslate2(encoder))
    weights = parts.encoder_weights(dict(parts.read_ctranslate2(data)))
    expected = {f"model.encoder.{name}": tensor.half() for name, tensor in encoder.state_dict().items()}
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_another_file_than_the_one_that_was_tried_is_refused(tmp_path):
    file = tmp_path / "model.bin"
    with pytest.raises(DataError, match="missing; install the packages"):
        parts.check_file(file, 3, "")
    file.write_bytes(b"abc")
    for size, digest in ((4, ""), (3, "0" * 64)):
        with pytest.raises(DataError, match="not the file that was tried"):
            parts.check_file(file, size, digest)
    parts.check_file(file, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    with pytest.raises(DataError, match="version 5 of WhisperSpec, not 6"):
        dict(parts.read_ctranslate2(model_bin({}, version=5)))


@pytest.mark.parametrize(
    ("text", "reasoning", "answer", "consistency", "quality"),
    [
        ("What is the sum of the digits in the audio?", "three plus four", "7", 1, 1),
        ("What is the sum of the digits in the audio?", "three plus four", "8", 0, 1),
        ("What is the sum of the digits in the audio?", "three", "3", 1, 1),
        ("What is the sum of the digits in the audio?", "three plus", "3", 0, 0),
        ("Which digit is spoken in the audio?", "Three", "three", 1, 1),
        ("Which digit is spoken in the audio?", "three plus four", "three", 0, 0),
        ("Which digit is spoken in the audio?", "it is a digit", "three", 0, 0),
    ],
)
def test_the_scripted_judge_follows_a_reasoning_to_its_end(text, reasoning, answer, consistency, quality):
    question = Question("q", text, ("three", "7"), 0, None)
    scores = [thinker_judge.score(aspect, question, reasoning, answer) for aspect in ("consistency", "quality")]
    assert scores == [consistency, quality]
