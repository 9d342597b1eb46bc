"""Recipes: every key is known, and every error names the key, the value and the fix."""

from pathlib import Path

import pytest
import yaml

from harken.config import Recipe, load_recipe
from harken.errors import ConfigError

SMALLEST = {"name": "x", "model": {"path": "m"}, "data": {"train": [{"file": "q.json"}]}}


def written(folder, **sections) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({**SMALLEST, **sections}), encoding="utf-8")
    return path


def test_the_defaults_are_those_of_omni_r1(tmp_path):
    recipe = load_recipe(written(tmp_path))
    grpo = recipe.grpo
    assert (grpo.steps, grpo.prompts_per_step, grpo.completions_per_prompt) == (1000, 8, 4)
    assert (grpo.temperature, grpo.top_p, grpo.top_k, grpo.max_completion_tokens) == (1.2, 1.0, 0, 64)
    assert (grpo.learning_rate, grpo.beta, grpo.schedule, grpo.warmup_share) == (1e-6, 0.04, "linear", 0.0)
    assert (grpo.betas, grpo.weight_decay, grpo.max_grad_norm) == ((0.9, 0.999), 0.0, 1.0)
    assert (grpo.clip_low, grpo.clip_high, grpo.num_iterations) == (0.2, 0.2, 1)
    assert (grpo.normalization, grpo.scale_rewards, grpo.policy_pass) == ("grpo", True, "packed")
    assert not grpo.mask_truncated
    assert not grpo.temperature_in_loss
    assert [(part.name, part.weight) for part in recipe.reward.parts] == [("accuracy", 1.0)]
    assert (recipe.prompt.style, recipe.prompt.choices) == ("omni_r1", None)
    assert recipe.model.train_audio_tower
    assert recipe.model.train_projector
    assert recipe.model.train_language_model
    assert (recipe.sft.learning_rate, recipe.sft.prompts_per_step, recipe.sft.epochs) == (1e-5, 32, 1.0)
    assert (recipe.sft.schedule, recipe.sft.warmup_share) == ("cosine", 0.03)
    assert recipe.data.max_rejected_share == 0.05


def test_a_recipe_written_out_reads_back_the_same(tmp_path):
    recipe = load_recipe(written(tmp_path, grpo={"betas": [0.9, 0.95]}, logging={"trackers": ["tensorboard"]}))
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf-8")
    assert load_recipe(tmp_path / "again.yaml") == recipe


def parts(*rewards: dict) -> dict:
    return {"reward": {"parts": list(rewards)}}


