"""Imports go one way: data and values below, models and passes above them, stages composed by commands alone."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
FILES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((SOURCE / "harken").rglob("*.py"))
}
TRAINING = {
    f"harken.{name}"
    for name in (
        *(
            "train",
            "sft",
            "demo",
            "cli",
            "commands",
            "session",
            "checkpoint",
            "training_data",
            "experience",
            "update",
            "optim",
        ),
        *("loss", "advantage", "shared_prefix", "metrics", "tracking", "rewards", "rewarding", "judging", "probe"),
        "distributed",
    )
}
COMMANDS = {"harken.train", "harken.sft", "harken.demo", "harken.cli", "harken.__main__"}
COMMANDS |= {name for name in FILES if name.startswith("harken.commands")}


@functools.cache
def imports_of(name: str) -> set[str]:
    """Modules of harken that a file imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" if f"{module}.{alias.name}" in FILES else module for alias in node.names}
    return {module for module in found if module.split(".")[0] == "harken"}


def reachable(name: str) -> set[str]:
    seen, waiting = set(), [name]
    while waiting:
        for module in imports_of(waiting.pop()):
            if module not in seen and module in FILES:
                seen.add(module)
                waiting.append(module)
    return seen


def within(modules: set[str], packages: set[str]) -> set[str]:
    return {module for module in modules if any(module == p or module.startswith(f"{p}.") for p in packages)}


def test_the_modules_that_the_rules_speak_of_exist():
    assert FILES.keys() >= TRAINING | COMMANDS


@pytest.mark.parametrize(
    "name",
    [
        *("evaluate", "results", "stats", "tables", "ask", "inputs", "rollout", "prompt", "answer", "predict"),
        *("served", "local_model", "evaluation_folder", "prediction_rows", "trials", "listening"),
        *("benchmarks.score_file", "published.place", "judges"),
    ],
)
def test_evaluation_and_results_never_reach_training(name):
    assert within(reachable(f"harken.{name}"), TRAINING) == set()


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.startswith("harken.report")))
def test_reports_read_files_and_reach_neither_models_nor_training(name):
    above = {"harken.models", "harken.rollout", "harken.inputs", "harken.evaluate", "harken.run_folder"}
    assert within(reachable(name), above | TRAINING) == set()


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.startswith("harken.data")))
def test_data_reaches_neither_models_nor_passes(name):
    above = {"harken.models", "harken.rollout", "harken.inputs", "harken.evaluate", "harken.prompt", "harken.answer"}
    assert within(reachable(name), above | TRAINING) == set()


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.startswith("harken.models")))
def test_models_know_nothing_of_rollout_scoring_and_training(name):
    above = {
        "harken.rollout",
        "harken.inputs",
        "harken.evaluate",
        "harken.prompt",
        "harken.answer",
        "harken.run_folder",
    }
    assert within(reachable(name), above | TRAINING) == set()


def test_only_commands_compose_stages():
    """No other file imports a loop, or both of rollout's experience and the update it is for."""
    for name in FILES.keys() - COMMANDS:
        found = imports_of(name)
        assert not found & COMMANDS, name
        assert not {"harken.experience", "harken.update"} <= found or name == "harken.metrics", name


@pytest.mark.parametrize("name", ["answer", "advantage", "loss", "stats", "sampling", "types", "errors", "word_error"])
def test_pure_functions_import_no_part_with_effects(name):
    assert reachable(f"harken.{name}") <= {"harken.types", "harken.errors", "harken.stats"}


def test_nothing_imports_in_a_circle():
    for name in FILES:
        assert name not in reachable(name), name


@pytest.mark.parametrize(
    "statement",
    [
        "import harken.stats, harken.results, harken.tables, harken.published.place, harken.judges",
        "import harken.config, harken.prompt, harken.answer, harken.data.load, harken.data.synth",
        "import harken.generate.questions, harken.generate.reasoning, harken.generate.captions, harken.prepare.review",
        "import harken.report.build, harken.report.server",
        "import harken.cli",
    ],
)
def test_results_recipes_and_data_work_without_torch(statement):
    code = f"import sys; {statement}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["compare", "x", "y"], ["report", "x"]])
def test_help_and_comparisons_import_no_torch(words):
    code = (
        "import sys, harken.cli\n"
        f"sys.argv = ['harken', *{words!r}]\n"
        "try:\n    harken.cli.main()\nexcept SystemExit: pass\n"
        "sys.exit(7 if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
