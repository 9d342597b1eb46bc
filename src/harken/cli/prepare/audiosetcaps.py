"""`harken prepare audiosetcaps`: AudioSetCaps' captions and answers become facts to generate questions from."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.cli.prepare import options


def audiosetcaps(
    captions: Annotated[
        list[Path],
        typer.Option(
            "--captions", help="A CSV file of captions. May be repeated.", rich_help_panel=options.SOURCE_PANEL
        ),
    ],
    out: options.PreparedFolder,
    answers: Annotated[
        list[Path] | None,
        typer.Option(
            "--answers",
            help="A CSV file of questions and answers. May be repeated.",
            rich_help_panel=options.SOURCE_PANEL,
        ),
    ] = None,
    audio_root: Annotated[
        Path | None,
        typer.Option(
            "--audio-root",
            help="Folder of the clips, as `harken prepare vggsound` writes it: keep only the captions of its clips.",
            rich_help_panel=options.SOURCE_PANEL,
        ),
    ] = None,
    against: options.AgainstFiles = None,
) -> None:
    """Join AudioSetCaps' captions and answers into facts about clips, from which questions are generated."""
    from harken.prepare.audiosetcaps import prepare_audiosetcaps

    with console.status("rows: 0") as status:
        card = prepare_audiosetcaps(
            captions,
            answers or [],
            out,
            audio_root=audio_root,
            against=options.parse_against(against),
            on_rows=lambda rows: status.update(f"rows: {rows:,}"),
        )
    options.print_card(card, out)
