"""Opens a `Session`: for a new run, or for one that goes on where it stopped.

Everything that can be wrong with recipe, data or checkpoint raises an error here, before the first step.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from harken.config import GrpoConfig, Recipe, SftConfig
from harken.data.question_json import question_from_json, question_to_json
from harken.errors import ConfigError
from harken.inference.prompt_inputs import PromptInputs
from harken.models.audio_lm import AudioLM
from harken.models.policy import load_policy_exactly
from harken.models.sharded_tensors import distribute_like, local_part
from harken.models.sharding import gather_dtype, shard, share_frozen_parts
from harken.planning.plan import refuse_what_does_not_fit
from harken.questions.prompt import Prompt
from harken.system.console import print_line, print_warning
from harken.system.distributed_run import join_ranks
from harken.system.ranks import Ranks
from harken.training.checkpoint import remove_old_checkpoints, restore_checkpoint
from harken.training.forgetting_probe import Probe, load_probe
from harken.training.optimizer import build_optimizer
from harken.training.reference_model import make_reference
from harken.training.run_folder import RunFolder
from harken.training.run_inputs import Loop, check_clips, check_inputs
from harken.training.session import Session
from harken.training.trackers import open_trackers
from harken.training.training_data import load_training_data
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
    ranks.run_on_all(lambda: _refuse_what_cannot_run(recipe, settings, ranks.size))
    run = _open_run_folder(recipe, out, ranks, resume=resume)
    loop: Loop = "grpo" if isinstance(settings, GrpoConfig) else "sft"

    def check(check_part: Callable[[], list[str]]) -> None:
        for line in ranks.run_on_main(check_part) or []:
            print_warning(console, f"changed since the run began: {line}")

    check(lambda: check_inputs(run, recipe, loop, accept=accept_changes, resume=resume))
    prompt = Prompt.from_config(recipe.prompt)
    torch.manual_seed(recipe.seed)
    policy, reference, corrections = ranks.run_in_turn(lambda: _load_models(recipe, settings, ranks, console))
    probe = _load_probe(recipe, policy, ranks)
    questions, development = _load_questions(recipe, settings, policy, prompt, run, console, ranks)
    hashed = recipe.data.hash_clips
    clips = [*questions, *development]
    check(lambda: check_clips(run, clips, hashed=hashed, accept=accept_changes, resume=resume))
    optimizer = _build_optimizer(recipe, settings, policy, corrections)
    steps_done = 0
    if resume:
        steps_done = _restore_newest_checkpoint(run, policy, optimizer, ranks)
        ranks.run_on_main(lambda: _remove_what_will_be_written_again(run, steps_done, recipe.logging.keep_checkpoints))
        print_line(console, f"resuming {out} after step {steps_done}")
    session = Session(
        ranks=ranks,
        recipe=recipe,
        console=console,
        run=run,
        prompt=prompt,
        policy=policy,
        reference=reference,
        questions=questions,
        development=development,
        inputs=PromptInputs(policy, prompt, recipe.data.feature_cache_gib),
        probe=probe,
        optimizer=optimizer,
        trackers=ranks.run_on_main(lambda: open_trackers(run, recipe, steps_done)) or [],
        steps_done=steps_done,
    )
    session.measure_probe_before_training()
    return session


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


def _refuse_what_cannot_run(recipe: Recipe, settings: GrpoConfig | SftConfig, ranks: int) -> None:
    if refusal := recipe.memory.refusal(settings, ranks):
        raise ConfigError(refusal)
    refuse_what_does_not_fit(recipe, settings, ranks)


def _open_run_folder(recipe: Recipe, out: Path, ranks: Ranks, *, resume: bool) -> RunFolder:
    """Rank 0 creates or opens the folder; the other ranks only know its path."""
    opened = ranks.run_on_main(lambda: RunFolder.open(out) if resume else RunFolder.create(out, recipe))
    return opened or RunFolder(out)


def _load_models(
    recipe: Recipe, settings: GrpoConfig | SftConfig, ranks: Ranks, console: Console
) -> tuple[AudioLM, AudioLM | None, dict[str, Tensor]]:
    """Policy, reference, and the bits that trained bfloat16 weights lack. Of several ranks each keeps its shard, and no
    device ever holds a whole model."""
    whole = recipe.model if ranks.mesh is None else recipe.model.model_copy(update={"device": "cpu"})

    def warn(line: str) -> None:
        if ranks.is_main:
            print_warning(console, line)

    policy, corrections = load_policy_exactly(whole, recipe.memory.weights, seed=recipe.seed, warn=warn)
    reference, mixed = None, recipe.model.precision == "bf16_mixed"
    mode = recipe.memory.reference
    if isinstance(settings, GrpoConfig) and settings.beta > 0:
        reference = make_reference(policy, mode, mixed=mixed, will_be_sharded=ranks.mesh is not None)
    if ranks.mesh is None:
        return policy, reference, corrections
    dtype = gather_dtype(recipe.model.precision, recipe.memory.weights, ranks.mesh.device_type)
    sharded = shard(policy, ranks.mesh, dtype)
    parameters = dict(sharded.module.named_parameters())
    own = {name: local_part(distribute_like(bits, parameters[name])).cpu() for name, bits in corrections.items()}
    corrections = {name: part.clone() for name, part in own.items()}
    if reference is None:
        return sharded, None, corrections
    # A reference is stored in the types in which it computes; only adapters leave a base in a finer one.
    stored = None if policy.adapters is None else dtype
    sharded_reference = shard(reference, ranks.mesh, stored, blocks_in_host_memory=mode == "streamed")
    share_frozen_parts(sharded, sharded_reference)
    return sharded, sharded_reference, corrections


def _load_probe(recipe: Recipe, policy: AudioLM, ranks: Ranks) -> Probe | None:
    """Rank 0 loads it; None on the other ranks and without a `probe` section."""
    section = recipe.probe
    if section is None:
        return None
    return ranks.run_on_main(lambda: load_probe(section, policy, recipe.data.max_prompt_tokens))


def _load_questions(
    recipe: Recipe,
    settings: GrpoConfig | SftConfig,
    policy: AudioLM,
    prompt: Prompt,
    run: RunFolder,
    console: Console,
    ranks: Ranks,
) -> tuple[list[Question], list[Question]]:
    """(questions to train on, development part). Rank 0 reads and checks them and sends them to the other ranks."""
    supervised = isinstance(settings, SftConfig)
    loaded = ranks.run_on_main(lambda: load_training_data(recipe, policy, prompt, run, console, supervised=supervised))
    if ranks.size == 1:
        assert loaded is not None
        return loaded
    as_json = None if loaded is None else [[question_to_json(question) for question in part] for part in loaded]
    train, development = ranks.broadcast(as_json)
    return [question_from_json(row) for row in train], [question_from_json(row) for row in development]


def _restore_newest_checkpoint(run: RunFolder, policy: AudioLM, optimizer: torch.optim.Optimizer, ranks: Ranks) -> int:
    """The number of steps done; 0 where the run has no checkpoint yet."""
    newest = ranks.broadcast(ranks.is_main and [str(folder) for folder in run.checkpoints()[-1:]])
    if not newest:
        return 0
    return ranks.run_in_turn(lambda: restore_checkpoint(Path(newest[0]), policy, optimizer))


def _remove_what_will_be_written_again(run: RunFolder, steps_done: int, keep: int) -> None:
    run.remove_rows_after(steps_done)
    remove_old_checkpoints(run, keep)  # in case the run was killed before it removed them
