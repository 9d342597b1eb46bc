"""What a module may import: no torch where files alone are read, and nothing with effects in pure functions.

The order of the folders and the absence of circles are contracts of import-linter in pyproject.toml; `make check` runs
them.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"


def imported_from_harken(module: str) -> set[str]:
    tree = ast.parse((SOURCE / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8"))
    froms = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name for name in froms if name.startswith("harken")}


READING = {
    f"harken.questions.{name}"
    for name in ("clauses", "named_choices", "output_parts", "readings", "stated_letters", "words")
}
"""The parts of the grader, which are pure themselves."""
PURE = {"harken.types", "harken.errors", "harken.stats", "harken.grpo.objectives"} | READING
"""What pure functions may import."""


@pytest.mark.parametrize(
    "module",
    [
        *sorted(READING),
        *("harken.questions.grader", "harken.grpo.advantage", "harken.grpo.loss", "harken.stats", "harken.types"),
        *("harken.grpo.objectives", "harken.rewards.overlong", "harken.data.mixture"),
        *("harken.inference.sampling", "harken.system.random", "harken.questions.word_error_rate", "harken.errors"),
    ],
)
def test_pure_functions_import_no_part_with_effects(module):
    assert imported_from_harken(module) <= PURE


@pytest.mark.parametrize(
    "statement",
    [
        "import harken.stats, harken.results.compare, harken.results.evaluation_tables, harken.judges",
        "import harken.config, harken.questions.prompt, harken.data.load, harken.data.demo_set",
        "import harken.generate.questions, harken.generate.reasoning, harken.generate.captions, harken.prepare.review",
        "import harken.report.build, harken.report.server",
        "import harken.cli.app",
    ],
)
def test_results_recipes_and_data_work_without_torch(statement):
    code = f"import sys; {statement}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_help_and_the_package_import_little():
    """`harken --help` and `import harken` answer at once: they read no recipe and draw no table."""
    heavy = ("pydantic", "yaml", "numpy", "rich.markdown", "rich.progress", "harken.config")
    for statement in ("import harken", "import harken.cli.app as a, sys; sys.argv = ['harken', '--help']; a.main()"):
        code = (
            f"import sys\ntry:\n    exec({statement!r})\nexcept SystemExit: pass\n"
            f"sys.exit(' '.join(set(sys.modules) & set({heavy!r})))"
        )
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert done.stderr.strip() == "", statement


MISSING_DATA = [
    ["train", "omni_r1_avqa", "--set", "data.train.0.file=gone.jsonl"],
    ["evaluate", "--model", "x", "--data", "gone.jsonl"],
]


@pytest.mark.parametrize(
    "words", [["--help"], ["train", "--help"], ["compare", "x", "y"], ["report", "x"], *MISSING_DATA]
)
def test_help_comparisons_and_what_fails_before_the_model_import_no_torch(words):
    code = (
        "import sys, harken.cli.app\n"
        f"sys.argv = ['harken', *{words!r}]\n"
        "try:\n    harken.cli.app.main()\nexcept SystemExit: pass\n"
        "sys.exit(7 if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
