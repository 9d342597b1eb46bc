"""Opens a `Session`: for a new run, or for one that goes on where it stopped.

Everything that can be wrong with recipe, data or checkpoint raises an error here, before the first step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from harken.config import GrpoConfig, Recipe, SftConfig
from harken.data.question_json import question_from_json, question_to_json
from harken.data.question_order import QuestionOrder
from harken.errors import ConfigError, DataError
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.trial_pass import refuse_what_cannot_compute
from harken.models.architectures import own_architecture
from harken.models.audio_lm import AudioLM
from harken.models.loading import load_renderer, pick_device
from harken.models.policy import mixed_precision
from harken.models.sharding import reshard
from harken.models.tower_cache import FolderOfTowerStates
from harken.planning.disk import refuse_full_disk
from harken.planning.plan import refuse_what_does_not_fit
from harken.planning.shapes import shape_of
from harken.questions.prompt import Prompt
from harken.system.console import print_line, print_warning
from harken.system.distributed_run import join_ranks
from harken.system.ranks import Ranks
from harken.training.checkpoint import remove_old_checkpoints, restore_checkpoint
from harken.training.early_checks import check_without_checkpoint
from harken.training.forgetting_probe import Probe, load_probe
from harken.training.load_models import load_models
from harken.training.optimizer import build_optimizer
from harken.training.run_folder import RunFolder
from harken.training.run_inputs import Loop, check_clips, check_inputs
from harken.training.session import Session
from harken.training.trackers import open_trackers
from harken.training.training_data import load_training_data, read_training_data
from harken.types import Question


def open_session(
    recipe: Recipe,
    settings: GrpoConfig | SftConfig,
    out: Path,
    console: Console,
    *,
    resume: bool,
    accept_changes: bool = False,
) -> Session:
    """Open a run for the loop whose section of the recipe is `settings`.

    Args:
        out: the run folder.
        resume: go on from the newest checkpoint in `out`, or from the beginning where there is none yet.
        accept_changes: go on although the inputs are not those that the run began with.
    """
    ranks = join_ranks()
    ranks.run_on_all(lambda: refuse_contradictions(recipe, settings, ranks.size))
    run = ranks.run_on_main(lambda: RunFolder.open(out) if resume else RunFolder.choose(out)) or RunFolder(out)
    try:
        return _open(_Opening(recipe, settings, run, console, ranks, resume, accept_changes))
    except BaseException as error:
        if not resume and ranks.is_main:
            run.remove_start(keep=["rejected.jsonl"] if isinstance(error, DataError) else [])
        raise


@dataclass(frozen=True, slots=True)
class _Opening:
    """The arguments of `open_session`, with the folder and the ranks."""

    recipe: Recipe
    settings: GrpoConfig | SftConfig
    run: RunFolder
    console: Console
    ranks: Ranks
    resume: bool
    accept: bool

    def compare(self, compare_part: Callable[[], list[str]]) -> None:
        """Show the changes since the run began that are accepted."""
        for line in self.ranks.run_on_main(compare_part) or []:
            print_warning(self.console, f"changed since the run began: {line}")

    def compare_inputs(self) -> None:
        loop: Loop = "grpo" if isinstance(self.settings, GrpoConfig) else "sft"
        self.compare(lambda: check_inputs(self.run, self.recipe, loop, accept=self.accept, resume=self.resume))

    def say(self, line: str) -> None:
        print_line(self.console, line)

    def warn(self, line: str) -> None:
        if self.ranks.is_main:
            print_warning(self.console, line)


def _open(opening: _Opening) -> Session:
    """What costs least is checked first: what needs no checkpoint, then its config, then its weights. The files of a
    new run are written after all checks."""
    recipe, run, ranks, console = opening.recipe, opening.run, opening.ranks, opening.console
    if opening.resume:
        opening.compare_inputs()
    ranks.run_on_all(lambda: own_architecture(recipe.model.architecture))
    ranks.run_on_main(lambda: check_without_checkpoint(recipe, opening.settings, run.path))
    prompt = Prompt.from_config(recipe.prompt)
    questions, development = _load_questions(opening, prompt)
    ranks.run_on_all(lambda: refuse_what_does_not_fit(recipe, opening.settings, ranks.size))
    opening.say(f"loading the weights of {recipe.model.path}")
    torch.manual_seed(recipe.seed)
    policy, reference, corrections = ranks.run_in_turn(
        lambda: load_models(recipe, opening.settings, ranks, opening.warn)
    )
    ranks.run_on_all(lambda: _try(policy, recipe))
    probe = _load_probe(recipe, policy, ranks)
    if not opening.resume:
        ranks.run_on_main(lambda: RunFolder.create(run.path, recipe))
        opening.compare_inputs()
    clips, hashed = [*questions, *development], recipe.data.hash_clips
    opening.compare(lambda: check_clips(run, clips, hashed=hashed, accept=opening.accept, resume=opening.resume))
    optimizer = _build_optimizer(recipe, opening.settings, policy, corrections)
    steps_done = 0
    if opening.resume:
        steps_done = _restore_newest_checkpoint(run, policy, optimizer, ranks)
        ranks.run_on_main(lambda: _remove_what_will_be_written_again(run, steps_done, recipe.logging.keep_checkpoints))
        opening.say(f"resuming {run.path} after step {steps_done}")
    session = Session(
        ranks=ranks,
        recipe=recipe,
        console=console,
        run=run,
        prompt=prompt,
        policy=policy,
        reference=reference,
        questions=questions,
        order=QuestionOrder.of(
            questions,
            recipe.seed,
            easy_to_hard=recipe.data.order == "pass_rate",
            weights=[source.weight for source in recipe.data.train],
        ),
        development=development,
        inputs=PromptInputs(policy, prompt, recipe.data.feature_cache_gib),
        probe=probe,
        optimizer=optimizer,
        trackers=ranks.run_on_main(lambda: open_trackers(run, recipe, steps_done)) or [],
        steps_done=steps_done,
    )
    _use_tower_cache(session)
    session.measure_probe_before_training()
    return session


def _use_tower_cache(session: Session) -> None:
    """Let policy and reference take the output of a frozen tower from `data.encoded_cache`. A reference that is not a
    copy has other numbers in its tower."""
    folder = session.recipe.data.encoded_cache
    if folder is None:
        return
    cache = FolderOfTowerStates(session.policy, folder)
    session.policy.use_tower_cache(cache)
    if session.reference is not None and session.recipe.memory.reference == "copy":
        session.reference.use_tower_cache(cache)


def _build_optimizer(
    recipe: Recipe, settings: GrpoConfig | SftConfig, policy: AudioLM, corrections: Mapping[str, Tensor]
) -> torch.optim.Optimizer:
    return build_optimizer(
        policy.module,
        learning_rate=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        decay_norms_and_biases=settings.decay_norms_and_biases,
        memory=recipe.memory,
        corrections=corrections,
        seed=recipe.seed,
    )


def refuse_contradictions(recipe: Recipe, settings: GrpoConfig | SftConfig, ranks: int) -> None:
    if refusal := recipe.memory.refusal(settings, ranks):
        raise ConfigError(refusal)
    if ranks > 1 and recipe.data.encoded_cache is not None:
        # Ranks meet in the tower's blocks, and one that finds its clips in the folder would not come.
        if isinstance(settings, SftConfig):
            raise ConfigError("data.encoded_cache: harken sft takes it on one rank alone: remove it")
        if recipe.model.train_projector:
            raise ConfigError("data.encoded_cache on several ranks: set model.train_projector: false, or remove it")
    pick_device(recipe.model.device)


def _try(policy: AudioLM, recipe: Recipe) -> None:
    with mixed_precision(policy, recipe.model.precision):
        refuse_what_cannot_compute(policy, recipe.model.path)
    reshard(policy)


def _load_probe(recipe: Recipe, policy: AudioLM, ranks: Ranks) -> Probe | None:
    """Rank 0 loads it; None on the other ranks and without a `probe` section."""
    section = recipe.probe
    if section is None:
        return None
    return ranks.run_on_main(lambda: load_probe(section, policy, recipe.data.max_prompt_tokens))


def _load_questions(opening: _Opening, prompt: Prompt) -> tuple[list[Question], list[Question]]:
    """(questions to train on, development part). Rank 0 reads and checks them and sends them to the other ranks."""
    ranks = opening.ranks
    loaded = ranks.run_on_main(lambda: _check_data_and_config(opening, prompt))
    if ranks.size == 1:
        assert loaded is not None
        return loaded
    as_json = None if loaded is None else [[question_to_json(question) for question in part] for part in loaded]
    train, development = ranks.broadcast(as_json)
    return [question_from_json(row) for row in train], [question_from_json(row) for row in development]


def _check_data_and_config(opening: _Opening, prompt: Prompt) -> tuple[list[Question], list[Question]]:
    """The same on rank 0. Of the checkpoint, config, tokenizer and feature extractor are read."""
    recipe, settings, run, console = opening.recipe, opening.settings, opening.run, opening.console
    supervised = isinstance(settings, SftConfig)
    loaded = read_training_data(recipe, run, console, supervised=supervised)
    opening.say(f"reading the config of {recipe.model.path}")
    refuse_full_disk(recipe, settings, shape_of(recipe.model.path, recipe.model.architecture), run.path)
    renderer = load_renderer(recipe.model.path, recipe.model.architecture)
    return load_training_data(recipe, loaded, renderer, prompt, run, console, supervised=supervised)


def _restore_newest_checkpoint(run: RunFolder, policy: AudioLM, optimizer: torch.optim.Optimizer, ranks: Ranks) -> int:
    """The number of steps done; 0 where the run has no checkpoint yet."""
    newest = ranks.broadcast(ranks.is_main and [str(folder) for folder in run.checkpoints()[-1:]])
    if not newest:
        return 0
    return ranks.run_in_turn(lambda: restore_checkpoint(Path(newest[0]), policy, optimizer))


def _remove_what_will_be_written_again(run: RunFolder, steps_done: int, keep: int) -> None:
    run.remove_rows_after(steps_done)
    remove_old_checkpoints(run, keep)  # in case the run was killed before it removed them
