"""Every built-in recipe is read, says which row of a paper it is, and runs on a tiny checkpoint of its architecture."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from rich.console import Console
from scripted_server import said, serving
from tiny_models import tiny_folder

from harken.benchmarks.mmau import MMAU
from harken.config import EvaluationRecipe, JudgeConfig, Recipe, load_any_recipe, load_recipe, parse, read_values
from harken.config.builtin_recipes import builtin_recipes
from harken.data.demo_set import write_demo_set
from harken.data.manifest import write_manifest
from harken.evaluation.evaluate import evaluate
from harken.grpo.loop import train
from harken.models.loading import load_model
from harken.system.json_lines import write_json_lines
from harken.training.sft import sft
from harken.types import Question

FOLDER = Path(__file__).parents[2] / "recipes"
BASES = {"omni_r1", "audio_thinker", "zero_shot", "realaqa", "realaqa_thinker"}
"""Recipes that others extend and that are not run themselves."""
FILES = {name: file for name, file in builtin_recipes().items() if name not in BASES}
TRAINING = [name for name, file in FILES.items() if isinstance(load_any_recipe(file), Recipe)]
EVALUATION = [name for name in FILES if name not in TRAINING]

ROWS = {
    # row: base, prompt, longest completion, reward; Audio-Thinker's table 1
    "sft_a": ("qwen2_audio", "r1_aqa", None, None),
    "sft_b": ("qwen2_audio", "r1_aqa_think", None, None),
    "grpo_a": ("qwen2_audio", "r1_aqa", 64, "accuracy + format"),
    "grpo_b": ("qwen2_audio", "r1_aqa_think", 512, "accuracy + format"),
    "model_a": ("qwen2_audio", "adaptive", 512, "adaptive + 0.5 format"),
    "model_b": ("qwen2_audio", "adaptive", 512, "adaptive equation + 0.5 format"),
    "model_c": ("qwen2_audio", "adaptive", 512, "adaptive equation + 0.5 format + quality"),
    "sft_c": ("qwen2_5_omni", "r1_aqa", None, None),
    "sft_d": ("qwen2_5_omni", "r1_aqa_think", None, None),
    "grpo_c": ("qwen2_5_omni", "r1_aqa", 64, "accuracy + format"),
    "grpo_d": ("qwen2_5_omni", "r1_aqa_think", 512, "accuracy + format"),
    "model_d": ("qwen2_5_omni", "adaptive", 512, "adaptive + 0.5 format"),
    "model_e": ("qwen2_5_omni", "adaptive", 512, "adaptive equation + 0.5 format"),
    "model_f": ("qwen2_5_omni", "adaptive", 512, "adaptive equation + 0.5 format + quality"),
}
BASELINES = {"random_guess", "most_frequent_choice"}
OWN = ("Ours, no row of the paper", "Real recordings on a CPU")
"""First words of recipes that stand for no published row."""


def arch_of(name: str) -> str:
    row = name.removeprefix("audio_thinker_")
    if row in ROWS:
        return ROWS[row][0]
    return "qwen2_audio" if "qwen2_audio" in name or name == "r1_aqa" else "qwen2_5_omni"


@dataclass(frozen=True)
class Data:
    """MMAU records to evaluate on, eight questions as a manifest, the same with reasoning, a few without a clip, and
    pass rates of the eight."""

    mmau: Path
    manifest: Path
    text: Path
    reasoned: Path
    pass_rates: Path


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
    return Data(
        *(folder / name for name in ("test.json", "train.jsonl", "text.jsonl", "reasoned.jsonl", "rates.jsonl"))
    )


def small(name: str, data: Data) -> Recipe:
    """The recipe with a tiny checkpoint, its own kind of data and two small steps; all else as it is shipped."""
    reader = load_recipe(FILES[name]).data.train[0].reader
    file = {"mmau": data.mmau.with_name("train.json"), "manifest": data.manifest}[reader]
    if "arc_easy" in name:  # questions without clips
        file = data.text
    if teaches(name):
        file = data.reasoned
    overrides = [
        *(f"model.path={tiny_folder(arch_of(name))}", "data.train.0.audio_root=null", f"data.train.0.file={file}"),
        *("grpo.steps=2", "grpo.prompts_per_step=2", "grpo.completions_per_prompt=2", "grpo.max_completion_tokens=4"),
        "grpo.prompts_per_micro_batch=2",
        *("sft.steps=1", "sft.prompts_per_step=2", "sft.stop_at_dev_accuracy=null", "logging.every=1"),
    ]
    for i in range(1, len(load_recipe(FILES[name]).data.train)):
        overrides += [f"data.train.{i}.audio_root=null", f"data.train.{i}.file={data.text}"]
    if load_recipe(FILES[name]).data.pass_rates is not None:
        overrides.append(f"data.pass_rates={data.pass_rates}")
    if load_recipe(FILES[name]).prompt.prompt_file is not None:  # relative to the checkout
        overrides.append(f"prompt.prompt_file={FOLDER.parent / load_recipe(FILES[name]).prompt.prompt_file}")
    if load_recipe(FILES[name]).data.dev_share > 0:
        overrides += ["data.dev_share=0.4"]
    return load_recipe(FILES[name], overrides)


def test_the_folder_holds_every_row_of_the_paper():
    trained = {"avqa", "avqa_gpt", "vggs_gpt", "avqa_text", "arc_easy"}
    assert {f"omni_r1_{kind}" for kind in trained} <= set(TRAINING)
    assert {f"omni_r1_qwen2_audio_{kind}" for kind in ("avqa", "avqa_text", "arc_easy")} <= set(TRAINING)
    assert {"r1_aqa", "omni_r1_3b_avqa"} <= set(TRAINING)
    zero_shot = {f"zero_shot{way}_{base}" for way in ("", "_cot") for base in ("omni", "qwen2_audio")}
    prompted = {f"audio_thinker_prompt_{base}" for base in ("omni", "qwen2_audio")}
    assert zero_shot | prompted | BASELINES | {"realaqa_thinker_test"} == set(EVALUATION)
    assert {f"audio_thinker_{row}" for row in ROWS} | {"sari", "sari_sft"} <= set(TRAINING)
    assert {f"realaqa_thinker_{run}" for run in ("sft", "atar", "accuracy", "no_balance")} <= set(TRAINING)


def test_a_recipe_without_a_name_is_a_base_and_says_so():
    assert {name for name, file in builtin_recipes().items() if "name" not in read_values(file)} == BASES
    for name in BASES:
        assert builtin_recipes()[name].read_text(encoding="utf-8").startswith("# Base of ")


@pytest.mark.parametrize("name", FILES)
def test_a_row_of_a_paper_is_what_differs_from_its_base_in_15_lines_at_most(name):
    if not name.startswith("realaqa"):
        assert len(FILES[name].read_text(encoding="utf-8").splitlines()) <= 15


@pytest.mark.parametrize("name", FILES)
def test_a_recipe_says_first_what_it_stands_for_and_is_named_as_its_file(name):
    first = next(line for line in FILES[name].read_text(encoding="utf-8").split("\n") if line.strip())
    assert first.startswith("# ")
    stated = first.removeprefix("# ")
    published = "arXiv" in stated and ("table" in stated or "row" in stated)
    assert published or stated.startswith(OWN) or stated.startswith("Zero-shot chain of thought")
    assert read_values(FILES[name])["name"] == name.replace("_", "-")


@pytest.mark.parametrize("name", EVALUATION)
def test_an_evaluation_recipe_that_says_it_is_a_row_of_a_table_names_that_row(name):
    stated = FILES[name].read_text(encoding="utf-8").partition("\n")[0]
    assert bool(parse(EvaluationRecipe, read_values(FILES[name]), name).published) == ("table" in stated)


@pytest.mark.parametrize("name", TRAINING)
def test_settings_that_the_papers_state_are_the_recipes(name):
    recipe = load_recipe(FILES[name])
    if not name.startswith(("omni_r1", "r1_aqa")):
        return
    grpo = recipe.grpo
    assert (grpo.learning_rate, grpo.beta) == (1e-6, 0.04)
    if name == "r1_aqa":
        assert (grpo.prompts_per_step, grpo.completions_per_prompt, grpo.temperature) == (16, 8, 1.0)
        assert (recipe.prompt.style, recipe.reward.names) == ("r1_aqa", ("accuracy", "format"))
    else:
        assert (grpo.prompts_per_step, grpo.completions_per_prompt, grpo.temperature) == (8, 4, 1.2)
        assert (recipe.prompt.style, recipe.reward.names) == ("omni_r1", ("accuracy",))
    assert grpo.steps == (2000 if name == "omni_r1_vggs_gpt" else 1000)
    assert recipe.data.train[0].audio == ("none" if name.endswith("_text") else "real")
    assert ("Qwen2-Audio" in recipe.model.path) == (arch_of(name) == "qwen2_audio")
    assert ("3B" in recipe.model.path) == ("3b" in name)


@pytest.mark.parametrize("row", ROWS)
def test_the_rows_of_audio_thinker_are_those_of_its_table(row):
    """Effective batch 16, read as prompts; 8 responses, temperature 1.0, 1000 steps at 1e-6, KL 0.04."""
    recipe, (_, style, longest, reward) = load_recipe(FILES[f"audio_thinker_{row}"]), ROWS[row]
    grpo = recipe.grpo
    assert ("Qwen2-Audio-7B-Instruct" in recipe.model.path) == (arch_of(f"audio_thinker_{row}") == "qwen2_audio")
    assert recipe.prompt.style == style
    if reward is None:
        assert recipe.data.train[0].file.parent.name == ("avqa_reasoning" if style == "r1_aqa_think" else "avqa")
        return
    assert recipe.data.train[0].file.parent.name == "avqa"
    assert (grpo.prompts_per_step, grpo.completions_per_prompt, grpo.temperature) == (16, 8, 1.0)
    assert (grpo.steps, grpo.learning_rate, grpo.beta, grpo.max_completion_tokens) == (1000, 1e-6, 0.04, longest)
    said = []
    for part in recipe.reward.parts:
        weight = "" if part.weight == 1 else f"{part.weight} "
        said.append(weight + part.name + (f" {part.options.consistency}" if part.options else ""))
    assert " + ".join(said) == reward
    assert (recipe.judge is not None) == ("equation" in reward)
    if recipe.judge is not None:
        assert recipe.judge.endpoint is not None
        assert (recipe.judge.endpoint.model, recipe.judge.endpoint.api) == ("Qwen/Qwen3-8B-Base", "completion")


@pytest.fixture(scope="module")
def judge():
    with serving(lambda asked: said(" 1\n")) as server:
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
    loops = [train] if shipped.sft == Recipe.model_fields["sft"].default else [sft, train]
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
        assert [row["judge/asked"] for row in rows] == [2 * len(recipe.reward.judged)] * 2
        assert {asked.body["model"] for asked in judge.received} >= {name}


@pytest.mark.parametrize("name", EVALUATION)
@pytest.mark.parametrize("audio", ["real", "none"])
def test_an_evaluation_recipe_answers_on_a_tiny_checkpoint(name, audio, data, tmp_path):
    shipped = parse(EvaluationRecipe, read_values(FILES[name]), name)
    assert ("Qwen2-Audio" in shipped.model) == (arch_of(name) == "qwen2_audio")
    style = "r1_aqa_think" if "cot" in name else "adaptive" if "thinker" in name else "omni_r1"
    assert shipped.prompt.style == style
    if not name.startswith("realaqa"):
        assert shipped.max_completion_tokens == (64 if style == "omni_r1" else 512)
    model = shipped.model if name in BASELINES else tiny_folder(arch_of(name))
    overrides = [f"model={model}", f"data.file={data.mmau}", f"data.audio={audio}"]
    overrides += ["data.reader=mmau", "data.audio_root=null", "prompt.prompt_file=null"]
    values = read_values(FILES[name], [*overrides, "max_completion_tokens=4"])
    summary = evaluate(parse(EvaluationRecipe, values, name), tmp_path / "eval")
    assert (summary["n"], summary["n_rejected"], summary["audio"]) == (4, 0, audio)
    assert summary["chance"] == 0.25
