"""`harken tiny`: writes a tiny random checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.system.console import print_line


def tiny(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    arch: Annotated[
        str,
        typer.Option(
            "--arch",
            help="The architecture: qwen2_5_omni, qwen3_omni_moe, qwen2_audio, audioflamingo3, musicflamingo or "
            "voxtral.",
        ),
    ] = "qwen2_5_omni",
    text: Annotated[
        list[Path] | None,
        typer.Option(
            "--text",
            help="A file of questions or a text file (.txt) whose words become tokens of their own. May be repeated.",
        ),
    ] = None,
    window_s: Annotated[
        int,
        typer.Option(
            "--window-s",
            min=1,
            help="Seconds of the fixed window of qwen2_audio, audioflamingo3, musicflamingo and voxtral. Published "
            "models have 30, and vLLM serves no other. Shorter windows train faster.",
        ),
    ] = 6,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random weights.")] = 0,
) -> None:
    """Write a tiny checkpoint of a real architecture with random weights, for tests and trials without a GPU."""
    from harken.models.tiny_checkpoint import question_texts, write_tiny

    write_tiny(arch, out, question_texts(text or []), seed, window_s)
    print_line(console, f"checkpoint: {out}")
