"""Benchmarks and readers are found by name; a name that stands for none is an error that lists those there are."""

import pytest
from benchmark_files import KEY

from harken.benchmarks import BENCHMARKS
from harken.benchmarks.registry import find_benchmark, find_reader
from harken.config import PromptConfig
from harken.data.manifest import read_manifest
from harken.errors import ConfigError
from harken.questions.prompt import Prompt


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_found_by_its_name(name):
    benchmark = find_benchmark(name)
    assert benchmark.name == name
    assert benchmark.official_rule is not None
    assert KEY[name] in benchmark.prediction_keys
    assert benchmark.url.startswith("https://")
    assert find_reader(name) == benchmark.read


def test_manifest_is_a_reader_and_no_benchmark():
    assert find_reader("manifest") is read_manifest
    with pytest.raises(
        ConfigError, match="no benchmark is called 'manifest'; one of mmau, mmar, airbench, mmsu, mmau_pro, adqa, or"
    ):
        find_benchmark("manifest")


@pytest.fixture
def my_benchmarks(tmp_path, monkeypatch):
    (tmp_path / "my_benchmarks.py").write_text(
        "from harken.benchmarks.base import Benchmark, OfficialPrompt\n"
        "from harken.benchmarks.mmau import parse_mmau\n"
        "MINE = Benchmark(name='mine', title='Mine', url='-', licence='-', parse=parse_mmau,\n"
        "                 prompt=OfficialPrompt('{question}: {choices}?', choices='lines'))\n"
        "NOTHING = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("my_benchmarks")
def test_a_benchmark_of_the_users_own_is_found_by_module_and_object():
    assert find_benchmark("my_benchmarks:MINE").name == "mine"
    assert find_reader("my_benchmarks:MINE") == find_benchmark("my_benchmarks:MINE").read
    prompt = Prompt.from_config(PromptConfig(style="my_benchmarks:MINE"))
    assert (prompt.template, prompt.choices, prompt.form) == ("{question}: {choices}?", "lines", None)


@pytest.mark.usefixtures("my_benchmarks")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "mmlu",
            r"data.reader: no reader is called 'mmlu' \(did you mean 'mmsu'\?\); one of manifest, .*, or module",
        ),
        ("my_benchmarks:YOURS", "data.reader: my_benchmarks:YOURS: my_benchmarks defines no YOURS"),
        (
            "my_benchmarks:NOTHING",
            "data.reader: my_benchmarks:NOTHING is neither a Benchmark nor a function that reads a file but int",
        ),
        (
            "nowhere:MINE",
            "data.reader: nowhere:MINE: cannot be imported .*; install the module, or put it beside the recipe",
        ),
        (":MINE", "data.reader: ':MINE': expected module:object"),
    ],
)
def test_a_name_that_stands_for_no_reader_is_an_error_that_says_why(name, message):
    with pytest.raises(ConfigError, match=message):
        find_reader(name)


@pytest.mark.parametrize(
    ("style", "message"),
    [
        (
            "haiku",
            "prompt.style: no style is called 'haiku'; one of omni_r1, r1_aqa, .*, mmau, mmar, airbench, adqa, or",
        ),
        ("mmsu", "prompt.style: harken knows no prompt of the authors of mmsu: set one of omni_r1, r1_aqa, "),
    ],
)
def test_a_style_that_stands_for_no_prompt_is_an_error_that_says_why(style, message):
    with pytest.raises(ConfigError, match=message):
        Prompt.from_config(PromptConfig(style=style))
