"""Tables keep every row label and every figure, and commands to type are whole lines, from 40 columns on."""

import re
import shlex
import sys

import pytest
import yaml
from command_line import harken
from rich.console import Console
from rich.table import Column

from harken.cli.options import console as harken_console
from harken.data.demo_set import write_demo_set
from harken.models.tiny_checkpoint import write_tiny
from harken.system.fitting_table import FittingTable

WIDTHS = [40, 60, 80, 120]
LABELS = ["all", "music", "sound", "speech", "easy", "medium"]


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluations")
    write_demo_set(folder / "data", seed=0, n_train=4, n_test=24)
    data = ["--benchmark", "mmau", "--data", folder / "data" / "test.json"]
    for name in ("random-guess", "most-frequent-choice"):
        assert harken("evaluate", "--model", name, *data, "--out", folder / name, "--quiet").code == 0
    listened = ["evaluate", "--model", "random-guess", *data, "--listening"]
    return {
        "evaluate": ["evaluate", "--model", "random-guess", *data],
        "compare": ["compare", folder / "random-guess", folder / "most-frequent-choice"],
        "score": ["score", *data, folder / "random-guess" / "predictions.jsonl"],
        "listening": listened,
        "plan": ["plan", "omni_r1_avqa_lora", "--card", "h100"],
        "recipes": ["recipes"],
        "doctor": ["doctor"],
    }


def words_of(text: str) -> str:
    return " ".join(re.sub(r"[│┃─━┌┐└┘├┤┬┴┼┏┓┗┛┡┩╇╈]", " ", text).split())


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("kind", ["evaluate", "compare", "score", "listening", "plan", "recipes", "doctor"])
def test_no_label_and_no_figure_is_cut(kind, columns, evaluations, tmp_path, monkeypatch):
    monkeypatch.setattr(harken_console, "_width", columns)
    out = ["--out", tmp_path / "out"] if kind in ("evaluate", "listening") else []
    result = harken(*evaluations[kind], *out)
    assert result.code == 0, result.err
    assert "…" not in result.out
    monkeypatch.setattr(harken_console, "_width", 250)
    out = ["--out", tmp_path / "wide"] if kind in ("evaluate", "listening") else []
    wide = words_of(harken(*evaluations[kind], *out).out)
    shown = words_of(result.out)
    for figure in set(re.findall(r"[-+]?\d+\.\d \[[-+]?\d+(?:\.\d)?, [-+]?\d+(?:\.\d)?\]", wide)):
        assert figure in shown
    if kind in ("evaluate", "compare", "score"):
        for label in LABELS:
            assert re.search(rf"^\W*{label}\b", result.out, flags=re.MULTILINE), label
    table = [line for line in result.out.split("\n") if re.search(r"\d+\.\d \[", line)]
    assert all(len(line) <= columns for line in table)


def test_a_table_that_does_not_fit_is_written_row_by_row():
    console = Console(width=24, record=True, file=None, force_terminal=False)
    table = FittingTable(Column("questions", no_wrap=True), Column("before, %", no_wrap=True), title="a -> b")
    table.add_row("speech medium", "30.0 [18, 45]")
    table.add_row("a heading")
    table.caption = "Intervals are 95 %."
    with console.capture() as seen:
        console.print(table)
    assert seen.get().split("\n") == [
        "a -> b",
        "",
        "speech medium",
        "  before, %  30.0 [18,  ",
        "  45]                   ",
        "",
        "a heading",
        "",
        "Intervals are 95 %.",
        "",
    ]


INTERRUPTS = """
import signal
calls = []
def once(response):
    calls.append(response)
    if len(calls) == 1:
        signal.raise_signal(signal.SIGINT)
    return 0.0
"""


@pytest.fixture
def short_run(tmp_path, monkeypatch):
    """The words of a run of two steps on a terminal of 40 columns, in a folder whose name is longer than that."""
    folder = tmp_path / "a folder whose name is longer than a narrow terminal"
    write_demo_set(folder / "data", seed=0, n_train=8, n_test=4)
    write_tiny("qwen2_5_omni", folder / "tiny", [], 0)
    grpo = {"steps": 2, "prompts_per_step": 2, "completions_per_prompt": 2, "max_completion_tokens": 2}
    data = {"train": [{"file": str(folder / "data" / "train.json")}]}
    recipe = {"name": "short", "model": {"path": str(folder / "tiny")}, "data": data, "grpo": grpo}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "interrupts.py").write_text(INTERRUPTS)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(harken_console, "_width", 40)
    yield ["train", folder / "recipe.yaml", "--out", folder / "run"]
    sys.modules.pop("interrupts", None)


def suggested(text: str) -> list[list[str]]:
    """The words of each line that ends with a command."""
    return [shlex.split(line[line.index("harken ") :]) for line in text.split("\n") if " harken " in f" {line}"]


def test_the_commands_to_run_next_are_whole_lines(short_run):
    done = harken(*short_run)
    assert done.code == 0, done.err
    run = str(short_run[-1])
    evaluated, without_audio, reported = suggested(done.out)[-3:]
    assert evaluated[evaluated.index("--out") + 1] == f"{run}/eval/test"
    assert without_audio[without_audio.index("--out") + 1] == f"{run}/eval/test-no-audio"
    assert reported == ["harken", "report", run]


def test_ctrl_c_prints_the_command_that_goes_on_as_one_line_and_it_works(short_run):
    stopped = harken(*short_run, "--set", "reward.parts=[{name: interrupts:once}]")
    assert stopped.code == 75, stopped
    resume = suggested(stopped.out + stopped.err)[-1]
    run = str(short_run[-1])
    assert resume[:4] == ["harken", "train", "--resume", run]
    resumed = harken(*resume[1:4])
    assert (resumed.code, (short_run[-1] / "metrics.jsonl").read_text().count("\n")) == (0, 2), resumed
