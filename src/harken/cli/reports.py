"""`harken report` and `view`: a run folder as a page."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.system.console import print_line


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the curves of several lie over each other.")],
    out: Annotated[Path | None, typer.Option("--out", help="HTML file [report.html in the first run].")] = None,
    audio_root: Annotated[
        list[Path] | None, typer.Option("--audio-root", help="Folder of the clips, where they have moved.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """One HTML file: what was run, accuracy, curves, and every kept completion beside its clip."""
    from harken.report.build import write_report

    file = out or runs[0] / "report.html"
    write_report(runs, file, audio_root or [])
    print_line(console, f"report: {file}")
    if open_:
        typer.launch(file.resolve().as_uri())


def view(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN")],
    audio_root: Annotated[
        list[Path] | None, typer.Option("--audio-root", help="Folder of the clips; no other folder is read.")
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 0,
) -> None:
    """The same as a page on this machine that follows the run as it goes on."""
    from harken.report.server import serve

    serve(run, audio_root or [], port, lambda line: print_line(console, line))
