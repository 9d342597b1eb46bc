"""Objects of the user's own, written outside the package as docs/extending.md and docs/rewards.md show them.

The files are the pages' own code. The commands run in their folder, and a recipe finds them from any other folder.
"""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from command_line import harken, refused_by

from harken.config import EvaluationRecipe, JudgeConfig, parse, plugins
from harken.errors import ConfigError, DataError, HarkenError
from harken.evaluation.own_model import OwnModel
from harken.judges import open_judge
from harken.questions.prompt import Prompt
from harken.types import Question


def evaluation(**values) -> EvaluationRecipe:
    return parse(EvaluationRecipe, {"data": {"file": "barks.json", "reader": "barks:BARKS"}, **values}, "test")


def test_a_benchmark_with_its_own_scorer_and_a_model_are_used_by_name(folder):
    words = ("--benchmark", "barks:BARKS", "--data", "barks.json")
    done = harken("evaluate", "--model", "my_model:Loudness", *words, "--out", "out")
    assert done.code == 0, done.err
    summary = json.loads((folder / "out" / "summary.json").read_text())
    assert (summary["model"], summary["benchmark"]["name"]) == ("my_model:Loudness", "barks")
    assert summary["accuracy"]["all"]["mean"] == pytest.approx(2 / 3)  # loud: the first choice, wrong for b3
    assert summary["official"]["official_accuracy"]["value"] == pytest.approx(2 / 3)
    assert summary["official"]["by"]["size"]["two"]["n"] == 3
    scored = harken("score", *words, "out/predictions.jsonl", "--json")
    assert json.loads(scored.out)["official_accuracy"]["value"] == pytest.approx(2 / 3)


def test_a_model_of_ones_own_hears_what_the_audio_mode_gives_and_answers_in_batches(folder):
    words = ("--benchmark", "barks:BARKS", "--data", "barks.json", "--json")
    listening = json.loads(harken("evaluate", "--model", "my_model:Loudness", *words, "--listening", "--out", "a").out)
    values = {mode: figure["accuracy"]["mean"] for mode, figure in listening["modes"].items()}
    assert values["none"] == pytest.approx(1 / 3)  # the first choice
    assert values["silence"] == pytest.approx(2 / 3)  # the second choice
    batch = json.loads(harken("evaluate", "--model", "my_model:first_choices", *words, "--out", "b").out)
    assert batch["accuracy"]["all"]["mean"] == pytest.approx(1 / 3)


def test_a_stopped_evaluation_of_a_model_of_ones_own_goes_on_with_the_same_code_only(folder, monkeypatch):
    (folder / "own.py").write_text(
        "calls = []\ndef answer(asked):\n    calls.append(asked.question.id)\n    if len(calls) == 3:\n"
        "        raise RuntimeError('out of luck')\n    return 'a dog'\n"
    )
    words = ("--model", "own:answer", "--benchmark", "barks:BARKS", "--data", "barks.json", "--batch-size", "1")
    sentence = refused_by("evaluate", *words, "--out", "out")
    assert "model: own:answer: raised RuntimeError: out of luck (own.py, line 5)" in sentence
    assert harken("evaluate", *words, "--out", "out").code == 0
    assert sys.modules["own"].calls == ["b1", "b2", "b3", "b3"]
    (folder / "other").mkdir()
    sys.modules.pop("own")
    refused_by("evaluate", *words, "--out", "stopped")
    (folder / "own.py").write_text("def answer(asked):\n    return 'a seal'\n")
    sys.modules.pop("own")
    assert "own.py: changed" in refused_by("evaluate", *words, "--out", "stopped")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("def answer(asked):\n    return 3", "returned 3; it must return a text"),
        ("def answer(asked):\n    return None", "returned None; it must return a text"),
        ("def answer(asked):\n    return asked.nothing", "raised AttributeError: .*own_model_file.py, line 2"),
        ("async def answer(asked):\n    return {}['a']", "raised KeyError: 'a' \\(own_model_file.py, line 2\\)"),
        ("def answer(asked):\n    return ['a']\nanswer.per = 'batch'", "returned 1 texts for 3 questions"),
        ("def answer(asked):\n    return 'abc'\nanswer.per = 'batch'", "returned 'abc'; it must return a list of 3"),
        (
            "class answer:\n    def __init__(self):\n        raise OSError('no weights')",
            "cannot be made: .* no weights",
        ),
        ("class answer:\n    pass", "has no __call__"),
        ("answer = 3", "is no function but int"),
    ],
)
def test_a_model_that_gives_no_answers_is_refused_by_its_name(folder, code, sentence):
    (folder / "own_model_file.py").write_text(code + "\n")
    with pytest.raises(HarkenError, match=f"model: own_model_file:answer: .*{sentence}"):
        harken_evaluate(folder)


