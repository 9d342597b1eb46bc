"""All that a training loop needs, opened fresh or where an earlier run stopped.

Takes a recipe and the section that the loop runs, gives a `Session`. Everything that can be wrong with recipe, data and
checkpoint is an error here, before the first step.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from harken.config import GrpoConfig, Recipe, SftConfig
from harken.data.question_order import ordered_batch, shuffled_batch
from harken.errors import ConfigError
from harken.inference.predict import count_correct
from harken.inference.prompt_inputs import PromptInputs
from harken.models.audio_lm import AudioLM
from harken.models.policy import load_policy, mixed_precision
from harken.models.sharding import gather_dtype, gathered, shard
from harken.planning.plan import refuse_what_does_not_fit
from harken.questions.prompt import Prompt
from harken.system.console import print_line, print_warning
from harken.system.distributed_run import join_ranks
from harken.system.ranks import Ranks
from harken.training.checkpoint import remove_old, restore, save_checkpoint
from harken.training.forgetting_probe import Probe, first_measurement, forgetting, load_probe, measure
from harken.training.optimizer import build_optimizer
from harken.training.progress_table import Figure, OnRow, ProgressTable
from harken.training.reference_model import make_reference
from harken.training.run_folder import RunFolder
from harken.training.schedule import is_due
from harken.training.trackers import Tracker, open_trackers
from harken.training.training_data import load_training_data
from harken.types import Question


@dataclass(eq=False, slots=True)
class Session:
    """`start` is the number of updates made already; `reference` is the policy that the recipe names, never changed.
    Of several ranks the first alone writes and measures the probe; the others have no trackers and no probe."""

    ranks: Ranks
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
        """This rank's questions of a step, in the order that the recipe names."""
        if self.recipe.data.order == "pass_rate":
            order = ordered_batch(len(self.questions), size, step - 1, last)
        else:
            order = shuffled_batch(len(self.questions), size, step - 1, self.recipe.seed)
        return [self.questions[i] for i in self.ranks.own_part(order)]

    def table(self, label: str, figures: Sequence[Figure], total: int, on_row: OnRow | None) -> ProgressTable:
        """What a person sees of the loop; rank 0 alone calls `on_row`."""
        every = self.recipe.logging.every
        on_row = on_row if self.ranks.is_main else None
        return ProgressTable(self.console, label, figures, total=total, every=every, done=self.start, on_row=on_row)

    def end_step(self, step: int, last: int, row: dict[str, float], *, stop: bool = False) -> None:
        """Write what a step leaves: its metric row, then its checkpoint if one is due."""
        for tracker in self.trackers:
            tracker.log(step, row)
        logging = self.recipe.logging
        if stop or is_due(step, logging.checkpoint_every, last):
            keep = logging.keep_checkpoints
            save_checkpoint(self.run, step, self.policy, self.optimizer, keep=keep, ranks=self.ranks)

    def note(self, line: str) -> None:
        """A warning of this rank's own."""
        print_warning(self.console, line if self.ranks.size == 1 else f"rank {self.ranks.rank}: {line}")

    def development(self, step: int, last: int) -> dict[str, float]:
        """Accuracy on the development part where an evaluation is due, else nothing."""
        if not self.dev or not is_due(step, self.recipe.logging.evaluate_every, last):
            return {}
        length = self.recipe.grpo.max_completion_tokens
        own = self.ranks.own_part(self.dev)
        with mixed_precision(self.policy, self.recipe.model.precision), gathered(self.policy):
            correct = count_correct(self.policy, own, self.inputs, self.prompt, length)
        n = len(self.dev)
        return {"dev/accuracy": self.ranks.sum([correct])[0] / n, "dev/n": float(n)}

    def probed(self, step: int, last: int, *, stop: bool = False) -> dict[str, float]:
        """The probe's figures where a measurement is due, else nothing; a warning on screen where much is lost."""
        every = None if self.recipe.probe is None else self.recipe.probe.every
        if every is None or not (stop or is_due(step, every, last)):
            return {}
        figures = self._measure()
        if not figures:
            return {}
        first = first_measurement(self.run.metric_rows())
        warning = None if first is None else forgetting(first, figures)
        if warning is not None:
            print_warning(self.console, f"step {step}: {warning}")
        return figures

    def probe_before_training(self) -> None:
        """Metric row 0: what the probe is later compared with. A resumed run has it already."""
        if self.recipe.probe is None or self.start > 0:
            return
        if self.ranks.broadcast(self.ranks.is_main and first_measurement(self.run.metric_rows()) is not None):
            return
        figures = self._measure()
        if not figures:
            return
        for tracker in self.trackers:
            tracker.log(0, figures)
        print_line(
            self.console,
            f"probe: {figures['probe/n']:.0f} records, word error rate {figures['probe/wer']:.1%}, "
            f"loss {figures['probe/loss']:.3f} before training",
        )

    def _measure(self) -> dict[str, float]:
        with mixed_precision(self.policy, self.recipe.model.precision), gathered(self.policy):
            return {} if self.probe is None else measure(self.policy, self.probe)

    def close(self) -> Path:
        """Close the trackers; returns the newest checkpoint."""
        for tracker in self.trackers:
            tracker.close()
        return Path(self.ranks.broadcast(self.ranks.is_main and str(self.run.checkpoints()[-1])))


