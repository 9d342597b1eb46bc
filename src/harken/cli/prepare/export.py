"""`harken prepare export`: a manifest becomes another training program's JSON lines."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console, refuse_empty
from harken.cli.prepare import options


def export(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl.", metavar="MANIFEST")],
    format: options.TrainerFormat,
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    audio_root: options.ManifestAudioRoot = None,
) -> None:
    """Write a manifest as another training program's JSON lines."""
    from harken.prepare.trainer_jsonl import export_jsonl

    export_jsonl(manifest, audio_root, options.check_format(format, written=True), out).show(console)
    refuse_empty(out, out.with_name(f"{out.name}.rejected.jsonl"))