def harken_evaluate(folder: Path) -> None:
    from harken import evaluate

    evaluate(model="own_model_file:answer", benchmark="barks:BARKS", data="barks.json", out=folder / "out")


def test_a_batch_reward_that_is_async_trains_from_the_recipes_folder(folder, tmp_path_factory, monkeypatch):
    """The recipe is run from another folder, and its rewards see a step, a group and the record's other columns."""
    records = [
        {"id": f"q{n}", "text": "Who barks?", "choices": ["a dog", "a seal"], "answer": 0, "audio": "loud.wav"}
        | {"extra": {"worth": n}}
        for n in range(4)
    ]
    (folder / "questions.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert harken("tiny", "--out", "tiny", "--text", "questions.jsonl").code == 0
    parts = ["accuracy", *(f"my_rewards:{name}" for name in ("hard", "unusual", "shorter_than_most"))]
    recipe = {
        **{"name": "mine", "model": {"path": str(folder / "tiny")}},
        "data": {"train": [{"reader": "manifest", "file": str(folder / "questions.jsonl")}]},
        "reward": {"parts": [{"name": name} for name in parts]},
        "grpo": {
            **{"steps": 1, "prompts_per_step": 2, "completions_per_prompt": 2, "max_completion_tokens": 4},
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    done = harken("train", folder / "recipe.yaml", "--out", "run")
    assert done.code == 0, done.err
    [row] = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    assert {f"reward/{name}" for name in parts} <= row.keys()
    rows = [json.loads(line) for line in Path("run/rollouts/step_000001.jsonl").read_text().splitlines()]
    lengths = [each["tokens"] for each in rows]
    expected = [sum(length > own for length in lengths) / 4 for own in lengths]
    assert [each["rewards"]["my_rewards:shorter_than_most"] for each in rows] == expected
    assert yaml.safe_load(Path("run/config.yaml").read_text())["import_from"] == [str(folder)]
    extended = harken("extend", "run", "--steps", "2")  # from the run folder alone
    assert extended.code == 0, extended.err


def test_a_judge_of_ones_own_scores_and_what_it_does_wrong_is_a_failed_call(folder, tmp_path):
    question = Question("q", "Who barks?", ("a dog", "a seal"), 0, None)
    plugins.make_importable(folder)
    judge = open_judge(JudgeConfig(function="my_judge:score"), tmp_path / "judge")
    assert judge.submit("consistency", question, "It is a dog.", "a dog").result(10).score == 1.0
    assert judge.submit("quality", question, "one two three four", "a dog").result(10).score == 0.2
    judge.close()
    (folder / "bad_judges.py").write_text(
        "async def late(*_):\n    return 0.5\ndef high(*_):\n    return 7\ndef text(*_):\n    return '1'\n"
        "def raises(*_):\n    return {}['score']\n"
    )
    verdicts = {}
    for name in ("late", "high", "text", "raises"):
        judge = open_judge(JudgeConfig(function=f"bad_judges:{name}"), tmp_path / "judge")
        verdicts[name] = judge.submit("quality", question, "", "a dog").result(10)
        judge.close()
    assert (verdicts["late"].score, verdicts["late"].reason) == (0.5, "")
    assert verdicts["high"].reason == "no score: bad_judges:high returned 7; a score is a number from 0 to 1"
    assert verdicts["text"].reason == "no score: bad_judges:text returned '1'; a score is a number from 0 to 1"
    assert verdicts["raises"].reason == "raised: bad_judges:raises raised KeyError: 'score' (bad_judges.py, line 8)"
    with pytest.raises(ConfigError, match=r"judge\.function: bad_judges:nothing: bad_judges defines no nothing"):
        open_judge(JudgeConfig(function="bad_judges:nothing"), tmp_path / "judge")


def test_a_reader_of_ones_own_reads_questions_and_lists_what_it_rejects(folder):
    from harken import read_questions

    lines = ["q1\tloud.wav\tWho barks?\ta dog\ta seal", "half a line"]
    (folder / "lines.tsv").write_text("\n".join(lines))
    [question], [rejected] = read_questions("lines.tsv", "my_reader:read_lines")
    assert (question.choices, question.source, question.audio) == (("a dog", "a seal"), "lines.tsv:1", Path("loud.wav"))
    assert rejected.reason == "1 columns, expected 5"
    words = ("--model", "my_model:Loudness", "--benchmark", "my_reader:read_lines", "--data", "lines.tsv")
    summary = json.loads(harken("evaluate", *words, "--out", "out", "--json").out)
    assert summary["accuracy"]["all"] | {"low": 0, "high": 0} == {
        "mean": 0.5,
        "low": 0,
        "high": 0,
        "n": 2,
        "clusters": 2,
    }


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("return 3", "the reader own_reader:read returned 3; it returns a list of questions"),
        ("return ['q']", "it returns a list of questions"),
        ("return {}['a']", r"the reader own_reader:read raised KeyError: 'a' \(own_reader.py, line 3\)"),
        ("return [Question('q', 'a', ('b', 'c'), 0, None)] * 2", "gives the id 'q' to questions 1 and 2"),
        ("return [Question('q', 'a', ('b', 'c'), 5, None)]", "answer 5, which is no index of its 2 choices"),
    ],
)
def test_a_reader_that_gives_no_questions_is_refused_by_its_name(folder, code, sentence):
    from harken import read_questions

    (folder / "own_reader.py").write_text(f"from harken import Question\ndef read(path, audio_root):\n    {code}\n")
    with pytest.raises(DataError, match=f"barks.json: {sentence}|barks.json: the reader own_reader:read .*{sentence}"):
        read_questions("barks.json", "own_reader:read")


def test_a_rule_of_ones_own_takes_the_place_of_a_benchmarks(folder):
    (folder / "rules.py").write_text("def never(question, prediction):\n    return False\nbroken = lambda *_: 'yes'\n")
    (folder / "guesses.json").write_text(json.dumps([{"name": "b1", "guess": "a dog"}]))
    words = ("--benchmark", "barks:BARKS", "--data", "barks.json", "guesses.json", "--json")
    assert json.loads(harken("score", *words).out)["official_accuracy"]["value"] == 1.0
    scored = json.loads(harken("score", *words, "--rule", "rules:never").out)
    assert (scored["rule"], scored["official_accuracy"]["value"]) == ("rules:never", 0.0)
    assert "official_rule returned 'yes'" in refused_by("score", *words, "--rule", "rules:broken")
    assert "rule: rules:gone: rules defines no gone" in refused_by("score", *words, "--rule", "rules:gone")


def test_several_benchmarks_are_one_command_and_one_table(folder):
    tasks = {
        "barks": {"data": {"reader": "barks:BARKS", "file": "barks.json"}},
        "soft": {"data": {"reader": "barks:BARKS", "file": "barks.json"}, "limit": 2},
    }
    (folder / "tasks.yaml").write_text(yaml.safe_dump(tasks))
    words = (
        "evaluate",
        "--model",
        "my_model:Loudness",
        "--tasks",
        "barks,soft",
        "--data",
        "tasks.yaml",
        "--out",
        "out",
    )
    done = harken(*words)
    assert done.code == 0, done.err
    assert re.search(r"barks\s.*3.*66\.7", done.out), done.out
    assert re.search(r"soft\s.*2.*100\.0", done.out), done.out
    written = json.loads((folder / "out" / "tasks.json").read_text())
    assert {name: summary["n"] for name, summary in written.items()} == {"barks": 3, "soft": 2}
    assert (folder / "out" / "soft" / "predictions.jsonl").is_file()
    again = harken(*words)  # nothing is asked twice
    assert (again.code, json.loads((folder / "out" / "tasks.json").read_text())) == (0, written)
    inline = harken("evaluate", "--model", "my_model:Loudness", "--tasks", "barks:BARKS=barks.json:.", "--out", "one")
    assert inline.code == 0, inline.err
    assert (folder / "one" / "barks-BARKS" / "summary.json").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--tasks", "barsk", "--data", "tasks.yaml"], "there is no task 'barsk' (did you mean 'barks'?)"),
        (["--tasks", "mmau"], "there is no task 'mmau'; write it as BENCHMARK=DATA, or name a file of tasks"),
        (["--tasks", "barks,barks", "--data", "tasks.yaml"], "barks is given twice"),
        (["--tasks", "a", "--benchmark", "mmau"], "--tasks names what is asked: no --benchmark"),
    ],
)
def test_what_is_no_task_is_named(folder, words, sentence):
    (folder / "tasks.yaml").write_text(
        yaml.safe_dump({"barks": {"data": {"reader": "barks:BARKS", "file": "barks.json"}}})
    )
    assert sentence in refused_by("evaluate", "--model", "my_model:Loudness", *words)


