"""Writes checkpoints and restores them, so that a run goes on as if it had never stopped.

    checkpoints/step_000100/  config.json  model.safetensors  tokenizer and chat template  preprocessor_config.json
                              trainer/{optimizer.pt, random.pt, state.json, unplanned}

A folder is written under a temporary name and renamed, so a folder with the name of a checkpoint is complete. The order
of the data, the samples and the learning rate follow from the step, so no other state of theirs is saved. Rank 0 writes
whole tensors even where parameters are sharded, so a run can go on with any number of ranks. Tensors are read with
safetensors and `weights_only`, never with pickle.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from harken.errors import CheckpointError
from harken.models.audio_lm import AudioLM
from harken.models.loading import load_model
from harken.models.lora import saved_adapter
from harken.models.sharded_tensors import as_part_of, distribute_like, gather_tensor, local_part
from harken.models.sharding import gather_weights, is_sharded
from harken.system.files import remove_folder, replacing, write_json
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.system.run_files import TRAINER_STATE, read_object
from harken.training.memory_saving_adamw import MemorySavingAdamW
from harken.training.run_folder import RunFolder, step_of

UNPLANNED = "unplanned"
"""The name of an empty file that marks a checkpoint which a signal asked for."""


def save_checkpoint(
    run: RunFolder,
    step: int,
    model: AudioLM,
    optimizer: torch.optim.Optimizer,
    *,
    keep: int,
    planned: bool = True,
    ranks: Ranks = SINGLE_PROCESS,
) -> Path:
    """Write the checkpoint of `step`, then remove all but the newest `keep` and the best on the development part.

    All ranks take part, because rank 0 gathers their shards; only rank 0 writes.

    Args:
        planned: false where a signal stops the run here. Such a checkpoint (trainer/unplanned) is not one of the `keep`
            and is removed after the next one, so that the folder ends as that of a run that was never stopped.

    Raises CheckpointError when it cannot be written, for example because the disk is full. Earlier checkpoints stay.
    """
    state = _gather_state(optimizer, ranks)
    if isinstance(optimizer, MemorySavingAdamW) and optimizer.weights == "bf16_corrected":
        weights = _exact_weights(model, optimizer, ranks)
    else:
        weights = gather_weights(model, keep=ranks.is_main)
    ranks.run_on_main(lambda: _write(run, step, model, weights, state, keep, planned))
    return run.checkpoint(step)


def restore_checkpoint(folder: Path, model: AudioLM, optimizer: torch.optim.Optimizer) -> int:
    """Put a checkpoint's weights, optimizer state and random states in place. Returns its step.

    Raises CheckpointError where the folder has no trainer state, a damaged one, or one that does not fit the model.
    """
    trainer = folder / "trainer"
    if not (trainer / "state.json").is_file():
        raise CheckpointError(f"{folder}: no trainer state here; only checkpoints of a run can be resumed")
    with _damage_explained(trainer / "state.json"):
        step = read_object(trainer / "state.json", TRAINER_STATE)["step"]
    with _damage_explained(trainer / "optimizer.pt"):
        state = torch.load(trainer / "optimizer.pt", map_location="cpu", weights_only=True, mmap=is_sharded(model))
    with _damage_explained(trainer / "random.pt"):
        random_states = torch.load(trainer / "random.pt", map_location="cpu", weights_only=True)
    if step != step_of(folder):
        raise CheckpointError(f"{folder}: holds the state of step {step}; was it renamed?")
    saved = _saved_weights(model, folder) if model.adapters is None else saved_adapter(model, folder)
    with torch.no_grad():
        for parameter, tensor in saved:
            part = distribute_like(tensor.float(), parameter)
            if isinstance(optimizer, MemorySavingAdamW):
                optimizer.set_exact_weight(parameter, local_part(part))
            else:
                parameter.copy_(part)
    with _damage_explained(trainer / "optimizer.pt", "the optimizer's state is of other parameters"):
        _restore_optimizer(optimizer, state)
    with _damage_explained(trainer / "random.pt"):  # last, because loading a model draws random numbers
        torch.set_rng_state(random_states["cpu"])
        if random_states["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(random_states["cuda"])
    return step


def remove_old_checkpoints(run: RunFolder, keep: int) -> None:
    """Keep the newest `keep` planned checkpoints and the one with the best accuracy on the development part, the
    earliest of several equal ones; write its step into best.json."""
    accuracy = {row["step"]: row["dev/accuracy"] for row in run.metric_rows() if "dev/accuracy" in row}
    unplanned = [step_of(folder) for folder in run.checkpoints() if (folder / "trainer" / UNPLANNED).exists()]
    steps = [step for step in map(step_of, run.checkpoints()) if step not in unplanned]
    measured = [step for step in steps if step in accuracy]
    best = max(measured, key=lambda step: (accuracy[step], -step), default=None)
    if best is not None:
        write_json(run.path / "checkpoints" / "best.json", {"step": best, "dev/accuracy": accuracy[best]})
    newest = max([*steps, *unplanned], default=0)
    for step in [*(step for step in steps[:-keep] if step != best), *(step for step in unplanned if step < newest)]:
        remove_folder(run.checkpoint(step))


def _write(
    run: RunFolder, step: int, model: AudioLM, weights: dict | None, state: dict, keep: int, planned: bool
) -> None:
    folder = run.checkpoint(step)
    try:
        with replacing(folder) as temporary:
            model.save(temporary, weights)
            trainer = temporary / "trainer"
            trainer.mkdir()
            torch.save(state, trainer / "optimizer.pt")
            torch.save(_random_states(), trainer / "random.pt")
            write_json(trainer / "state.json", {"step": step})
            if not planned:
                (trainer / UNPLANNED).touch()
        remove_old_checkpoints(run, keep)
    except (OSError, SafetensorError, RuntimeError) as error:  # a full disk is a RuntimeError to torch and safetensors
        complete = run.checkpoints()
        last = f"The last whole checkpoint is {complete[-1]}" if complete else "There is no checkpoint yet"
        raise CheckpointError(
            f"{folder}: cannot be written; is the disk full? ({error}) {last}. Make room, then go on with "
            f"--resume {run.path}"
        ) from error


def _exact_weights(model: AudioLM, optimizer: MemorySavingAdamW, ranks: Ranks) -> dict[str, Tensor]:
    """All weights as whole tensors, the trained ones in float32, so that a later stage or an export loses nothing of
    them."""
    parameters = dict(model.module.named_parameters(remove_duplicate=False))
    state: dict[str, Tensor] = model.module.state_dict()
    for name, tensor in state.items():
        parameter = parameters.get(name)
        exact = tensor
        if parameter is not None and parameter.requires_grad:
            exact = as_part_of(optimizer.exact_weight(parameter), parameter)
        state[name] = gather_tensor(exact, keep=ranks.is_main)
    return state


def _gather_state(optimizer: torch.optim.Optimizer, ranks: Ranks) -> dict:
    """The optimizer's state with whole tensors on rank 0."""
    state = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    gathered = {
        index: {
            name: gather_tensor(as_part_of(value, parameters[index]), keep=ranks.is_main)
            for name, value in values.items()
        }
        for index, values in state["state"].items()
    }
    return {**state, "state": gathered}


