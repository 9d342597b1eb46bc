"""Errors that a user can correct: exit code 2, no traceback, and a message that names place and fix."""

import transformers
from command_line import harken


def failing_training(world, tmp_path) -> dict[str, tuple[list, list[str]]]:
    """What is wrong -> the words of a command, and what its message must hold: the file or key, and the fix."""
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.tex").write_text("mine")
    recipe, data = world.recipe, world.data
    return {
        "no recipe": (["train", tmp_path / "no.yaml"], [f"{tmp_path}/no.yaml: cannot be read"]),
        "unknown key": (
            ["train", recipe, "--set", "grpo.stepz=1"],
            [f"{recipe}: grpo.stepz: unknown key (did you mean 'grpo.steps'?); known here"],
        ),
        "wrong value": (["sft", recipe, "--set", "sft.steps=0"], ["sft.steps: ", "(found 0)"]),
        "no value": (["sft", recipe, "--set", "sft.steps"], ["expected key=value"]),
        "used folder": (["sft", recipe, "--out", full], [f"{full}: holds a run already; choose another --out"]),
        "no data": (
            ["sft", recipe, "--out", tmp_path / "a", "--set", f"data.train.0.file={tmp_path}/q.json"],
            [f"{recipe}: data.train.0.file: {tmp_path}/q.json: cannot be read"],
        ),
        "empty development part": (
            ["sft", recipe, "--out", tmp_path / "b", "--set", "data.dev_share=0.0001"],
            ["data.dev_share 0.0001", "choose another share, or set it to 0"],
        ),
        "SFT without reasoning for a prompt that asks for it": (
            ["sft", recipe, "--out", tmp_path / "c", "--set", "prompt.style=r1_aqa_think"],
            [f"{data}:", "use style r1_aqa or omni_r1"],
        ),
        "a recipe and a run to resume": (["sft", recipe, "--resume", tmp_path], ["not both"]),
        "neither a recipe nor a run to resume": (["sft"], ["give a recipe to start a run, or --resume RUN"]),
    }


def failing_evaluation(world, tmp_path) -> dict[str, tuple[list, list[str]]]:
    """The same for `harken evaluate`."""
    empty, text_model = tmp_path / "empty", tmp_path / "text"
    empty.mkdir()
    transformers.Qwen2Config().save_pretrained(text_model)
    no_model = ["evaluate", "--data", world.data, "--out", tmp_path / "e"]
    words = [*no_model, "--model", world.model]
    no_record = ["evaluate", "--model", world.model, "--out", tmp_path / "f", "--data", world.write("none.jsonl", "{")]
    no_key = [*no_model, "--endpoint", "http://127.0.0.1:1/v1", "--served-model", "m", "--api-key-env", "NO_SUCH_KEY"]
    return {
        "no such checkpoint": ([*no_model, "--model", tmp_path / "gone"], [f"{tmp_path}/gone: no such folder"]),
        "no checkpoint": ([*no_model, "--model", empty], [f"{empty}: no config.json here"]),
        "another architecture": ([*no_model, "--model", text_model], [f"{text_model}: ", "'qwen2'", "harken knows"]),
        "no usable record": (no_record, ["none.jsonl: no usable record", "rejected.jsonl"]),
        "no such reader": (
            [*words, "--benchmark", "mmlu"],
            ["data.reader: no reader is called 'mmlu' (did you mean 'mmsu'?); one of manifest, mmau, "],
        ),
        "two kinds of audio": ([*words, "--no-audio", "--audio", "noise"], ["--no-audio is --audio none"]),
        "listening with one kind": ([*words, "--listening", "--no-audio"], ["every kind of audio"]),
        "no such label": ([*words, "--subset", "taks=x"], ["(did you mean 'subset.task'?); known"]),
        "a label without a value": ([*words, "--subset", "speech"], ["expected KEY=VALUE"]),
        "no model": (["evaluate", "--data", world.data], ["give either model (a checkpoint) or endpoint"]),
        "no key": (no_key, ["NO_SUCH_KEY is not set"]),
        "no such style": ([*words, "--style", "haiku"], ["prompt.style: no style is called 'haiku'; one of omni_r1, "]),
        "no such length rule": ([*words, "--long-audio", "cut"], ["long_audio: ", "(found 'cut')"]),
        "no such device": ([*words, "--device", "abacus"], ["'abacus'", "use auto, cpu"]),
        "quiet JSON": ([*words, "--quiet", "--json"], ["give one of --quiet and --json"]),
    }


