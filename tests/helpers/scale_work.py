"""What each rank does in a job that is not a whole run. Each function takes this process's ranks and the job."""

import os
import signal
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import small_evaluations
import torch
from small_runs import quiet_console

from harken.config import GrpoConfig, PromptConfig, RewardConfig, load_recipe
from harken.errors import DataError, HarkenError
from harken.evaluation.evaluate import evaluate
from harken.evaluation.journal import Journal
from harken.evaluation.listening import evaluate_listening
from harken.grpo.advantage import OVER_STEP
from harken.grpo.micro_batch import SampledBatch, ScoredBatch
from harken.grpo.rewarding import Rewarder
from harken.judges import FailureLimit, Verdict
from harken.models.sharded_tensors import distribute_like
from harken.models.sharding import gathered
from harken.questions.grader import understand
from harken.questions.prompt import Prompt
from harken.rewards import per_group, per_step
from harken.system.ranks import Ranks
from harken.training.checkpoint import save_checkpoint
from harken.training.memory_saving_adamw import MemorySavingAdamW
from harken.training.open_session import open_session
from harken.training.optimizer import apply_update
from harken.training.run_folder import RunFolder
from harken.types import Question

CHOICES = ("one", "two", "three")
THINK, DIRECT = "<think>{}</think><answer>{}</answer>", "<answer>{}</answer>"
COMPLETIONS = [  # of five questions whose right answer is one; two completions each
    (THINK.format("it is", "one"), DIRECT.format("one")),
    (THINK.format("it may be", "two"), THINK.format("so", "one")),
    (DIRECT.format("three"), "no form"),
    (THINK.format("a b c", "one"), THINK.format("a b", "one")),
    (DIRECT.format("one"), DIRECT.format("two")),
]
PARTS = (
    *({"name": "adaptive"}, {"name": "format"}, {"name": "quality"}),
    *({"name": "scale_work:place_in_step"}, {"name": "scale_work:rare_in_group"}),
)


@per_step
async def place_in_step(responses):
    """A reward of the user's own that needs the whole step: the place of each completion in it."""
    return [float(place) for place, _ in enumerate(responses)]


@per_group
def rare_in_group(responses):
    """A reward of the user's own that needs a group: 1 for an answer that the group gives once."""
    answers = [response.text for response in responses]
    return [float(answers.count(answer) == 1) for answer in answers]


def exchange(ranks: Ranks, job: dict) -> dict[str, Any]:
    """What this rank gets from each way in which ranks exchange values and errors."""

    def fail_on(rank: int):
        if ranks.rank == rank:
            raise DataError("train.jsonl:3: no such clip")

    def outcome(work) -> list[str]:
        try:
            return ["fine", str(work())]
        except HarkenError as error:
            return [type(error).__name__, str(error)]

    times: list[float] = []

    def turn() -> int:
        times.append(time.monotonic())
        time.sleep(0.05)
        times.append(time.monotonic())
        return ranks.rank

    return {
        "parts": [list(ranks.own_part(range(n))) for n in (0, 1, 2, 5)],
        "sum": ranks.sum([1.5, ranks.rank]),
        "maximum": ranks.maximum([ranks.rank, -ranks.rank]),
        "gather": ranks.gather({"says": ["\udcff", "ä", ranks.rank], "none": None}),
        "broadcast": ranks.broadcast(f"by {ranks.rank}"),
        "fine": outcome(lambda: ranks.run_on_all(lambda: ranks.rank)),
        "first fails": outcome(lambda: ranks.run_on_all(lambda: fail_on(0))),
        "last fails": outcome(lambda: ranks.run_on_all(lambda: fail_on(ranks.size - 1))),
        "main fails": outcome(lambda: ranks.run_on_main(lambda: fail_on(0))),
        "in turn": ranks.run_in_turn(turn),
        "turns": times,
    }


