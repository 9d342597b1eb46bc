"""Everything that a training loop works with, in one object: model, data, optimizer, run folder.

`open_session.py` makes it. GRPO and SFT share it, so that both measure, log and save in the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from rich.console import Console

from harken.config import Recipe
from harken.data.question_order import QuestionOrder
from harken.errors import StoppedError
from harken.inference.predict import which_correct
from harken.inference.prompt_inputs import PromptInputs
from harken.models.audio_lm import AudioLM
from harken.models.policy import mixed_precision
from harken.models.sharding import gathered
from harken.questions.prompt import Prompt
from harken.stats import mean_interval
from harken.system.console import print_line, print_warning
from harken.system.ranks import Ranks
from harken.system.stop_signals import stop_requested
from harken.training.checkpoint import save_checkpoint
from harken.training.completion_table import completion_table, table_is_due
from harken.training.forgetting_probe import Probe, first_measurement, forgetting_warning, measure_probe
from harken.training.progress_columns import Column
from harken.training.progress_table import ProgressTable
from harken.training.run_folder import RunFolder
from harken.training.schedule import is_due
from harken.training.trackers import Tracker
from harken.training.training_step import OnStep, TrainingStep
from harken.types import Question


@dataclass(eq=False, slots=True, kw_only=True)
class Session:
    """A run that is open for training. Only rank 0 writes files and measures the probe.

    Attributes:
        policy: the model that trains.
        reference: the policy as the recipe names it, never changed; None for a loop without a KL term.
        questions: those that are trained on, on every rank.
        order: the order in which a run goes through them.
        development: those that are held out to measure accuracy during training; may be empty.
        probe: None without a `probe` section, and on every rank but the first.
        trackers: empty on every rank but the first.
        steps_done: number of steps made before this session.
    """

    ranks: Ranks
    recipe: Recipe
    console: Console
    run: RunFolder
    prompt: Prompt
    policy: AudioLM
    reference: AudioLM | None
    questions: list[Question]
    order: QuestionOrder
    development: list[Question]
    inputs: PromptInputs
    probe: Probe | None
    optimizer: torch.optim.Optimizer
    trackers: list[Tracker]
    steps_done: int

    def questions_of(self, step: int, size: int, last_step: int) -> list[Question]:
        """This rank's part of the `size` questions of a step (1-based), in the order that the recipe names."""
        return [self.questions[i] for i in self.ranks.own_part(self.order.batch(size, step - 1, last_step))]

    def progress_table(self, label: str, columns: Sequence[Column], last_step: int) -> ProgressTable:
        """The table of the run's progress on the console."""
        return ProgressTable(
            self.console,
            label,
            columns,
            total=last_step,
            every=self.recipe.logging.every,
            done=self.steps_done,
        )

    def warn(self, line: str) -> None:
        """Show a warning; of several ranks it names the one that warns."""
        print_warning(self.console, line if self.ranks.size == 1 else f"rank {self.ranks.rank}: {line}")

    def measure_development(self, step: int, last_step: int) -> dict[str, float]:
        """Accuracy on the questions of the development part that have choices, as part of a metric row, with its 95 %
        interval clustered by clip; empty where there are none, and where no evaluation is due."""
        development = [question for question in self.development if question.choices]
        if not development or not is_due(step, self.recipe.logging.evaluate_every, last_step):
            return {}
        longest = self.recipe.grpo.max_completion_tokens
        own = self.ranks.own_part(development)
        with mixed_precision(self.policy, self.recipe.model.precision), gathered(self.policy):
            own_correct = which_correct(self.policy, own, self.inputs, self.prompt, longest)
        correct = [float(value) for part in self.ranks.gather(own_correct) for value in part]
        figure = mean_interval(correct, [question.clip for question in development])
        return {
            "dev/accuracy": sum(correct) / figure.n,
            "dev/low": figure.low,
            "dev/high": figure.high,
            "dev/n": float(figure.n),
        }

    def measure_probe(self, step: int, last_step: int, *, stop: bool = False) -> dict[str, float]:
        """The probe's figures as part of a metric row; empty where no measurement is due. Warns of forgetting.

        Args:
            stop: training ends after this step, whatever was planned; so a measurement is due.
        """
        every = None if self.recipe.probe is None else self.recipe.probe.every
        if every is None or not (stop or is_due(step, every, last_step)):
            return {}
        figures = self._measure_probe()
        first = first_measurement(self.run.metric_rows()) if figures else None
        warning = None if first is None else forgetting_warning(first, figures)
        if warning is not None:
            print_warning(self.console, f"step {step}: {warning}")
        return figures

    def measure_probe_before_training(self) -> None:
        """Write metric row 0, with which later measurements are compared. A resumed run may have it already."""
        if self.recipe.probe is None or self.steps_done > 0:
            return
        if self.ranks.broadcast(self.ranks.is_main and first_measurement(self.run.metric_rows()) is not None):
            return
        figures = self._measure_probe()
        if not figures:
            return
        for tracker in self.trackers:
            tracker.log(0, figures)
        print_line(
            self.console,
            f"probe: {figures['probe/n']:.0f} records, word error rate {figures['probe/wer']:.1%}, "
            f"loss {figures['probe/loss']:.3f} before training",
        )

    def _measure_probe(self) -> dict[str, float]:
        """Empty on every rank but the first. All ranks take part, because gathering the weights needs them."""
        with mixed_precision(self.policy, self.recipe.model.precision), gathered(self.policy):
            return {} if self.probe is None else measure_probe(self.policy, self.probe)

    def track_completions(self, step: int, last_step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Give the trackers a table of completions of a step whose rollouts are kept, where one is due."""
        settings = self.recipe.logging
        trackers = [tracker for tracker in self.trackers if tracker.takes_completions and settings.completions]
        if not trackers or not table_is_due(step, settings.every, last_step):
            return
        shown = {(row["id"], row["question"]) for row in rows}
        questions = {key: question for question in self.questions if (key := (question.id, question.text)) in shown}
        table = completion_table(step, rows, questions, self.prompt, self.recipe)
        for tracker in trackers:
            tracker.log_completions(table)

    def hand_to_caller(
        self,
        on_step: OnStep | None,
        step: int,
        last_step: int,
        metrics: Mapping[str, float],
        completions: Sequence[Mapping[str, Any]] = (),
    ) -> bool:
        """Give a step to the caller of the loop, on rank 0. Returns whether the run is to end after it, on every rank.

        Args:
            on_step: given on every rank or on none.
        """
        if on_step is None:
            return False
        shown = is_due(step, self.recipe.logging.every, last_step)
        made = TrainingStep(step, last_step, metrics, completions, shown)
        return self.ranks.any(self.ranks.is_main and bool(on_step(made)))

    def end_step(self, step: int, last_step: int, metrics: dict[str, float], *, stop: bool = False) -> None:
        """Write the metric row of a step, then its checkpoint if one is due. Raises StoppedError after that if a signal
        came to any rank.

        Args:
            stop: training ends after this step, whatever was planned; so a checkpoint is due.
        """
        for tracker in self.trackers:
            tracker.log(step, metrics)
        planned = stop or is_due(step, self.recipe.logging.checkpoint_every, last_step)
        stopped = self.ranks.any(stop_requested() is not None)
        if planned or stopped:
            self._save(step, planned=planned)
        if stopped:
            self._end_stopped(step)

    def abandon_step(self, step: int) -> NoReturn:
        """Stop before the update of a step, on all ranks: save the step before it, if that is not on disk."""
        done = step - 1
        if self.ranks.broadcast(self.ranks.is_main and done > 0 and not self.run.checkpoint(done).exists()):
            self._save(done, planned=False)
        self._end_stopped(done)

    def _save(self, step: int, *, planned: bool) -> None:
        keep = self.recipe.logging.keep_checkpoints
        save_checkpoint(self.run, step, self.policy, self.optimizer, keep=keep, planned=planned, ranks=self.ranks)

    def _end_stopped(self, step: int) -> NoReturn:
        self._close_trackers()
        raise StoppedError(f"stopped by {stop_requested() or 'a signal to another rank'} after step {step}")

    def _close_trackers(self) -> None:
        for tracker in self.trackers:
            tracker.close()

    def close(self) -> Path:
        """Close the trackers; returns the newest checkpoint."""
        self._close_trackers()
        return Path(self.ranks.broadcast(self.ranks.is_main and str(self.run.checkpoints()[-1])))