def failing_others(world, bad, tmp_path) -> dict[str, tuple[list, list[str]]]:
    """The same for other commands."""
    empty, ask = tmp_path / "nothing", ["ask", "--model", world.model]
    empty.mkdir()
    return {
        "no evaluation": (["compare", empty, empty], [f"{empty}: no predictions.jsonl"]),
        "one evaluation": (["compare", empty], ["give two folders or more"]),
        "tiny over a checkpoint": (["tiny", "--out", world.model], [f"{world.model}: already holds a checkpoint"]),
        "tiny of no architecture": (
            ["tiny", "--out", tmp_path / "g", "--arch", "gpt2"],
            ["unknown architecture 'gpt2'; known"],
        ),
        "a clip that is gone": (
            [*ask, tmp_path / "x.wav", "Which?", "--choices", "a", "b"],
            [f"{tmp_path}/x.wav: no such file"],
        ),
        "one choice": ([*ask, tmp_path / "x.wav", "Which?", "--choices", "a"], ["two choices"]),
        "a control token": (
            [*ask, bad.parent / "fine.wav", "Which?<|im_end|>", "--choices", "a", "b"],
            ["control token '<|im_end|>'"],
        ),
        "no number type": (["doctor", "--dtype", "int3"], ["'int3': one of auto, float32, bfloat16, float16"]),
    }


def test_an_error_that_a_user_can_correct_is_exit_code_2_and_a_message_with_place_and_fix(world, bad, tmp_path):
    cases = failing_training(world, tmp_path) | failing_evaluation(world, tmp_path)
    for kind, (words, parts) in (cases | failing_others(world, bad, tmp_path)).items():
        result = harken(*words)
        assert result.code == 2, (kind, result)
        message = " ".join(result.err.split())
        for part in parts:
            assert part in message or part in " ".join(message.replace("│", "").split()), (kind, part, result.err)
        assert "Traceback" not in result.err
        assert "checkpoint: " not in result.out, kind
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]


def test_doctor_fails_for_a_checkpoint_that_does_not_load(tmp_path):
    result = harken("doctor", "--model", tmp_path)
    assert result.code == 1
    assert "no config.json" in result.out


def test_an_evaluation_reads_its_questions_and_reaches_its_server_before_it_loads_a_model(world, tmp_path):
    gone = ["evaluate", "--data", tmp_path / "gone.json", "--model", tmp_path / "gone", "--out", tmp_path / "e"]
    result = harken(*gone)
    assert f"harken evaluate: data.file: {tmp_path}/gone.json: cannot be read" in result.err
    assert not (tmp_path / "e").exists()
    served = ["evaluate", "--data", world.test, "--out", tmp_path / "e", "--served-model", "m"]
    result = harken(*served, "--endpoint", "http://127.0.0.1:9/v1")
    assert "endpoint.base_url: http://127.0.0.1:9/v1: cannot be reached" in result.err
    assert not (tmp_path / "e" / "config.yaml").exists()


def test_the_screen_says_what_is_done_before_anything_is_imported(world, tmp_path):
    """The first line comes before torch, whose import takes seconds."""
    result = harken("train", world.recipe, "--out", tmp_path / "run", "--set", "data.train.0.file=gone.json")
    assert result.out.startswith(f"starting small in {tmp_path}/run\n")
    result = harken("evaluate", "--data", world.test, "--model", world.model, "--out", tmp_path / "e", "--limit", 2)
    lines = result.out.split("\n")
    assert lines[:3] == [
        f"evaluating on {world.test}, into {tmp_path}/e",
        "checking clips 0/2",
        lines[2],
    ]
    assert f"loading {world.model}" in lines
