"""Every built-in recipe says which row of a paper it is, and has the settings that the paper states."""

import pytest
from recipe_rows import BASELINES, BASES, EVALUATION, FILES, OWN, READINGS, ROWS, TRAINING, arch_of

from harken.config import EvaluationRecipe, load_recipe, parse, read_values
from harken.config.builtin_recipes import about, builtin_recipes


def test_the_folder_holds_every_row_of_the_paper():
    trained = {"avqa", "avqa_gpt", "vggs_gpt", "avqa_text", "arc_easy"}
    assert {f"omni_r1_{kind}" for kind in trained} <= set(TRAINING)
    assert {f"omni_r1_qwen2_audio_{kind}" for kind in ("avqa", "avqa_text", "arc_easy")} <= set(TRAINING)
    assert {"r1_aqa", "omni_r1_3b_avqa"} <= set(TRAINING)
    zero_shot = {f"zero_shot{way}_{base}" for way in ("", "_cot") for base in ("omni", "qwen2_audio")}
    prompted = {f"audio_thinker_prompt_{base}" for base in ("omni", "qwen2_audio")}
    ours = {name for name in EVALUATION if about(FILES[name])[0].startswith(OWN)}
    assert zero_shot | prompted | BASELINES == set(EVALUATION) - ours
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
        rewards = {"omni_r1_avqa_open": ("accuracy", "open_answer"), "omni_r1_librispeech": ("transcript",)}
        assert (recipe.prompt.style, recipe.reward.names) == ("omni_r1", rewards.get(name, ("accuracy",)))
    assert grpo.steps == (2000 if name == "omni_r1_vggs_gpt" else 1000)
    assert recipe.data.train[0].audio == ("none" if name.endswith("_text") else "real")
    assert ("Qwen2-Audio" in recipe.model.path) == (arch_of(name) == "qwen2_audio")
    assert ("3B" in recipe.model.path) == ("3b" in name)


@pytest.mark.parametrize("name", [name for name in TRAINING if not name.startswith("realaqa")])
def test_completions_are_sampled_as_the_siblings_code_samples_them(name):
    """transformers 4.49 has top_k 50 where nothing is said, as in R1-AQA's trainer; ms-swift 3 has top_p 0.9 too."""
    grpo = load_recipe(FILES[name]).grpo
    framework = name.startswith(("audio_thinker_grpo", "audio_thinker_model", "sari")) and name != "sari_sft"
    expected = (0, 1.0) if name.endswith("untruncated") else (50, 0.9 if framework else 1.0)
    if name == "adqa_grpo":  # a participant's script
        expected = (50, 0.95)
    assert (grpo.top_k, grpo.top_p) == expected


@pytest.mark.parametrize("name", [name for name in TRAINING if name.endswith(READINGS)])
def test_another_reading_of_a_row_differs_from_it_in_that_reading_alone(name):
    row = next(name.removesuffix(f"_{reading}") for reading in READINGS if name.endswith(reading))
    values, of_row = (load_recipe(FILES[file]).model_dump(mode="json") for file in (name, row))
    for recipe in (values, of_row):
        recipe.pop("name")
    match name.removeprefix(f"{row}_"):
        case "untruncated":
            of_row["grpo"] |= {"top_k": 0, "top_p": 1.0}
        case "2_prompts":
            of_row["grpo"] |= {"prompts_per_step": 2}
        case "equation":
            of_row["reward"]["adaptive"]["consistency"] = "equation"
    assert values == of_row


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
    parts = []
    for part in recipe.reward.parts:
        weight = "" if part.weight == 1 else f"{part.weight} "
        adaptive = recipe.reward.adaptive if part.name == "adaptive" else None
        parts.append(weight + part.name + (f" {adaptive.consistency}" if adaptive else ""))
    assert " + ".join(parts) == reward
    assert (recipe.judge is not None) == ("correct_only" in reward)
    if recipe.judge is not None:
        assert recipe.judge.endpoint is not None
        assert (recipe.judge.endpoint.model, recipe.judge.endpoint.api) == ("Qwen/Qwen3-8B-Base", "completion")
