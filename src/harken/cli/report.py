"""`harken report`: writes a run as an HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.system.console import print_line


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders; curves of several runs share their axes.", metavar="RUN")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="HTML file to write. Default: report.html in the first run's folder.")
    ] = None,
    audio_root: Annotated[
        list[Path] | None,
        typer.Option(
            "--audio-root",
            help="Folder of the clips, when they are no longer where the run read them. May be repeated.",
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Write one HTML file with the settings, the accuracy, the curves and the stored completions beside their clips."""
    from harken.api.runs import write_report

    file = write_report(runs, out, audio_roots=audio_root or [])
    print_line(console, f"report: {file}")
    if open_:
        typer.launch(file.resolve().as_uri())
