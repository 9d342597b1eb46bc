"""`harken prepare avqa`: AVQA's annotations and videos become questions about the videos' sound."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.cli.prepare import options
from harken.system.progress import StepProgress


def avqa(
    annotations: Annotated[
        Path, typer.Option("--annotations", help="AVQA's file train_qa.json.", rich_help_panel=options.SOURCE_PANEL)
    ],
    media: options.Media,
    out: options.PreparedFolder,
    relation: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep only questions with this question_relation. May be repeated.",
            rich_help_panel=options.FILTERS_PANEL,
        ),
    ] = None,
    question_type: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep only questions with this question_type. May be repeated.", rich_help_panel=options.FILTERS_PANEL
        ),
    ] = None,
    min_duration: options.MinDuration = None,
    min_snr: options.MinSnr = None,
    max_prompt_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Leave out questions that are longer with their choices, in tokens. Needs --tokenizer.",
            rich_help_panel=options.FILTERS_PANEL,
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="Folder of the tokenizer that counts tokens.", rich_help_panel=options.FILTERS_PANEL),
    ] = None,
    by_ear: options.ByEar = False,
    against: options.AgainstFiles = None,
    index_only: options.IndexOnly = False,
    workers: options.Workers = 2,
) -> None:
    """Turn AVQA's annotations and videos into questions about the videos' sound."""
    from harken.prepare.avqa import missing_avqa_clips, prepare_avqa
    from harken.prepare.filters import Filters

    filters = Filters(
        relations=tuple(relation) if relation else None,
        question_types=tuple(question_type) if question_type else None,
        by_ear=by_ear,
        min_duration_s=min_duration,
        min_snr_db=min_snr,
        max_prompt_tokens=max_prompt_tokens,
        tokenizer=tokenizer,
    )
    if index_only:
        missing_avqa_clips(annotations, media, out, filters).show(console)
        return
    benchmarks = options.parse_against(against)
    with StepProgress(console, "clips", 0, 1000) as progress:
        card = prepare_avqa(
            annotations, media, out, filters=filters, workers=workers, against=benchmarks, on_progress=progress.update
        )
    options.print_card(card, out)
