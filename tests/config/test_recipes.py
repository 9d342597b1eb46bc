"""Every built-in recipe runs on a tiny checkpoint of its architecture."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from recipe_rows import BASELINES, EVALUATION, FILES, TRAINING, arch_of
from rich.console import Console
from scripted_server import said, serving
from tiny_models import tiny_folder

from harken.benchmarks.mmau import MMAU
from harken.config import EvaluationRecipe, JudgeConfig, Recipe, load_recipe, parse, read_values
from harken.config.builtin_recipes import about
from harken.data.demo_set import write_demo_set
from harken.data.manifest import write_manifest
from harken.evaluation.evaluate import evaluate
from harken.grpo.loop import train
from harken.models.loading import load_model
from harken.system.json_lines import write_json_lines
from harken.training.sft import sft
from harken.types import Question

FOLDER = Path(__file__).parents[2] / "recipes"


@dataclass(frozen=True)
class Data:
    """MMAU records to evaluate on, eight questions as a manifest, the same with reasoning, a few without a clip, pass
    rates of the eight, questions without choices, and other wordings of MMAU's records."""

    mmau: Path
    manifest: Path
    text: Path
    reasoned: Path
    pass_rates: Path
    open: Path
    wordings: Path


def teaches(name: str) -> bool:
    """Whether a recipe is for `harken sft` alone."""
    return "sft" in name


def lines_of(file: Path) -> list:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Data:
    folder = tmp_path_factory.mktemp("data")
    write_demo_set(folder, seed=0, n_train=8, n_test=4)
    questions = MMAU.read(folder / "train.json")[0]
    write_manifest(folder / "train.jsonl", questions)
    text = [Question(f"t{i}", "What is 2 + 2?", ("one", "two", "four"), answer=2, audio=None) for i in range(4)]
    write_manifest(folder / "text.jsonl", text)
    write_manifest(folder / "reasoned.jsonl", [replace(question, reasoning="it sounds so") for question in questions])
    write_json_lines(folder / "rates.jsonl", [{"id": q.id, "pass_rate": i / 7} for i, q in enumerate(questions)])
    write_manifest(
        folder / "open.jsonl",
        [
            replace(q, id=f"{q.id}-open", choices=(), answer=None, answer_text=q.choices[q.answer or 0])
            for q in questions
        ],
    )
    tested = MMAU.read(folder / "test.json")[0]
    words = [{"id": q.id, "question": q.text, "paraphrases": [f"{q.text} Listen."]} for q in tested]
    write_json_lines(folder / "wordings.jsonl", words)
    names = ("test.json", *(f"{name}.jsonl" for name in ("train", "text", "reasoned", "rates", "open", "wordings")))
    return Data(*(folder / name for name in names))


def is_open(file: Path) -> bool:
    """Whether a recipe's file holds questions without choices."""
    return any(word in str(file) for word in ("open", "librispeech"))


def small(name: str, data: Data) -> Recipe:
    """The recipe with a tiny checkpoint, its own kind of data and two small steps; all else as it is shipped."""
    reader = load_recipe(FILES[name]).data.train[0].reader
    file = {"mmau": data.mmau.with_name("train.json"), "manifest": data.manifest}[reader]
    if "arc_easy" in name:  # questions without clips
        file = data.text
    if is_open(load_recipe(FILES[name]).data.train[0].file):
        file = data.open
    if teaches(name):
        file = data.reasoned
    overrides = [
        *(f"model.path={tiny_folder(arch_of(name))}", "data.train.0.audio_root=null", f"data.train.0.file={file}"),
        *("grpo.steps=2", "grpo.prompts_per_step=2", "grpo.completions_per_prompt=2", "grpo.max_completion_tokens=4"),
        *("sft.steps=1", "sft.prompts_per_step=2", "sft.stop_at_dev_accuracy=null", "logging.every=1"),
    ]
    for i in range(1, len(load_recipe(FILES[name]).data.train)):
        other = data.open if is_open(load_recipe(FILES[name]).data.train[i].file) else data.text
        overrides += [f"data.train.{i}.audio_root=null", f"data.train.{i}.file={other}"]
    if load_recipe(FILES[name]).data.pass_rates is not None:
        overrides.append(f"data.pass_rates={data.pass_rates}")
    if load_recipe(FILES[name]).prompt.prompt_file is not None:  # relative to the checkout
        overrides.append(f"prompt.prompt_file={FOLDER.parent / load_recipe(FILES[name]).prompt.prompt_file}")
    if load_recipe(FILES[name]).reward.overlong is not None:  # not longer than a completion
        overrides.append("reward.overlong.buffer_tokens=2")
    if load_recipe(FILES[name]).data.dev_share > 0:
        overrides += ["data.dev_share=0.4"]
    return load_recipe(FILES[name], overrides)


