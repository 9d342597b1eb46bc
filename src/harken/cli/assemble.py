"""`harken assemble`: puts a Whisper encoder and a language model together as an audio language model."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.system.console import print_line


def assemble(
    encoder: Annotated[
        str, typer.Option("--encoder", help="A Whisper model: a folder in Hugging Face layout or a Hub id.")
    ],
    language_model: Annotated[
        str,
        typer.Option(
            "--language-model",
            help="An instruction-tuned Qwen2, Qwen2.5, Qwen3 or Llama model: a folder in Hugging Face layout or a Hub "
            "id.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    window_s: Annotated[
        int,
        typer.Option(
            "--window-s",
            min=1,
            help="Seconds that the audio tower hears, the longest clip. vLLM serves 30 alone; transformers computes "
            "the whole window for every clip, harken only as much as the clips of a batch need.",
        ),
    ] = 30,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the projector, which alone is random.")] = 0,
) -> None:
    """Assemble an audio language model of the Qwen2-Audio architecture from a Whisper encoder and a language model.

    The weights of both stay as they are. The projector between them is random and has to be trained: harken sft.
    """
    from harken.assembly.assemble import assemble as write

    assembled = write(encoder, language_model, out, window_s=window_s, seed=seed)
    for part, parameters in assembled.parameters.items():
        print_line(console, f"{part}: {parameters / 1e6:.1f} M parameters")
    print_line(console, f"checkpoint: {out}")
    if assembled.family != "qwen2":
        print_line(console, f"vLLM does not load it: it knows no {assembled.family} inside Qwen2-Audio")
