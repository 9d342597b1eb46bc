"""Checks that GRPO under harken's grader does not teach a policy to hedge, and that a grader which pays hedges does.

    python benchmarks/hedging.py runs/hedging

A hedge is an answer that names the right choice without choosing it: "not a, not b, not c, not d", "a or b or c or d",
"is it a?", "I cannot tell whether it is a". The program warms a tiny model up on the built-in sounds, with a hedge as
the target of half of the questions, and trains it twice for 300 GRPO steps from there: rewarded by the grader, and, as
the control, by a reward that pays every output in which the right choice is named. It writes hedging.md into the
folder: the share of hedges among the sampled completions, and the accuracy on the questions held out of training. A
hedge is recognised by its form alone, so the grader has no part in the count.
"""

import argparse
import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console

from harken.config import Recipe, parse
from harken.data.demo_set import write_demo_set
from harken.grpo.loop import train
from harken.models.tiny_checkpoint import question_texts, write_tiny
from harken.questions.prompt import Prompt
from harken.results.formatting import markdown
from harken.system.files import write_text
from harken.system.json_lines import read_json_lines
from harken.training.sft import sft
from harken.types import Question, Response

REWARDS = {"grader": "accuracy", "control": "hedging:names_the_answer"}
STEPS, WINDOW = 300, 50
HEDGE = re.compile(r"\s*(not\b|is it\b|I cannot tell\b)|.*\bor\b", re.DOTALL)
PHRASES = "not, or is it? I cannot tell whether it is"


def names_the_answer(response: Response) -> float:
    """The control's reward: 1 where the right choice is named anywhere in the output."""
    question = response.question
    assert question.answer is not None
    return float(question.choices[question.answer] in response.text)


def hedge(question: Question) -> str:
    """One of four hedges, chosen by the question's id."""
    assert question.answer is not None
    right = question.choices[question.answer]
    hedges = (
        ", ".join(f"not {choice}" for choice in question.choices),
        " or ".join(question.choices),
        f"is it {right}?",
        f"I cannot tell whether it is {right}",
    )
    return hedges[_number(question) // 2 % 4]


def target(prompt: Prompt, question: Question) -> str:
    """The completion that the warm start trains on: the right choice for questions of even number, else a hedge."""
    assert question.answer is not None
    return hedge(question) if _number(question) % 2 else question.choices[question.answer]


def _number(question: Question) -> int:
    return int(question.id.rsplit("-", 1)[1])


def recipe(name: str, model: Path, data: Path, reward: str, seed: int) -> Recipe:
    values: dict[str, Any] = {
        "name": name,
        "seed": seed,
        "model": {"path": str(model)},
        "data": {"train": [{"file": str(data / "train.json")}], "dev_share": 0.1},
        "reward": {"parts": [{"name": reward}]},
        "sft": {"steps": 400, "prompts_per_step": 32, "learning_rate": 5e-4, "schedule": "constant"},
        "grpo": {
            "steps": STEPS,
            "prompts_per_step": 16,
            "completions_per_prompt": 8,
            "learning_rate": 4e-4,
            "temperature": 1.0,
            "max_completion_tokens": 20,
        },
        "logging": {"every": 1, "evaluate_every": WINDOW},
    }
    return parse(Recipe, values, "the recipe of hedging.py")


def shares(run: Path) -> list[float]:
    """The share of hedges among the completions: of the first step, then one number for each WINDOW of steps."""
    hedges: dict[int, list[bool]] = {}
    for file in sorted((run / "rollouts").glob("step_*.jsonl")):
        step = int(file.stem.removeprefix("step_"))
        matches = [bool(HEDGE.match(row["completion"])) for row in read_json_lines(file)]
        hedges.setdefault(0 if step == 1 else (step - 1) // WINDOW + 1, []).extend(matches)
    return [sum(matches) / len(matches) for _, matches in sorted(hedges.items())]


def accuracies(run: Path) -> list[float]:
    """The measured accuracies on the development part."""
    return [row["dev/accuracy"] for row in read_json_lines(run / "metrics.jsonl") if "dev/accuracy" in row]


def main(out: Path, seed: int) -> None:
    console = Console()
    data, tiny = out / "data", out / "tiny"
    write_demo_set(data, seed=seed, n_train=2400, n_test=4)
    write_tiny("qwen2_5_omni", tiny, [*question_texts([data / "train.json"]), PHRASES], seed)
    with patch.object(Prompt, "answer_text", target):
        start = sft(recipe("start", tiny, data, "accuracy", seed), out / "start", console)
    windows = ["step 1", *(f"to {first + WINDOW}" for first in range(0, STEPS, WINDOW))]
    rows = []
    for name, reward in REWARDS.items():
        train(recipe(name, start, data, reward, seed), out / name, console)
        rows.append([f"{name}: hedges, %", *(f"{100 * share:.1f}" for share in shares(out / name))])
        rows.append([f"{name}: accuracy, %", "", *(f"{100 * value:.1f}" for value in accuracies(out / name))])
    write_text(out / "hedging.md", markdown(["reward", *windows], rows) + "\n")
    console.print((out / "hedging.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.out, arguments.seed)