def open_session(
    recipe: Recipe, settings: GrpoConfig | SftConfig, out: Path, console: Console, *, resume: bool, beta: float = 0.0
) -> Session:
    """`resume` goes on from the newest checkpoint in `out`, or from the beginning where there is none yet.

    Args:
        beta: above 0, a frozen copy of the starting policy is kept as the reference.
    """
    ranks = join_ranks()
    ranks.run_on_all(lambda: _refuse(recipe, settings, ranks.size))
    run = ranks.run_on_main(lambda: RunFolder.open(out) if resume else RunFolder.create(out, recipe)) or RunFolder(out)
    prompt = Prompt.from_config(recipe.prompt)
    torch.manual_seed(recipe.seed)
    policy, reference = ranks.run_in_turn(lambda: _load(recipe, ranks, beta))
    limit = recipe.data.max_prompt_tokens
    section = recipe.probe
    probe = None if section is None else ranks.run_on_main(lambda: load_probe(section, policy, limit))
    supervised = isinstance(settings, SftConfig)
    data = ranks.run_on_main(lambda: load_training_data(recipe, policy, prompt, run, console, supervised=supervised))
    questions, dev = _told(ranks, data)
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
        newest = ranks.broadcast(ranks.is_main and [str(folder) for folder in run.checkpoints()[-1:]])
        if newest:
            start = ranks.run_in_turn(lambda: restore(Path(newest[0]), policy, optimizer))
        ranks.run_on_main(lambda: _tidy(run, start, recipe.logging.keep_checkpoints))
        print_line(console, f"resuming {out} after step {start}")
    inputs = PromptInputs(policy, prompt, recipe.data.feature_cache_gib)
    trackers = ranks.run_on_main(lambda: open_trackers(run, recipe, start)) or []
    held = (policy, reference, questions, dev, inputs, probe, optimizer, trackers)
    session = Session(ranks, recipe, run, prompt, *held, start, console)
    session.probe_before_training()
    return session


def _refuse(recipe: Recipe, settings: GrpoConfig | SftConfig, ranks: int) -> None:
    if refusal := recipe.memory.refusal(settings, ranks):
        raise ConfigError(refusal)
    refuse_what_does_not_fit(recipe, settings, ranks)


def _load(recipe: Recipe, ranks: Ranks, beta: float) -> tuple[AudioLM, AudioLM | None]:
    """Policy and reference; of several ranks each keeps its part, and the whole is on no device at any time."""
    whole = recipe.model if ranks.mesh is None else recipe.model.model_copy(update={"device": "cpu"})
    trained = torch.float32 if recipe.memory.weights == "float32" else torch.bfloat16
    policy = load_policy(whole, trained)
    reference = make_reference(policy, recipe.memory.reference) if beta > 0 else None
    if ranks.mesh is not None:
        for model in (policy, reference):
            if model is not None:
                shard(model, ranks.mesh, gather_dtype(recipe.model.precision, ranks.mesh.device_type))
    return policy, reference


def _told(
    ranks: Ranks, data: tuple[Sequence[Question], Sequence[Question]] | None
) -> tuple[list[Question], list[Question]]:
    """The questions that rank 0 has read, on every rank."""
    if ranks.size == 1:
        assert data is not None
        return list(data[0]), list(data[1])
    parts = None if data is None else [[_plain(question) for question in part] for part in data]
    train, dev = ([_question(values) for values in part] for part in ranks.broadcast(parts))
    return train, dev


def _plain(question: Question) -> dict[str, Any]:
    return {**asdict(question), "audio": None if question.audio is None else str(question.audio)}


def _question(values: dict[str, Any]) -> Question:
    audio = None if values["audio"] is None else Path(values["audio"])
    return Question(**{**values, "choices": tuple(values["choices"]), "audio": audio})


def _tidy(run: RunFolder, start: int, keep: int) -> None:
    run.forget_after(start)
    remove_old(run, keep)  # where the run was killed before it came to it