@contextlib.contextmanager
def _damage_explained(file: Path, what: str = "damaged") -> Iterator[None]:
    """Raise CheckpointError that names the file: torch's reader raises exceptions of every kind for damaged files."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise CheckpointError(
            f"{file}: {what} ({reason}); remove {file.parents[1]} to go on from the checkpoint before it"
        ) from error


def _restore_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Raises ValueError, KeyError or TypeError where the state is of other parameters. torch itself only compares the
    number of parameters."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, values in state["state"].items():
        shapes = {tuple(value.shape) for name, value in values.items() if value.ndim > 0 and "scale" not in name}
        if index >= len(parameters) or shapes - {tuple(parameters[index].shape)}:
            raise ValueError(f"parameter {index} has other shapes: {sorted(shapes)}")
        for name, value in values.items():
            if value.ndim > 0:
                values[name] = distribute_like(value, parameters[index])
    optimizer.load_state_dict(state)


def _saved_weights(model: AudioLM, folder: Path) -> list[tuple[nn.Parameter, Tensor]]:
    """Each trained weight of the model with the checkpoint's."""
    saved = dict(load_model(str(folder), dtype=torch.float32, device="cpu").module.named_parameters())
    trained = [(name, parameter) for name, parameter in model.module.named_parameters() if parameter.requires_grad]
    for name, parameter in trained:
        if name not in saved or saved[name].shape != parameter.shape:
            raise CheckpointError(f"{folder}: has no {name} of the model's shape; is it of another run?")
    return [(parameter, saved[name]) for name, parameter in trained]


def _random_states() -> dict[str, object]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}