class PromptJudge:
    """Scores by the length of the reasoning, or never answers."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers

    def submit(self, aspect, question, reasoning, answer) -> Future[Verdict]:
        verdict: Future[Verdict] = Future()
        if self.answers:
            verdict.set_result(Verdict(len(reasoning) % (2 if aspect == "consistency" else 11) / 10, ""))
        return verdict

    def close(self) -> None: ...


def rewards(ranks: Ranks, job: dict) -> dict[str, Any]:
    """Reward this rank's part of COMPLETIONS with the adaptive reward and a judge, with every estimator of advantages
    that looks at the whole step."""
    outcome = _rewarded(ranks, job)
    if job["answers"]:
        changes = [*({"advantage": estimator} for estimator in OVER_STEP), {"scale_rewards": "step"}]
        outcome["over step"] = [_rewarded(ranks, job, **change)["advantages"] for change in changes]
    return outcome


def _rewarded(ranks: Ranks, job: dict, **grpo: Any) -> dict[str, Any]:
    config = RewardConfig.model_validate({"parts": PARTS, "adaptive": {"consistency": "equation"}})
    settings = GrpoConfig(completions_per_prompt=2, **grpo)
    prompt = Prompt.from_config(PromptConfig(style="adaptive"))
    limit = FailureLimit(0.9)
    rewarder = Rewarder(config, settings, prompt, PromptJudge(answers=job["answers"]), limit, ranks)
    scored: list[ScoredBatch] = []
    for number in ranks.own_part(range(len(COMPLETIONS))):
        question = Question(f"q{number}", "Which?", CHOICES, 0, None)
        responses = [
            understand(text, question, letters_shown=False, tokens=len(text), ended=True)
            for text in COMPLETIONS[number]
        ]
        batch = SampledBatch(
            questions=[question],
            inputs=[],
            audio=[],
            completions=None,  # pyright: ignore[reportArgumentType] (rewards do not read it)
            responses=responses,
            pending_verdicts=[{}, {}],
        )
        scored.append(ScoredBatch(rewarder.start_judging(batch), None))
    rewarder.wait(scored)
    rewards = rewarder.reward(scored, progress=0.25)
    return {
        "reward": [value for batch in rewards.batches for value in batch.rewards.flatten().tolist()],
        "advantages": [value for batch in rewards.batches for value in batch.advantages.tolist()],
        "figures": {name: value for name, value in rewards.figures.items() if not name.startswith("time/")},
        "warnings": rewards.warnings,
    }


def update_in_mode(ranks: Ranks, job: dict) -> None:
    """Make three updates of a tiny model in a mode of memory, along gradients that are the same on any number of ranks,
    and write its checkpoint."""
    recipe = load_recipe(Path(job["recipe"]))
    session = open_session(recipe, recipe.grpo, Path(job["out"]), quiet_console(), resume=False)
    generator, optimizer = torch.Generator().manual_seed(0), session.optimizer
    for _ in range(3):
        for parameter in session.policy.module.parameters():
            if parameter.requires_grad:
                gradient = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
                parameter.grad = distribute_like(gradient, parameter)
                if recipe.memory.step_in_backward:
                    assert isinstance(optimizer, MemorySavingAdamW)
                    optimizer._update_in_backward(parameter)
        apply_update(optimizer, 1e-3, None)
    if ranks.is_main:
        session.run.append_metrics({"step": 1})
    save_checkpoint(session.run, 1, session.policy, optimizer, keep=1, ranks=ranks)


def save_again(ranks: Ranks, job: dict) -> None:
    """Open a run where it stopped and write its checkpoint into another folder."""
    recipe = load_recipe(Path(job["recipe"]))
    session = open_session(recipe, recipe.grpo, Path(job["out"]), quiet_console(), resume=True, accept_changes=True)
    other = RunFolder(Path(job["again"]))
    if ranks.is_main:
        other.path.mkdir(exist_ok=True)
        other.append_metrics({"step": session.steps_done})
    save_checkpoint(other, session.steps_done, session.policy, session.optimizer, keep=1, ranks=ranks)


def count_gathers(ranks: Ranks, job: dict) -> dict[str, Any]:
    """Count how often parameters are gathered while one rank decodes more tokens than the other."""
    recipe = load_recipe(Path(job["recipe"]))
    session = open_session(recipe, recipe.grpo, Path(job["out"]), quiet_console(), resume=False)
    calls: list[int] = []
    name = "all_gather_single" if hasattr(torch.distributed, "all_gather_single") else "all_gather_into_tensor"
    original = getattr(torch.distributed, name)

    def counted(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    setattr(torch.distributed, name, counted)
    policy = session.policy
    with gathered(policy), torch.no_grad():
        for _ in range(3 + 4 * ranks.rank):
            hidden = policy.embed_tokens(torch.zeros(1, 1, dtype=torch.long))
            ones = torch.ones(1, 1, 1, 1, dtype=torch.bool)
            policy.logits(policy.hidden(hidden, torch.zeros(1, 1, dtype=torch.long), ones))
    sharded = [parameter.to_local().numel() for parameter in policy.module.parameters()]  # pyright: ignore
    whole = sum(parameter.numel() for parameter in policy.module.parameters())
    return {"gathers": len(calls), "units": len(policy.units), "share": sum(sharded) / whole}


def evaluate_on_ranks(ranks: Ranks, job: dict) -> dict[str, Any]:
    """Run an evaluation.

    Args:
        job: {"file": questions, "changes": of small_evaluations.py's recipe, "out": folder}. It may have
            "listening": true, and "die": [rank, batches], the rank that kills itself when it is about to write the
            answers of one more batch.
    """
    die = job.get("die")
    append, written = Journal.append, []  # batches of ids

    def append_or_die(journal: Journal, batch) -> None:
        if die is not None and die[0] == ranks.rank and len(written) == die[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        append(journal, batch)
        written.append([trial.question.id for trial, _ in batch])
        time.sleep(0.02)  # so that no rank is done before the other is lost

    Journal.append = append_or_die
    run = evaluate_listening if job.get("listening") else evaluate
    seen: list[tuple[int, int]] = []
    recipe = small_evaluations.recipe(Path(job["file"]), **job.get("changes", {}))
    summary = run(recipe, Path(job["out"]), lambda done, total: seen.append((done, total)))
    return {"summary": summary, "asked": [ident for batch in written for ident in batch], "progress": seen}
