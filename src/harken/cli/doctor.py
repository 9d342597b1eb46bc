"""Is this machine and this checkpoint fit to train?

Takes an optional checkpoint, prints devices, memory, versions and whether the model really hears: the logits must
change when the clip changes, and the number of audio features must equal the number of audio tokens.
"""

import os
import shutil

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harken.errors import HarkenError
from harken.inference.prefill import next_token_logits
from harken.models.audio_lm import AudioLM
from harken.models.loading import load_model
from harken.system.environment import describe_environment
from harken.types import Waveform

PROBE = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "What is heard in the audio?"}]}]


def examine(path: str | None, device: str, dtype: torch.dtype, console: Console) -> bool:
    """Print the findings; False where something would keep training from working."""
    table = Table(title="harken doctor", title_justify="left", show_header=False)
    here = describe_environment()
    for name, value in here["packages"].items():
        table.add_row(name, value or "not installed")
    table.add_row("python", here["python"])
    cores = f"{os.cpu_count()} cores, {here['threads']} threads, {_memory_gib():.1f} GiB memory"
    table.add_row("CPU", f"{here['processor']}, {cores}")
    table.add_row("disk", f"{shutil.disk_usage('.').free / 2**30:.1f} GiB free here")
    for i in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(i)
        table.add_row(
            f"cuda:{i}", f"{torch.cuda.get_device_name(i)}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        )
    if not torch.cuda.is_available():
        table.add_row("GPU", "none: tiny checkpoints only; see README for what a 7B model takes")
    healthy = True
    if path is not None:
        healthy = _examine_model(path, device, dtype, table)
    console.print(table)
    return healthy


def _examine_model(path: str, device: str, dtype: torch.dtype, table: Table) -> bool:
    try:
        model = load_model(path, dtype=dtype, device=device)
    except HarkenError as error:
        table.add_row("checkpoint", Text(str(error), style="bold red"))
        return False
    parameters = sum(parameter.numel() for parameter in model.module.parameters())
    window_s = model.max_samples / 16_000
    table.add_row(
        "checkpoint", Text(f"{path}: {model.arch}, {parameters / 1e9:.3f} B parameters, hears {window_s:.0f} s")
    )
    change = hearing(model)
    heard = change > 0
    table.add_row(
        "hears",
        Text(f"largest change of a logit when the clip changes: {change:.3g}", style="" if heard else "bold red"),
    )
    return heard


def hearing(model: AudioLM) -> float:
    """Largest absolute change of a next-token logit when one second of noise becomes another sound of equal
    length."""
    generator = np.random.default_rng(0)
    noise = generator.uniform(-0.3, 0.3, 16_000).astype(np.float32)
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)
    first, second = (_next_token_logits(model, clip) for clip in (noise, tone))
    return float((first - second).abs().max())


@torch.no_grad()
def _next_token_logits(model: AudioLM, clip: Waveform) -> torch.Tensor:
    read = [model.render(PROBE, clip)]
    return next_token_logits(model, model.embed(read, model.encode_audio(read)))


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
