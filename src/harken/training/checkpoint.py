"""Checkpoints from which a run goes on as if it had never stopped.

    checkpoints/step_000100/  config.json  model.safetensors  tokenizer and chat template  preprocessor_config.json
                              trainer/{optimizer.pt, random.pt, state.json}

Takes a run folder, a model and an optimizer. A folder is written under a temporary name and renamed, so a name of a
checkpoint is a whole checkpoint. The order of the data, the samples and the learning rate follow from the step, so the
step is their state. Where parameters lie in parts on several ranks, rank 0 writes them whole: the format knows no
ranks, and a run goes on with any number of them. Not taken: pickle; tensors are read with safetensors and
`weights_only`. Nor torch.distributed.checkpoint's folders, whose `.metadata` is a pickle.
"""

import contextlib
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from harken.errors import CheckpointError
from harken.models.audio_lm import AudioLM
from harken.models.loading import load_model
from harken.models.lora import saved_adapter
from harken.models.sharding import distribute_like, gather_tensor, gather_weights, is_sharded
from harken.system.files import remove_folder, replacing, write_json
from harken.system.ranks import SINGLE_PROCESS, Ranks
from harken.training.run_folder import RunFolder, step_of

DAMAGE = (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError)
"""What reading a torn or foreign file of the trainer's state raises."""


def save_checkpoint(
    run: RunFolder,
    step: int,
    model: AudioLM,
    optimizer: torch.optim.Optimizer,
    *,
    keep: int,
    ranks: Ranks = SINGLE_PROCESS,
) -> Path:
    """Write the checkpoint of `step`, then remove all but the newest `keep` and the best on the development part. All
    ranks give what they hold, rank 0 writes.

    Raises CheckpointError where it cannot be written, as on a full disk; earlier checkpoints are untouched.
    """
    weights, state = gather_weights(model, keep=ranks.is_main), _whole_state(optimizer, ranks)
    ranks.run_on_main(lambda: _write(run, step, model, weights, state, keep))
    return run.checkpoint(step)


def _write(run: RunFolder, step: int, model: AudioLM, weights: dict | None, state: dict, keep: int) -> None:
    folder = run.checkpoint(step)
    try:
        with replacing(folder) as temporary:
            model.save(temporary, weights)
            trainer = temporary / "trainer"
            trainer.mkdir()
            torch.save(state, trainer / "optimizer.pt")
            torch.save(_random_states(), trainer / "random.pt")
            write_json(trainer / "state.json", {"step": step})
        remove_old(run, keep)
    except (OSError, SafetensorError, RuntimeError) as error:  # torch and safetensors report a full disk as their own
        whole = run.checkpoints()
        last = f"The last whole checkpoint is {whole[-1]}" if whole else "There is no checkpoint yet"
        raise CheckpointError(
            f"{folder}: cannot be written; is the disk full? ({error}) {last}. Make room, then go on with "
            f"--resume {run.path}"
        ) from error


def _whole_state(optimizer: torch.optim.Optimizer, ranks: Ranks) -> dict:
    state = optimizer.state_dict()
    held = {
        index: {name: gather_tensor(value, keep=ranks.is_main) for name, value in values.items()}
        for index, values in state["state"].items()
    }
    return {**state, "state": held}


def restore(folder: Path, model: AudioLM, optimizer: torch.optim.Optimizer) -> int:
    """Put a checkpoint's weights, optimizer state and random states in place; returns its step.

    Raises CheckpointError where the folder holds no trainer state, a damaged one, or does not fit the model.
    """
    trainer = folder / "trainer"
    if not (trainer / "state.json").is_file():
        raise CheckpointError(f"{folder}: no trainer state here; only checkpoints of a run can be resumed")
    with _reading(folder):
        step = int(json.loads((trainer / "state.json").read_text(encoding="utf-8"))["step"])
        state = torch.load(trainer / "optimizer.pt", map_location="cpu", weights_only=True, mmap=is_sharded(model))
        random = torch.load(trainer / "random.pt", map_location="cpu", weights_only=True)
    if step != step_of(folder):
        raise CheckpointError(f"{folder}: holds the state of step {step}; was it renamed?")
    saved = _saved_weights(model, folder) if model.adapters is None else saved_adapter(model, folder)
    with torch.no_grad():
        for own, tensor in saved:
            own.copy_(distribute_like(tensor, own))
    try:
        _restore_optimizer(optimizer, state)
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{trainer}: the optimizer's state is of other parameters ({error})") from error
    with _reading(folder):  # last: loading a model draws random numbers
        torch.set_rng_state(random["cpu"])
        if random["cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(random["cuda"])
    return step


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise CheckpointError(
            f"{folder / 'trainer'}: damaged ({' '.join(str(error).split())}); remove {folder} to go on from the "
            "checkpoint before it"
        ) from error


def _restore_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Raises ValueError, KeyError or TypeError where the state is of other parameters; torch looks at their number
    alone."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, values in state["state"].items():
        shapes = {tuple(value.shape) for name, value in values.items() if value.ndim > 0 and "scale" not in name}
        if index >= len(parameters) or shapes - {tuple(parameters[index].shape)}:
            raise ValueError(f"parameter {index} has other shapes: {sorted(shapes)}")
        for name, value in values.items():
            if value.ndim > 0:
                values[name] = distribute_like(value, parameters[index])
    optimizer.load_state_dict(state)


def _saved_weights(model: AudioLM, folder: Path) -> list[tuple[Tensor, Tensor]]:
    """The model's trained weights, each with the checkpoint's."""
    saved = dict(load_model(str(folder), dtype=torch.float32, device="cpu").module.named_parameters())
    trained = [(name, parameter) for name, parameter in model.module.named_parameters() if parameter.requires_grad]
    for name, parameter in trained:
        if name not in saved or saved[name].shape != parameter.shape:
            raise CheckpointError(f"{folder}: has no {name} of the model's shape; is it of another run?")
    return [(parameter, saved[name]) for name, parameter in trained]


def remove_old(run: RunFolder, keep: int) -> None:
    """Keep the newest `keep` checkpoints and the best on the development part, of equals the earliest; name the best
    in best.json."""
    accuracy = {row["step"]: row["dev/accuracy"] for row in run.metric_rows() if "dev/accuracy" in row}
    steps = [step_of(folder) for folder in run.checkpoints()]
    scored = [step for step in steps if step in accuracy]
    best = max(scored, key=lambda step: (accuracy[step], -step), default=None)
    if best is not None:
        write_json(run.path / "checkpoints" / "best.json", {"step": best, "dev/accuracy": accuracy[best]})
    for step in steps[:-keep]:
        if step != best:
            remove_folder(run.checkpoint(step))


def _random_states() -> dict[str, object]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}