WRONG = {
    "unknown section": ({"grppo": {}}, "grppo: unknown key (did you mean 'grpo'?); known here: name, seed, model"),
    "unknown key": (
        {"grpo": {"stepz": 5}},
        "grpo.stepz: unknown key (did you mean 'grpo.steps'?); known here: steps, prompts_per_step",
    ),
    "unknown key of a source": (
        {"data": {"train": [{"file": "q", "audio_rot": "a"}]}},
        "data.train.0.audio_rot: unknown key (did you mean 'data.train.0.audio_root'?); known here: reader, file",
    ),
    "missing key": ({"model": {}}, "model.path: missing"),
    "a base that is run": ({"name": None}, "name: Input should be a valid string"),
    "no source": ({"data": {"train": []}}, "data.train: "),
    "text for a number": ({"grpo": {"steps": "many"}}, "grpo.steps: Input should be a valid integer"),
    "fraction for a count": ({"grpo": {"steps": 1.5}}, "(found 1.5)"),
    "no number": ({"grpo": {"learning_rate": "fast"}}, "grpo.learning_rate: Input should be a valid number"),
    "list for a section": ({"grpo": [1]}, "grpo: Input should be a valid dictionary"),
    "out of range": ({"grpo": {"completions_per_prompt": 1}}, "greater than or equal to 2 (found 1)"),
    "more than anybody counts": ({"sft": {"steps": 10**9 + 1}}, "should be less than or equal to 1000000000"),
    "a group beyond memory": ({"grpo": {"completions_per_prompt": 2**31}}, "less than or equal to 65536 (found 2147"),
    "no kind of device": ({"model": {"path": "m", "device": "abacus"}}, "model.device: no such kind of device; use au"),
    "an empty device": ({"model": {"path": "m", "device": ""}}, "use auto, cpu, cuda or cuda:1 (found '')"),
    "negative": ({"grpo": {"beta": -0.1}}, "grpo.beta: Input should be greater than or equal to 0 (found -0.1)"),
    "share above one": ({"data": {**SMALLEST["data"], "dev_share": 1.5}}, "data.dev_share: "),
    "not one of": ({"grpo": {"normalization": "ppo"}}, "'grpo', 'dr_grpo' or 'dapo' (found 'ppo')"),
    "a name that is no folder name": ({"name": "../x"}, "name: String should match pattern"),
    "nothing trains": (
        {
            "model": {
                **{"path": "m", "train_audio_tower": False, "train_projector": False},
                "train_language_model": False,
            }
        },
        "nothing would train: set one of train_audio_tower",
    ),
    "dr_grpo that scales": ({"grpo": {"normalization": "dr_grpo"}}, "set scale_rewards: false"),
    "an aim of no resampling": (
        {"grpo": {"resample_by": "accuracy"}},
        "nothing is resampled: set resample_equal_groups",
    ),
    "evaluations of nothing": ({"logging": {"evaluate_every": 5}}, "set data.dev_share, for example 0.1"),
    "a stop that is never looked for": ({"sft": {"stop_at_dev_accuracy": 0.5}}, "set logging.evaluate_every"),
    "no reward": ({"reward": {"parts": []}}, "reward.parts: Tuple should have at least 1 item"),
    "a reward of weight 0": (parts({"name": "accuracy", "weight": 0}), "a part of weight 0 rewards nothing: remove it"),
    "a reward of endless weight": (parts({"name": "accuracy", "weight": float("inf")}), "should be a finite number"),
    "a reward nobody knows": (
        parts({"name": "acuracy"}),
        "no such reward (did you mean 'accuracy'?); one of accuracy, format, adaptive, quality, listening, "
        "open_answer, transcript, overlong, or module:function",
    ),
    "a function without a name": (parts({"name": "rewards:"}), "no such reward"),
    "a reward twice": (parts({"name": "accuracy"}, {"name": "accuracy"}), "a part is named twice"),
    "options of a part that is not there": (
        {"reward": {"adaptive": {"balance": False}}},
        "adaptive: has options and is no part of the reward: add it to reward.parts, or remove it",
    ),
    "options in their old place": (
        parts({"name": "adaptive", "options": {"balance": False}}),
        "reward.parts.0.options: this key is now called reward.adaptive",
    ),
    "an unknown option": (
        {"reward": {"parts": [{"name": "adaptive"}], "adaptive": {"balanced": True}}},
        "reward.adaptive.balanced: unknown key (did you mean 'reward.adaptive.balance'?)",
    ),
    "a judge that is missing": (
        {**parts({"name": "quality"}), "prompt": {"style": "adaptive"}},
        "reward.parts: quality: this needs a judge: add a judge section",
    ),
    "an order without rates": (
        {"data": {**SMALLEST["data"], "order": "pass_rate"}},
        "order: pass_rate and pass_rates: FILE go together",
    ),
    "a form nobody asked for": (parts({"name": "format"}), "asks for no tags: remove it or set r1_aqa"),
    "a choice that the prompt does not leave": (
        {**parts({"name": "adaptive"}), "prompt": {"style": "r1_aqa_think"}},
        "style r1_aqa_think leaves no choice: set prompt.style: adaptive",
    ),
    "the quality of no reasoning": (
        {**parts({"name": "quality"}), "prompt": {"style": "r1_aqa"}},
        "style r1_aqa asks for no reasoning: set adaptive or r1_aqa_think",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_an_error_names_file_key_value_and_fix(tmp_path, kind):
    sections, says = WRONG[kind]
    path = written(tmp_path, **sections)
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


def test_all_errors_are_told_at_once(tmp_path):
    path = written(tmp_path, grpo={"steps": 0, "stepz": 5}, seed=-1)
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{path}: ") for line in lines)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"- a\n- b\n", "a mapping of keys, found list"),
        (b"", "found NoneType"),
        (b"a: [1", "not YAML"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_file_that_is_no_recipe_is_an_error_that_names_it(tmp_path, content, says):
    path = tmp_path / "r.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)


def test_a_missing_recipe_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_recipe(tmp_path / "nowhere.yaml")


def test_overrides_go_over_the_file_and_reach_into_lists(tmp_path):
    path = written(tmp_path, grpo={"steps": 5, "beta": 0.1}, data={"train": [{"file": "a"}, {"file": "b"}]})
    recipe = load_recipe(
        path,
        [
            *("grpo.steps=7", "grpo.learning_rate=1e-6", "grpo.betas=[0.8, 0.9]", "model.path=runs/a=b"),
            *(
                "data.train.1.audio=none",
                "data.train.1.file=c",
                "logging.trackers=[tensorboard, wandb]",
                "sft.steps=null",
            ),
            "reward={parts: [{name: accuracy, weight: 2.0}]}",
        ],
    )
    assert recipe.grpo.steps == 7
    assert recipe.grpo.beta == 0.1
    assert recipe.grpo.learning_rate == 1e-6
    assert recipe.grpo.betas == (0.8, 0.9)
    assert recipe.model.path == "runs/a=b"
    assert [source.file for source in recipe.data.train] == [Path("a"), Path("c")]
    assert [source.audio for source in recipe.data.train] == ["real", "none"]
    assert recipe.logging.trackers == ("tensorboard", "wandb")
    assert recipe.sft.steps is None
    assert recipe.reward.parts[0].weight == 2.0


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("grpo.steps", "expected key=value, for example grpo.learning_rate=1e-6"),
        ("=3", "expected key=value"),
        ("grpo..steps=3", "expected key=value"),
        ("grpo.steps=[1", "the value is not YAML"),
        ("name.x=3", "'name' is a single value, not a section"),
        ("data.train.1.file=x", "'1' is not an entry of a list of 1"),
        ("data.train.first.file=x", "'first' is not an entry of a list of 1"),
        ("data.train.5=x", "'5' is not an entry of a list of 1"),
        ("grpo.stepz=3", "grpo.stepz: unknown key"),
        ("grpo.steps=0", "grpo.steps: Input should be greater than or equal to 1 (found 0)"),
    ],
)
def test_a_wrong_override_is_an_error_that_says_so(tmp_path, override, says):
    with pytest.raises(ConfigError) as caught:
        load_recipe(written(tmp_path), [override])
    assert says in str(caught.value)


def test_a_recipe_cannot_be_changed_after_it_was_checked(tmp_path):
    recipe = load_recipe(written(tmp_path))
    with pytest.raises(ValueError, match="frozen"):
        recipe.grpo.steps = 3
    assert isinstance(recipe, Recipe)


@pytest.mark.parametrize("audio", ["silence", "noise", "shuffled"])
def test_training_hears_the_clip_or_nothing(tmp_path, audio):
    with pytest.raises(ConfigError, match=rf"data: train\.0\.audio: {audio} is for evaluation; training takes real"):
        load_recipe(written(tmp_path), [f"data.train.0.audio={audio}"])


def test_the_earlier_spelling_of_a_heard_clip_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.train\.0\.audio: .*'real', 'none'.*found 'clip'"):
        load_recipe(written(tmp_path), ["data.train.0.audio=clip"])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "an empty path"),
        (" ", "an empty path"),
        ("x" * 256, "with a name of more than 255"),
        ("ü" * 128, "with a name of more than 255"),
        ("x/" * 2100, "a path of more than 4095 bytes"),
        ("red\x1b[31m", "a path with a control character"),
        ("gpj\u202e.wav", "a path with a control character"),
    ],
)
@pytest.mark.parametrize(
    ("key", "section"),
    [
        ("model.path", lambda path: {"model": {"path": path}}),
        ("data.train.0.file", lambda path: {"data": {"train": [{"file": path}]}}),
        ("data.train.0.audio_root", lambda path: {"data": {"train": [{"file": "q", "audio_root": path}]}}),
        ("judge.local.path", lambda path: {"judge": {"local": {"path": path}}}),
    ],
)
def test_a_path_that_no_file_system_can_have_is_an_error_with_recipe_and_key(path, reason, key, section, tmp_path):
    file = written(tmp_path, **section(path))
    with pytest.raises(ConfigError, match=reason) as raised:
        load_recipe(file)
    assert f"{file}: {key}: " in str(raised.value)


def test_the_longest_names_are_paths(tmp_path):
    assert load_recipe(written(tmp_path, model={"path": f"{'x' * 255}/{'ü' * 127}"})).model.path.endswith("ü")
