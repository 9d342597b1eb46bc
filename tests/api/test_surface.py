"""The Python API: its names and signatures, and that `import harken` is fast and needs no torch.

A change here is a change for everyone who has written a program: it belongs into CHANGELOG.md.
"""

import dataclasses
import inspect
import subprocess
import sys
import time
from pathlib import Path

import pytest

import harken

TRAINING = "(recipe=None, out=None, *, settings=None, resume=False, accept_changes=False, on_step=None, console=None)"
FUNCTIONS = {
    "compare": "(before, after)",
    "compute_rewards": "(parts, question, completions, *, style='omni_r1', progress=0.0)",
    "evaluate": "(recipe=None, *, model=None, benchmark=None, data=None, audio=None, max_completion_tokens=None, "
    "settings=None, out=None, reuse=True, on_progress, console)",
    "evaluate_listening": "(recipe=None, *, model=None, benchmark=None, data=None, max_completion_tokens=None, "
    "settings=None, out=None, on_progress, console)",
    "evaluate_tasks": "(tasks, recipe=None, *, file=None, model=None, settings=None, out=None, on_progress, console)",
    "grade": "(text, choices, answer, *, letters_shown)",
    "load_model": "(path, *, dtype='auto', device='auto')",
    "per_batch": "(function)",
    "per_group": "(function)",
    "per_step": "(function)",
    "plot_accuracy": "(series, *, title='', chance=None)",
    "plot_curve": "(series, *, title='', unit='')",
    "prepare_benchmark": "(name, data, audio_root, out, *, workers, on_progress)",
    "read_questions": "(file, benchmark='manifest', *, audio_root=None)",
    "run_demo": "(out, seed=0, *, on_step=None, console=None)",
    "score": "(benchmark, data, predictions, *, letters_shown=None, key=None, answers='benchmark', rule=None, "
    "judge=None)",
    "sft": TRAINING,
    "train": TRAINING,
    "write_demo": "(out, *, seed=0, n_train=None, n_test=None)",
    "write_report": "(runs, out=None, *, audio_roots=())",
}
PREPARE = {f"prepare_{name}" for name in ("arc", "audiomcq", "audiosetcaps", "avqa", "jsonl", "vggsound")}
MEMBERS = {
    "Asked": {
        *("text", "waveforms", "conversation", "question", "max_completion_tokens", "temperature", "top_p", "sample")
    },
    "ClipAnswer": {"text", "choice", "reason", "ended", "heard"},
    "Demo": {"train", "test", "model", "seed", "recipe"},
    "Estimate": {"mean", "low", "high", "n", "clusters"},
    "Evaluation": {"folder", "summary", "accuracy", "by_group", "chance", "rows", "predictions"},
    "Grade": {"choice", "correct", "extracted", "reason"},
    "Listening": {"folder", "figures", "accuracy", "audio_gain", "evaluations", "questions"},
    "Model": {"ask"},
    "Picture": {"svg", "save"},
    "Rejected": {"file", "line", "id", "reason", "repeated"},
    "Response": {"question", "text", "form", "reasoning", "grade", "tokens", "ended"},
    "Rewards": {"total", "parts"},
    "Run": {
        *("recipe", "checkpoints", "checkpoint", "metric_rows", "metrics", "completion_rows", "completions"),
        *("evaluations", "listening"),
    },
    "Score": {"figures", "official", "choice", "by"},
    "Share": {"mean", "low", "high", "n", "count", "index"},
    "Tasks": {"folder", "summaries", "evaluations", "accuracy"},
    "TrainingStep": {"number", "last", "metrics", "completions", "shown", "row"},
}
OTHERS = {"Benchmark", "HarkenError", "OfficialPrompt", "Question"}


def signature(function) -> str:
    """The parameters with their defaults, without types; a default that is no plain value is left out."""
    parts, after_star = [], False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not after_star:
            parts.append("*")
            after_star = True
        default = parameter.default
        plain = default is None or isinstance(default, str | int | float | bool | tuple)
        shown = f"={default!r}" if plain else ""
        parts.append(f"{parameter.name}{shown}")
    return f"({', '.join(parts)})"


def test_the_api_has_these_names_and_no_others():
    assert set(harken.__all__) == FUNCTIONS.keys() | PREPARE | MEMBERS.keys() | OTHERS
    assert harken.__all__ == sorted(harken.__all__, key=lambda name: (name[0].islower(), name))
    assert set(dir(harken)) == {*harken.__all__, "__version__"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_this_signature_with_types_and_a_docstring(name):
    function = getattr(harken, name)
    assert signature(function) == FUNCTIONS[name]
    hints = inspect.signature(function)
    untyped = [parameter for parameter in hints.parameters.values() if parameter.annotation is parameter.empty]
    assert untyped == []
    assert hints.return_annotation is not hints.empty
    assert function.__doc__.strip().split("\n\n")[0].endswith(".")


@pytest.mark.parametrize("name", MEMBERS)
def test_a_class_has_these_members_and_a_docstring(name):
    kind = getattr(harken, name)
    own = {member for member in dir(kind) if not member.startswith("_")}
    own |= {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    assert own == MEMBERS[name]
    assert kind.__doc__.strip()


def test_names_of_type_checkers_are_those_of_the_running_program():
    source = Path(harken.__file__).read_text(encoding="utf-8")
    imported = source.partition("if TYPE_CHECKING:")[2].partition("\n_NAMES")[0]
    for module, names in harken._NAMES.items():
        assert f"    from {module} import {', '.join(names)}\n" in imported
    assert imported.count("import ") == len(harken._NAMES)


def test_an_unknown_name_is_an_attribute_error_that_says_where_to_look():
    with pytest.raises(AttributeError, match=r"harken has no evalute; docs/api\.md"):
        harken.evalute  # noqa: B018


def test_importing_harken_takes_no_torch_and_less_than_a_third_of_a_second():
    code = "import sys, harken; sys.exit('torch' in sys.modules or 'pydantic' in sys.modules or 'rich' in sys.modules)"
    times = []
    for _ in range(3):
        start = time.perf_counter()
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3, times


def test_what_reads_files_needs_no_torch():
    names = ("Run", "grade", "Question", "per_group", "compute_rewards", "plot_accuracy", "Score")
    code = f"import sys, harken; [getattr(harken, name) for name in {names}]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
