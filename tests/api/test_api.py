"""The Python API on a small demo: what each function returns, and what wrong arguments are told."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest
from rich.console import Console

import harken
from harken.config import Recipe
from harken.errors import CheckpointError, ConfigError

QUIET = Console(quiet=True)
SMALL = {"steps": 3, "prompts_per_step": 2, "completions_per_prompt": 2, "max_completion_tokens": 4}


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> harken.Demo:
    return harken.write_demo(tmp_path_factory.mktemp("api"), n_train=24, n_test=8)


@pytest.fixture(scope="module")
def steps() -> list[harken.TrainingStep]:
    return []


@pytest.fixture(scope="module")
def run(demo, steps) -> harken.Run:
    """Two of three steps: the function that is called after each step ends the run."""
    recipe = demo.recipe("grpo", settings={"grpo": SMALL, "logging": {"every": 1}})

    def on_step(step: harken.TrainingStep) -> bool:
        steps.append(step)
        return step.number == 2

    return harken.train(recipe, demo.train.parents[1] / "grpo", on_step=on_step, console=QUIET)


def test_a_function_is_called_after_each_step_and_may_end_the_run(run, steps):
    assert [(step.number, step.last, step.shown) for step in steps] == [(1, 3, True), (2, 3, True)]
    assert [row["step"] for row in run.metric_rows] == [1, 2]
    assert dict(steps[1].row) == run.metric_rows[1]
    assert [row["completion"] for row in steps[1].completions] == [row["completion"] for row in run.completion_rows(2)]
    assert run.checkpoint.name == "step_000002"


def test_a_run_that_ended_early_goes_on(run, demo, tmp_path):
    import shutil

    shutil.copytree(run.folder, tmp_path / "copy")
    resumed = harken.train(out=tmp_path / "copy", resume=True, console=QUIET)
    assert [row["step"] for row in resumed.metric_rows] == [1, 2, 3]


def test_a_run_folder_is_read_as_data_frames(run):
    metrics, completions = run.metrics(), run.completions()
    assert list(metrics.index) == [1, 2]
    assert {"reward/mean", "loss/total"} <= set(metrics.columns)
    assert len(completions) == 8
    assert list(run.completions(1)["step"]) == [1] * 4
    assert isinstance(run.recipe, Recipe)
    assert str(run.folder) in repr(run)


def test_data_frames_without_pandas_are_refused_with_the_command_that_installs_it(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"need pandas, which is not installed: pip install 'harken\[pandas\]'"):
        run.metrics()


def test_a_model_in_memory_answers_and_is_evaluated_without_being_loaded_again(run, demo, tmp_path, monkeypatch):
    model = harken.load_model(run)
    assert (model.path, model.dtype) == (str(run.checkpoint), "float32")
    [question, *_], _ = harken.read_questions(demo.test, "mmau")
    answer = model.ask(question.audio, question.text, question.choices, max_completion_tokens=4)
    assert (answer.heard, model.ask(None, "Which?", ["a", "b"], max_completion_tokens=2).heard) == (
        "as it is",
        "nothing",
    )
    assert str(answer).startswith(repr(answer.text))
    monkeypatch.setattr("harken.evaluation.evaluated_model.load_model", lambda *_, **__: pytest.fail("loaded again"))
    evaluation = harken.evaluate(model=model, data=demo.test, max_completion_tokens=4, out=tmp_path / "eval")
    assert evaluation.summary["model"] == model.path
    assert evaluation.accuracy == evaluation.by_group["all"]
    assert (evaluation.accuracy.n, len(evaluation.rows), len(evaluation.predictions())) == (8, 8, 8)
    assert f"of 8, chance {100 * evaluation.chance:.1f} %" in str(evaluation)
    assert "<td style='text-align:left'>all</td>" in evaluation._repr_html_()
    assert harken.compare(evaluation, evaluation)[0].gain.mean == 0
    assert (
        harken.score("mmau", demo.test, evaluation.folder / "predictions.jsonl").choice.mean == evaluation.accuracy.mean
    )


def test_a_finished_evaluation_is_returned_and_another_recipe_is_refused(demo, tmp_path):
    arguments = {"model": "random-guess", "data": demo.test, "out": tmp_path / "eval"}
    first = harken.evaluate(**arguments)
    (tmp_path / "eval" / "marker").touch()
    assert harken.evaluate(**arguments).summary == first.summary
    with pytest.raises(ConfigError, match="holds an evaluation already"):
        harken.evaluate(**arguments, reuse=False)
    with pytest.raises(ConfigError, match="holds an evaluation with another recipe"):
        harken.evaluate(**arguments, settings={"seed": 1})


def test_five_kinds_of_audio_and_several_tasks(run, demo, tmp_path):
    listening = harken.evaluate_listening(model=run, data=demo.test, max_completion_tokens=4, out=run.folder / "eval/l")
    assert list(listening.accuracy) == ["real", "none", "silence", "noise", "shuffled"]
    gain = listening.accuracy["real"].mean - listening.accuracy["none"].mean
    assert listening.audio_gain.mean == pytest.approx(gain)
    assert list(listening.questions()["real"].index) == list(range(8))
    assert run.listening["l"].figures == listening.figures
    assert set(run.evaluations) == {f"l/{mode}" for mode in listening.accuracy}
    tasks = harken.evaluate_tasks([f"mmau={demo.test}"], model="random-guess", out=tmp_path / "tasks")
    alone = harken.evaluate(model="random-guess", data=demo.test, out=tmp_path / "alone")
    assert tasks.accuracy == {"mmau": alone.accuracy}
    picture = harken.plot_accuracy({"after <GRPO>": listening.accuracy}, title="a & b", chance=0.25)
    assert picture.save(tmp_path / "a.svg").read_text() == picture._repr_svg_()
    assert "after &lt;GRPO&gt;, silence" in picture.svg
    assert picture.svg.count("<circle") == 5


def test_a_picture_is_svg_that_a_parser_reads(tmp_path):
    from xml.etree import ElementTree

    figure = harken.Estimate(0.5, 0.4, 0.6, 10, 5)
    for picture in (
        harken.plot_accuracy({"a": {"x": figure}, "b": {"x": figure, "y": figure}}, title="<t>"),
        harken.plot_curve({"r": [(1, 0.0), (2, 1.0)], "s": [(1, 3.0)]}, title="c", unit="nats"),
        harken.plot_curve({}, title="none"),
    ):
        ElementTree.fromstring(picture.svg)


def test_rewards_are_computed_by_hand():
    question = harken.Question("q", "Who barks?", ("a dog", "a seal"), 0, None)
    rewards = harken.compute_rewards(
        ["accuracy", {"name": "format", "weight": 0.5}],
        question,
        ["<answer>a dog</answer>", "a dog", "<answer>a seal</answer>"],
        style="r1_aqa",
    )
    assert rewards.parts == {"accuracy": [1.0, 1.0, 0.0], "format": [1.0, 0.0, 1.0]}
    assert rewards.total == [1.5, 1.0, 0.5]
    reward = {"parts": [{"name": "adaptive"}], "adaptive": {"balance": False}}
    assert harken.compute_rewards(reward, question, ["<answer>a dog</answer>"], style="adaptive").total == [2.0]
    assert harken.compute_rewards("accuracy", question, []).total == []
    with pytest.raises(ConfigError, match="quality needs a judge"):
        harken.compute_rewards("quality", question, ["a dog"], style="adaptive")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: harken.train(), "give a recipe, or resume=True and the folder of a run"),
        (lambda: harken.train(resume=True), "resume goes on with the run in out: give its folder"),
        (lambda: harken.train("omni_r1_avqaa"), "no built-in recipe is named 'omni_r1_avqaa'"),
        (lambda: harken.train({"name": "x"}), "the recipe: model: missing"),
        (lambda: harken.Run("nowhere"), "nowhere: no config.yaml here; give the folder of a run"),
        (lambda: harken.load_model("x", dtype="float8"), "dtype 'float8': one of auto, float32"),
        (lambda: harken.evaluate(model="random-guess"), "evaluate: data: missing"),
        (lambda: harken.evaluate_tasks(["mmau"], model="random-guess"), "there is no task 'mmau'"),
        (lambda: harken.write_report([]), "give the folder of a run"),
    ],
)
def test_wrong_arguments_are_named(call, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=sentence):
        call()


def test_what_is_no_checkpoint_and_too_few_choices_are_named(demo, tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json here"):
        harken.load_model(tmp_path)
    with pytest.raises(ConfigError, match="two choices or more"):
        harken.load_model(demo.model).ask(None, "Which?", "ab")


@pytest.fixture
def short(monkeypatch, tmp_path):
    """The whole program with few questions and steps, in an empty folder."""
    settings = {"sft": {"steps": 2, "prompts_per_step": 4}, "grpo": SMALL}
    monkeypatch.setattr("harken.api.demo.SETTINGS", settings)
    monkeypatch.setattr("harken.api.demo.N_TRAIN", 12)
    monkeypatch.setattr("harken.api.demo.N_TEST", 4)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_program_of_fifteen_lines_trains_evaluates_and_plots(short, capsys):
    program = Path(__file__).parents[2] / "examples" / "listening.py"
    assert len(program.read_text().splitlines()) <= 15
    runpy.run_path(str(program))
    shown = capsys.readouterr().out
    assert "before GRPO: real" in shown
    assert "audio gain" in shown
    assert (short / "listening.svg").read_text().count("<circle") == 12  # five kinds, two models, and the legend
    assert json.loads((short / "demo/grpo/eval/listening/listening.json").read_text())["n"] == 4


def test_the_page_lists_every_name():
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    table = page.partition("## All names")[2]
    assert set(re.findall(r"`(\w+)`", table)) == set(harken.__all__)
