"""`harken prepare review`: a person checks a sample of a manifest."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.cli.prepare import options


def review(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl.", metavar="MANIFEST")],
    audio_root: options.ManifestAudioRoot = None,
    size: Annotated[int, typer.Option("--sample", min=1, help="How many questions to look at.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed that selects the sample.")] = 0,
) -> None:
    """Check a sample of questions by hand, with one key press each, and write the accepted share into card.md.

    A review that was stopped continues with the same command.
    """
    from harken.prepare.review import review as review_manifest
    from harken.prepare.review_terminal import Player, StreamKeys
    from harken.system.writer_lock import WriterLock

    with WriterLock.of_folder(manifest.parent):
        review_manifest(manifest, audio_root, size, seed, StreamKeys(sys.stdin), Player(), console)
