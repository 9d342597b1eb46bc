"""`harken prepare jsonl`: questions in another training program's JSON lines become a manifest."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.cli.prepare import options
from harken.system.progress import StepProgress


def jsonl(
    format: options.SourceFormat,
    out: options.PreparedFolder,
    audio_root: Annotated[
        Path | None,
        typer.Option(
            "--audio-root",
            help="Folder to which the clips' names are relative. Leave it out where the records hold their sound.",
            rich_help_panel=options.SOURCE_PANEL,
        ),
    ] = None,
    text_only: Annotated[
        bool, typer.Option("--text-only", help="Leave the clips out: the questions are meant without sound.")
    ] = False,
    data: options.DataFile = None,
    hub: options.HubName = None,
    config: options.HubConfig = None,
    split: options.HubSplit = "train",
    reword: Annotated[
        bool, typer.Option("--reword", help="Write audio instead of video in the questions, as for AVQA.")
    ] = False,
    workers: options.Workers = 2,
    by_ear: options.ByEar = False,
    against: options.AgainstFiles = None,
) -> None:
    """Turn questions in another training program's JSON lines, or open questions, into a manifest."""
    from harken.prepare.trainer_jsonl import prepare_jsonl

    source, benchmarks = options.parse_source(data, hub, config, split), options.parse_against(against)
    name = options.check_format(format, written=False)
    with StepProgress(console, "clips", 0, 1000) as progress:
        card = prepare_jsonl(
            source,
            name,
            audio_root,
            out,
            reword=reword,
            text_only=text_only,
            by_ear=by_ear,
            workers=workers,
            against=benchmarks,
            on_progress=progress.update,
        )
    options.print_card(card, out)
