"""All that a training loop needs, opened fresh or where an earlier run stopped.

Takes a recipe and the section that the loop runs, gives a `Session`. Everything that can be wrong with recipe, data and
checkpoint is an error here, before the first step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from harken.checkpoint import remove_old, restore, save_checkpoint
from harken.config import GrpoConfig, Recipe, SftConfig
from harken.data.stream import batch_at, climb_at
from harken.errors import ConfigError
from harken.inputs import PromptInputs
from harken.metrics import is_due
from harken.models.base import AudioLM
from harken.models.loading import load_policy, mixed_precision
from harken.optim import build_optimizer
from harken.plan import refuse_what_does_not_fit
from harken.predict import accuracy_on
from harken.probe import Probe, first_measurement, forgetting, load_probe, measure
from harken.prompt import Prompt
from harken.reference import make_reference
from harken.run_folder import RunFolder
from harken.screen import say, warn
from harken.step_table import Figure, OnRow, StepTable
from harken.tracking import Tracker, open_trackers
from harken.training_data import load_training_data
from harken.types import Question


@dataclass(eq=False, slots=True)
class Session:
    """`start` is the number of updates made already; `reference` is the policy that the recipe names, never changed."""

    recipe: Recipe
    run: RunFolder
    prompt: Prompt
    policy: AudioLM
    reference: AudioLM | None
    questions: list[Question]
    dev: list[Question]
    inputs: PromptInputs
    probe: Probe | None
    optimizer: torch.optim.Optimizer
    trackers: list[Tracker]
    start: int
    console: Console

    def questions_at(self, step: int, size: int, last: int) -> list[Question]:
        """The questions of a step, in the order that the recipe names."""
        if self.recipe.data.order == "pass_rate":
            order = climb_at(len(self.questions), size, step - 1, last)
        else:
            order = batch_at(len(self.questions), size, step - 1, self.recipe.seed)
        return [self.questions[i] for i in order]

    def table(self, label: str, figures: Sequence[Figure], total: int, on_row: OnRow | None) -> StepTable:
        """What a person sees of the loop."""
        every = self.recipe.logging.every
        return StepTable(self.console, label, figures, total=total, every=every, done=self.start, on_row=on_row)

    def end_step(self, step: int, last: int, row: dict[str, float], *, stop: bool = False) -> None:
        """Write what a step leaves: its metric row, then its checkpoint if one is due."""
        for tracker in self.trackers:
            tracker.log(step, row)
        logging = self.recipe.logging
        if stop or is_due(step, logging.checkpoint_every, last):
            save_checkpoint(self.run, step, self.policy, self.optimizer, keep=logging.keep_checkpoints)

    def note(self, line: str) -> None:
        warn(self.console, line)

    def development(self, step: int, last: int) -> dict[str, float]:
        """Accuracy on the development part where an evaluation is due, else nothing."""
        if not self.dev or not is_due(step, self.recipe.logging.evaluate_every, last):
            return {}
        length = self.recipe.grpo.max_completion_tokens
        with mixed_precision(self.policy, self.recipe.model.precision):
            return accuracy_on(self.policy, self.dev, self.inputs, self.prompt, length)

    def probed(self, step: int, last: int, *, stop: bool = False) -> dict[str, float]:
        """The probe's figures where a measurement is due, else nothing; a warning on screen where much is lost."""
        every = None if self.recipe.probe is None else self.recipe.probe.every
        if self.probe is None or not (stop or is_due(step, every, last)):
            return {}
        figures = self._measure(self.probe)
        first = first_measurement(self.run.metric_rows())
        warning = None if first is None else forgetting(first, figures)
        if warning is not None:
            warn(self.console, f"step {step}: {warning}")
        return figures

    def probe_before_training(self) -> None:
        """Metric row 0: what the probe is later compared with. A resumed run has it already."""
        if self.probe is None or self.start > 0 or first_measurement(self.run.metric_rows()) is not None:
            return
        figures = self._measure(self.probe)
        for tracker in self.trackers:
            tracker.log(0, figures)
        say(
            self.console,
            f"probe: {figures['probe/n']:.0f} records, word error rate {figures['probe/wer']:.1%}, "
            f"loss {figures['probe/loss']:.3f} before training",
        )

    def _measure(self, probe: Probe) -> dict[str, float]:
        with mixed_precision(self.policy, self.recipe.model.precision):
            return measure(self.policy, probe)

    def close(self) -> Path:
        """Close the trackers; returns the newest checkpoint."""
        for tracker in self.trackers:
            tracker.close()
        return self.run.checkpoints()[-1]


def open_session(
    recipe: Recipe, settings: GrpoConfig | SftConfig, out: Path, console: Console, *, resume: bool, beta: float = 0.0
) -> Session:
    """`resume` goes on from the newest checkpoint in `out`, or from the beginning where there is none yet.

    Args:
        beta: above 0, a frozen copy of the starting policy is kept as the reference.
    """
    if refusal := recipe.memory.refusal(settings):
        raise ConfigError(refusal)
    refuse_what_does_not_fit(recipe, settings)
    run = RunFolder.open(out) if resume else RunFolder.create(out, recipe)
    prompt = Prompt.from_config(recipe.prompt)
    torch.manual_seed(recipe.seed)
    trained = torch.float32 if recipe.memory.weights == "float32" else torch.bfloat16
    policy = load_policy(recipe.model, trained)
    reference = make_reference(policy, recipe.memory.reference) if beta > 0 else None
    limit = recipe.data.max_prompt_tokens
    probe = None if recipe.probe is None else load_probe(recipe.probe, policy, limit)
    supervised = isinstance(settings, SftConfig)
    questions, dev = load_training_data(recipe, policy, prompt, run, console, supervised=supervised)
    optimizer = build_optimizer(
        policy.module,
        learning_rate=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        memory=recipe.memory,
        seed=recipe.seed,
    )
    start = 0
    if resume:
        if run.checkpoints():
            start = restore(run.checkpoints()[-1], policy, optimizer)
        run.forget_after(start)
        remove_old(run, recipe.logging.keep_checkpoints)  # where the run was killed before it came to it
        say(console, f"resuming {out} after step {start}")
    inputs = PromptInputs(policy, prompt, recipe.data.feature_cache_gib)
    trackers = open_trackers(run, recipe, start)
    session = Session(
        recipe, run, prompt, policy, reference, questions, dev, inputs, probe, optimizer, trackers, start, console
    )
    session.probe_before_training()
    return session
