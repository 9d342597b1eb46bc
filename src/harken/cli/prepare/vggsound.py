"""`harken prepare vggsound`: VGGSound's list and videos become clips to generate questions about."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.cli.prepare import options
from harken.system.progress import StepProgress


def vggsound(
    clip_list: Annotated[
        Path,
        typer.Option(
            "--list",
            help="The list of clips, one a line: ID_START.mp4,LABEL or ID,START,LABEL,SPLIT.",
            rich_help_panel=options.SOURCE_PANEL,
        ),
    ],
    media: options.Media,
    out: options.PreparedFolder,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", help="Keep only this split, when the list names splits.", rich_help_panel=options.FILTERS_PANEL
        ),
    ] = None,
    min_duration: options.MinDuration = None,
    min_snr: options.MinSnr = None,
    against: options.AgainstFiles = None,
    index_only: options.IndexOnly = False,
    workers: options.Workers = 2,
) -> None:
    """Turn VGGSound's list and videos into clips that questions can be generated about."""
    from harken.prepare.filters import Filters
    from harken.prepare.vggsound import missing_vggsound_clips, prepare_vggsound

    if index_only:
        missing_vggsound_clips(clip_list, media, out, split=split).show(console)
        return
    filters = Filters(min_duration_s=min_duration, min_snr_db=min_snr)
    benchmarks = options.parse_against(against)
    with StepProgress(console, "clips", 0, 1000) as progress:
        card = prepare_vggsound(
            clip_list,
            media,
            out,
            filters=filters,
            workers=workers,
            split=split,
            against=benchmarks,
            on_progress=progress.update,
        )
    options.print_card(card, out)
