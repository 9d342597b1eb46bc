"""`harken view`: serves a run, or a folder of runs, as a page that follows it."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.system.console import print_line


def view(
    run: Annotated[Path, typer.Argument(help="A run folder, or a folder that holds runs.", metavar="RUN")],
    audio_root: Annotated[
        list[Path] | None,
        typer.Option("--audio-root", help="Folder of the clips; the page plays no other file. May be repeated."),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the server on this machine; 0 takes a free one.")
    ] = 0,
) -> None:
    """Serve the report as a page on this machine that follows the run while it trains.

    Of a folder that holds runs the page is a table: the result of each run, the settings that differ, and a choice of
    runs to compare.
    """
    from harken.report.server import serve

    serve(run, audio_root or [], port, lambda line: print_line(console, line))