def test_names_that_an_installed_package_gives_are_found(folder):
    (folder / "barks_kit-1.0.dist-info").mkdir()
    info = folder / "barks_kit-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: barks-kit\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[harken.benchmarks]\nbarks = barks:BARKS\n[harken.models]\nloudness = my_model:Loudness\n"
        "[harken.rewards]\nbrief = my_rewards:brief\n"
    )
    sys.path.append(str(folder))
    done = harken("evaluate", "--model", "loudness", "--benchmark", "barks", "--data", "barks.json", "--out", "out")
    assert done.code == 0, done.err
    from harken import compute_rewards

    question = Question("q", "Who barks?", ("a dog", "a seal"), 0, None)
    assert compute_rewards("brief", question, ["a dog"]).total == [1.0]
    with pytest.raises(ConfigError, match=r"no such reward \(did you mean 'brief'\?\); one of accuracy, .*, brief, or"):
        compute_rewards("brieff", question, ["a dog"])


def test_a_model_of_ones_own_needs_no_torch_of_its_own(folder):
    """It gets plain values: text, arrays at 16 kHz, chat messages."""
    plugins.make_importable(folder)
    (folder / "keeps.py").write_text("kept = []\ndef answer(asked):\n    kept.append(asked)\n    return 'a dog'\n")
    recipe = evaluation(model="keeps:answer", samples=2, temperature=0.7)
    model = OwnModel("keeps:answer", recipe, Prompt.from_config(recipe.prompt))
    assert model.clip_counts([], {}) == {}
    from harken.evaluation.journal import Journal
    from harken.questions.choice_orders import Trial

    question = Question("q", "Who barks?", ("a dog", "a seal"), 0, folder / "soft.wav")
    (folder / "out").mkdir()
    batches = list(model.answer([Trial(question)], "real", Journal(folder / "out")))
    assert [answer.text for _, answers in batches[1] for answer in answers] == ["a dog", "a dog"]
    first, second = sys.modules["keeps"].kept
    assert (first.sample, second.sample, first.temperature, first.waveforms[0].shape) == (0, 1, 0.7, (8000,))
    assert first.conversation[0]["content"][0] == {"type": "audio"}
    assert "['a dog', 'a seal']" in first.text