@pytest.fixture(scope="module")
def judge():
    with serving(lambda request: said(" 1\n")) as server:
        yield server


@pytest.mark.parametrize("name", TRAINING)
def test_a_training_recipe_runs_on_a_tiny_checkpoint(name, data, judge, tmp_path, monkeypatch):
    recipe, shipped = small(name, data), load_recipe(FILES[name])
    if recipe.judge is not None:  # whatever random weights say is read as a thought, so that there is one to judge
        endpoint = {"endpoint": {"base_url": judge.url, "model": name, "api": "completion"}}
        recipe = recipe.model_copy(update={"judge": JudgeConfig.model_validate(endpoint)})
        texts = ["<think>it barks</think><answer>a</answer>", "<answer>a</answer>"]
        monkeypatch.setattr("harken.grpo.sample_completions.completion_texts", lambda *_: texts * 2)
    for key in ("precision", "gradient_checkpointing", "train_audio_tower", "lora"):
        assert getattr(recipe.model, key) == getattr(shipped.model, key)
    console = Console(quiet=True)
    of_grpo_alone = all(command.startswith("harken train ") for command in about(FILES[name])[1])
    loops = [train] if of_grpo_alone or shipped.sft == Recipe.model_fields["sft"].default else [sft, train]
    loops = [sft] if teaches(name) else loops
    checkpoint = None
    for loop in loops:
        checkpoint = loop(recipe, tmp_path / loop.__name__, console)
    assert load_model(str(checkpoint), device="cpu").arch == arch_of(name)
    if teaches(name):
        assert [row["step"] for row in lines_of(tmp_path / "sft" / "metrics.jsonl")] == [1]
        return
    rows = lines_of(tmp_path / "train" / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2]
    assert {f"reward/{part}" for part in shipped.reward.names} <= rows[0].keys()
    assert len(lines_of(tmp_path / "train" / "rollouts" / "step_000002.jsonl")) == 4
    if recipe.judge is not None:
        # Of two completions of each of two prompts one thinks; of an open question both answers are judged.
        asked = 2 if "open_answer" in recipe.reward.names else 2 * len(recipe.reward.judged)
        assert [row["judge/asked"] for row in rows] == [asked] * 2
        assert {request.body["model"] for request in judge.received} >= {name}


@pytest.mark.parametrize("name", EVALUATION)
@pytest.mark.parametrize("audio", ["real", "none"])
def test_an_evaluation_recipe_answers_on_a_tiny_checkpoint(name, audio, data, judge, tmp_path):
    shipped = parse(EvaluationRecipe, read_values(FILES[name]), name)
    assert ("Qwen2-Audio" in shipped.model) == (arch_of(name) == "qwen2_audio")
    style = "r1_aqa_think" if "cot" in name else "adaptive" if "thinker" in name else "omni_r1"
    assert shipped.prompt.style == style
    if not name.startswith(("realaqa", "librispeech")):
        assert shipped.max_completion_tokens == (64 if style == "omni_r1" else 512)
    model = shipped.model if name in BASELINES else tiny_folder(arch_of(name))
    file, reader = (data.open, "manifest") if is_open(shipped.data.file) else (data.mmau, "mmau")
    overrides = [f"model={model}", f"data.file={file}", f"data.audio={audio}", f"data.reader={reader}"]
    overrides += ["data.audio_root=null", "prompt.prompt_file=null", "max_completion_tokens=4"]
    if shipped.paraphrases is not None:
        overrides.append(f"paraphrases={data.wordings}")
    if shipped.judge is not None:
        overrides.append(f"judge.endpoint.base_url={judge.url}")
    summary = evaluate(parse(EvaluationRecipe, read_values(FILES[name], overrides), name), tmp_path / "eval")
    if is_open(shipped.data.file):
        assert (summary["n_open"], summary["accuracy"], summary["audio"]) == (8, {}, audio)
        assert {"open" if shipped.judge is not None else "transcripts"} <= summary.keys()
        return
    assert (summary["n"], summary["n_rejected"], summary["audio"]) == (4, 0, audio)
    assert summary["chance"] == 0.25
    assert ("wordings" in summary, "right_share" in summary) == (shipped.paraphrases is not None, shipped.likelihoods)
