"""`harken prepare export`, `check` and `review`: a manifest written elsewhere, compared, looked at."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from harken.cli.prepare_options import Workers, against_of, console, format_of


def export(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl.")],
    format: Annotated[str, typer.Option("--format", help="r1_aqa, ms_swift or trl.")],
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    audio_root: Annotated[Path | None, typer.Option("--audio-root", help="[the manifest's own folder]")] = None,
) -> None:
    """A manifest -> another program's JSON lines."""
    from harken.prepare.trainer_jsonl import export_jsonl

    export_jsonl(manifest, audio_root, format_of(format), out).show(console)


def check(
    training: Annotated[str, typer.Argument(help="Training manifest; FILE or FILE:AUDIO_ROOT.", metavar="A")],
    benchmarks: Annotated[list[str], typer.Argument(help="Benchmarks; the same.", metavar="B...")],
    out: Annotated[Path | None, typer.Option("--out", help="Write every pair here, JSON lines.")] = None,
    workers: Workers = 2,
) -> None:
    """Clips and questions that a training set shares with benchmarks. Exit code 1 where a clip is in both."""
    from harken.prepare.data_card import Card
    from harken.prepare.leak_check import check_leaks, section
    from harken.prepare.licences import OWN

    [own], others = against_of([training]), against_of(benchmarks)
    checked = check_leaks(own, others, workers, out)
    Card(OWN, [f"leak check of {training}"], [section(one) for one in checked]).show(console)
    if any(one.leaked for one in checked):
        raise typer.Exit(1)


def review(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl.")],
    audio_root: Annotated[Path | None, typer.Option("--audio-root", help="[the manifest's own folder]")] = None,
    size: Annotated[int, typer.Option("--sample", min=1, help="Questions to look at.")] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the sample.")] = 0,
) -> None:
    """Check a sample by hand, by key press; the share accepted goes into card.md. Goes on where it was stopped."""
    from harken.prepare.review import Player, StreamKeys
    from harken.prepare.review import review as look

    look(manifest, audio_root, size, seed, StreamKeys(sys.stdin), Player(), console)
