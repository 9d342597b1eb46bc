"""`harken doctor`: says whether this machine and a checkpoint are fit for training."""

import os
import shutil
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from harken.cli.options import Device, WeightsType, check_dtype, console


def doctor(
    model: Annotated[
        str | None, typer.Option("--model", help="A checkpoint folder or Hub id that is loaded and tried.")
    ] = None,
    device: Device = "auto",
    dtype: WeightsType = "auto",
) -> None:
    """Print versions, memory and GPUs, and check that a checkpoint loads and that its answers depend on the clip.

    Exit code 1 when the checkpoint does not load or does not hear.
    """
    check_dtype(dtype)
    table = Table(title="harken doctor", title_justify="left", show_header=False)
    _add_machine(table)
    healthy = model is None or _add_model(table, model, device, dtype)
    console.print(table)
    if not healthy:
        raise typer.Exit(1)


def _add_machine(table: Table) -> None:
    import torch

    from harken.system.environment import describe_environment

    environment = describe_environment()
    for name, version in environment["packages"].items():
        table.add_row(name, version or "not installed")
    table.add_row("python", environment["python"])
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = f"{os.cpu_count()} cores, {environment['threads']} threads, {memory_gib:.1f} GiB memory"
    table.add_row("CPU", f"{environment['processor']}, {cores}")
    table.add_row("disk", f"{shutil.disk_usage('.').free / 2**30:.1f} GiB free here")
    for i, name in enumerate(environment["devices"]):
        free, total = torch.cuda.mem_get_info(i)
        table.add_row(f"cuda:{i}", f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")
    if not environment["devices"]:
        table.add_row("GPU", "none: tiny checkpoints only; docs/hardware.md says what a 7B model needs")


def _add_model(table: Table, path: str, device: str, dtype: str) -> bool:
    """Add the checkpoint's rows. False when it does not load, or when the clip does not change the logits."""
    from harken.errors import HarkenError
    from harken.inference.clip_sensitivity import logit_change_between_clips
    from harken.models.loading import DTYPES, load_model, pick_dtype

    try:
        model = load_model(path, dtype=DTYPES[pick_dtype(dtype, path, device)], device=device)
    except HarkenError as error:
        table.add_row("checkpoint", Text(str(error), style="bold red"))
        return False
    n_parameters = sum(parameter.numel() for parameter in model.module.parameters())
    window = f"hears {model.max_samples / 16_000:.0f} s"
    table.add_row("checkpoint", Text(f"{path}: {model.arch}, {n_parameters / 1e9:.3f} B parameters, {window}"))
    change = logit_change_between_clips(model)
    text = f"largest change of a logit when the clip changes: {change:.3g}"
    table.add_row("hears", Text(text, style="" if change > 0 else "bold red"))
    return change > 0
