"""harken: reinforcement fine-tuning of audio language models for questions about sound, speech and music.

The names below are the Python API (docs/api.md). Each is imported when it is first used, so that `import harken` takes
no time and needs no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from harken.api.demo import Demo, run_demo, write_demo
    from harken.api.evaluation import evaluate, evaluate_listening, evaluate_tasks
    from harken.api.model import Model, load_model
    from harken.api.pictures import Picture, plot_accuracy, plot_curve
    from harken.api.questions import Rewards, compute_rewards, read_questions
    from harken.api.results import Evaluation, Listening, Share, Tasks
    from harken.api.runs import Run, write_report
    from harken.api.scores import Score, compare, score
    from harken.api.training import sft, train
    from harken.benchmarks.base import Benchmark, OfficialPrompt
    from harken.errors import HarkenError
    from harken.evaluation.ask import ClipAnswer
    from harken.evaluation.own_model import Asked, per_batch
    from harken.prepare.arc import prepare_arc
    from harken.prepare.audiomcq import prepare_audiomcq
    from harken.prepare.audiosetcaps import prepare_audiosetcaps
    from harken.prepare.avqa import prepare_avqa
    from harken.prepare.benchmarks import prepare_benchmark
    from harken.prepare.trainer_jsonl import prepare_jsonl
    from harken.prepare.vggsound import prepare_vggsound
    from harken.questions.grader import grade
    from harken.rewards.custom import per_group, per_step
    from harken.stats import Estimate
    from harken.training.training_step import TrainingStep
    from harken.types import Grade, Question, Rejected, Response

_NAMES = {
    "harken.api.demo": ("Demo", "run_demo", "write_demo"),
    "harken.api.evaluation": ("evaluate", "evaluate_listening", "evaluate_tasks"),
    "harken.api.model": ("Model", "load_model"),
    "harken.api.pictures": ("Picture", "plot_accuracy", "plot_curve"),
    "harken.api.questions": ("Rewards", "compute_rewards", "read_questions"),
    "harken.api.results": ("Evaluation", "Listening", "Share", "Tasks"),
    "harken.api.runs": ("Run", "write_report"),
    "harken.api.scores": ("Score", "compare", "score"),
    "harken.api.training": ("sft", "train"),
    "harken.benchmarks.base": ("Benchmark", "OfficialPrompt"),
    "harken.errors": ("HarkenError",),
    "harken.evaluation.ask": ("ClipAnswer",),
    "harken.evaluation.own_model": ("Asked", "per_batch"),
    "harken.prepare.arc": ("prepare_arc",),
    "harken.prepare.audiomcq": ("prepare_audiomcq",),
    "harken.prepare.audiosetcaps": ("prepare_audiosetcaps",),
    "harken.prepare.avqa": ("prepare_avqa",),
    "harken.prepare.benchmarks": ("prepare_benchmark",),
    "harken.prepare.trainer_jsonl": ("prepare_jsonl",),
    "harken.prepare.vggsound": ("prepare_vggsound",),
    "harken.questions.grader": ("grade",),
    "harken.rewards.custom": ("per_group", "per_step"),
    "harken.stats": ("Estimate",),
    "harken.training.training_step": ("TrainingStep",),
    "harken.types": ("Grade", "Question", "Rejected", "Response"),
}
"""Module -> the names of the API that it defines."""
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "Asked",
    "Benchmark",
    "ClipAnswer",
    "Demo",
    "Estimate",
    "Evaluation",
    "Grade",
    "HarkenError",
    "Listening",
    "Model",
    "OfficialPrompt",
    "Picture",
    "Question",
    "Rejected",
    "Response",
    "Rewards",
    "Run",
    "Score",
    "Share",
    "Tasks",
    "TrainingStep",
    "compare",
    "compute_rewards",
    "evaluate",
    "evaluate_listening",
    "evaluate_tasks",
    "grade",
    "load_model",
    "per_batch",
    "per_group",
    "per_step",
    "plot_accuracy",
    "plot_curve",
    "prepare_arc",
    "prepare_audiomcq",
    "prepare_audiosetcaps",
    "prepare_avqa",
    "prepare_benchmark",
    "prepare_jsonl",
    "prepare_vggsound",
    "read_questions",
    "run_demo",
    "score",
    "sft",
    "train",
    "write_demo",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"harken has no {name}; docs/api.md lists what it has")
    importlib.import_module("harken.system.console").hide_torchao_messages()
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
