"""`harken prepare check`: finds clips and questions that a training set shares with benchmarks."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.cli.prepare import options
from harken.errors import DataError


def check(
    training: Annotated[str, typer.Argument(help="The training manifest: FILE or FILE:AUDIO_ROOT.", metavar="A")],
    benchmarks: Annotated[
        list[str], typer.Argument(help="The benchmarks, each as FILE or FILE:AUDIO_ROOT.", metavar="B...")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Write every shared clip or question here, as JSON lines.")
    ] = None,
    workers: options.Workers = 2,
) -> None:
    """List the clips and questions that a training set shares with benchmarks.

    Exit code 1 when they share a clip, 2 when no clip of the set could be compared with a benchmark, or when a set
    names clips and none of them could be decoded.
    """
    from harken.prepare.data_card import Card
    from harken.prepare.leak_check import check_leaks, has_leak, leak_table
    from harken.prepare.licences import OWN

    [own], others = options.parse_against([training]), options.parse_against(benchmarks)
    results = check_leaks(own, others, workers, out)
    Card(OWN, [f"leak check of {training}"], [leak_table(result) for result in results]).show(console)
    if any(has_leak(result) for result in results):
        raise typer.Exit(1)
    for result in results:
        if (undecoded := result.coverage.undecoded) is not None:
            raise DataError(
                f"{result.name}: samples and sound were not checked, because no clip of {undecoded} was found and "
                "decoded; give the folder of its clips as FILE:AUDIO_ROOT"
            )
