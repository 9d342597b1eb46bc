"""`harken doctor`: says whether this machine and a checkpoint are fit for training."""

import os
import shutil
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from harken.cli.options import ApiKeyVariable, Device, WeightsType, check_dtype, console
from harken.system.fitting_table import FittingTable

if TYPE_CHECKING:
    from harken.models.audio_lm import AudioLM


def doctor(
    model: Annotated[
        str | None, typer.Option("--model", help="A checkpoint folder or Hub id that is loaded and tried.")
    ] = None,
    served: Annotated[
        str | None,
        typer.Option(
            "--served",
            help="Address of an OpenAI-compatible server, up to and including /v1, that should give the answers of "
            "--model. Both are asked the same 20 questions, with clips and without.",
            metavar="URL",
        ),
    ] = None,
    served_model: Annotated[
        str | None,
        typer.Option("--served-model", help="The name by which the server knows it. Default: the only one it has."),
    ] = None,
    api_key_env: ApiKeyVariable = None,
    device: Device = "auto",
    dtype: WeightsType = "auto",
) -> None:
    """Print versions, memory and GPUs, and check that a checkpoint loads and that its answers depend on the clip.

    Exit code 1 when the checkpoint does not load or does not hear, or when a server gives other answers.
    """
    check_dtype(dtype)
    if served is not None and model is None:
        raise typer.BadParameter("give the checkpoint that it should serve with --model", param_hint="--served")
    table = FittingTable(title="harken doctor", title_justify="left", show_header=False)
    if model is not None:
        console.print(f"loading {model}", markup=False, highlight=False, soft_wrap=True)
    _add_machine(table)
    loaded = None if model is None else _add_model(table, model, device, dtype)
    healthy = model is None or loaded is not None
    if loaded is not None and served is not None:
        healthy = _add_agreement(table, loaded, served, served_model, api_key_env)
    console.print(table)
    if not healthy:
        raise typer.Exit(1)


def _add_machine(table: FittingTable) -> None:
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


def _add_model(table: FittingTable, path: str, device: str, dtype: str) -> "AudioLM | None":
    """Add the checkpoint's rows. None when it does not load, or when the clip does not change the logits."""
    from harken.errors import HarkenError
    from harken.inference.clip_sensitivity import logit_change_between_clips
    from harken.inference.trial_pass import refuse_what_cannot_compute
    from harken.models.loading import DTYPES, load_model, pick_dtype

    try:
        model = load_model(path, dtype=DTYPES[pick_dtype(dtype, path, device)], device=device)
    except HarkenError as error:
        table.add_row("checkpoint", Text(str(error), style="bold red"))
        return None
    n_parameters = sum(parameter.numel() for parameter in model.module.parameters())
    window = f"hears {model.max_samples / 16_000:.0f} s"
    table.add_row("checkpoint", Text(f"{path}: {model.arch}, {n_parameters / 1e9:.3f} B parameters, {window}"))
    try:
        refuse_what_cannot_compute(model, path)
    except HarkenError as error:
        table.add_row("hears", Text(str(error), style="bold red"))
        return None
    change = logit_change_between_clips(model)
    text = f"largest change of a logit when the clip changes: {change:.3g}"
    table.add_row("hears", Text(text, style="" if change > 0 else "bold red"))
    return model if change > 0 else None


def _add_agreement(table: FittingTable, model: "AudioLM", url: str, name: str | None, api_key_env: str | None) -> bool:
    """Add the rows that compare a server with the checkpoint. False when they give different answers."""
    from pydantic import ValidationError

    from harken.config import EndpointConfig
    from harken.errors import ConfigError, HarkenError
    from harken.evaluation.served_check import compare_with_server, served_name
    from harken.system.console import escape_unprintable
    from harken.system.model_client import ModelClient

    try:
        endpoint = EndpointConfig.model_validate(
            {"base_url": url, "model": name or "?", "api_key_env": api_key_env, "retries": 1}
        )
    except ValidationError as error:
        raise ConfigError(f"--served {url!r}: {error.errors()[0]['msg']}") from error
    try:
        with ModelClient(endpoint) as client:
            endpoint = endpoint.model_copy(update={"model": served_name(client, name)})
        agreements = compare_with_server(model, endpoint)
    except HarkenError as error:
        table.add_row("served", Text(str(error), style="bold red"))
        return False
    for audio, agreement in agreements.items():
        text = f"{agreement.n_equal} of {len(agreement.pairs)} answers are equal ({agreement.n_distinct} distinct)"
        style = "" if agreement.holds else "bold red"
        table.add_row(f"served, {'with' if audio == 'real' else 'without'} clips", Text(text, style=style))
        if (pair := agreement.first_difference) is not None:
            answer = escape_unprintable(pair.failure) or repr(pair.served)
            table.add_row("", Text(f"{pair.question!r}: the checkpoint says {pair.local!r}, the server {answer}"))
    return all(agreement.holds for agreement in agreements.values())
