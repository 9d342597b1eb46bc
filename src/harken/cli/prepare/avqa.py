"""`harken prepare avqa`: AVQA's annotations and videos become questions about the videos' sound."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import console
from harken.cli.prepare.options import (
    FILTERS,
    SOURCE,
    AgainstFiles,
    IndexOnly,
    Media,
    MinDuration,
    MinSnr,
    OutFolder,
    Workers,
    parse_against,
    print_card,
)
from harken.system.progress import StepProgress


def avqa(
    annotations: Annotated[
        Path, typer.Option("--annotations", help="AVQA's file train_qa.json.", rich_help_panel=SOURCE)
    ],
    media: Media,
    out: OutFolder,
    relation: Annotated[
        list[str] | None,
        typer.Option(help="Keep only questions with this question_relation. May be repeated.", rich_help_panel=FILTERS),
    ] = None,
    question_type: Annotated[
        list[str] | None,
        typer.Option(help="Keep only questions with this question_type. May be repeated.", rich_help_panel=FILTERS),
    ] = None,
    min_duration: MinDuration = None,
    min_snr: MinSnr = None,
    max_prompt_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Leave out questions that are longer with their choices, in tokens. Needs --tokenizer.",
            rich_help_panel=FILTERS,
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Folder of the tokenizer that counts tokens.", rich_help_panel=FILTERS)
    ] = None,
    against: AgainstFiles = None,
    index_only: IndexOnly = False,
    workers: Workers = 2,
) -> None:
    """Turn AVQA's annotations and videos into questions about the videos' sound."""
    from harken.prepare.avqa import needed_clips, prepare_avqa
    from harken.prepare.filters import Filters
    from harken.prepare.missing_clips import list_missing_clips

    filters = Filters(
        relations=tuple(relation) if relation else None,
        question_types=tuple(question_type) if question_type else None,
        min_duration_s=min_duration,
        min_snr_db=min_snr,
        max_prompt_tokens=max_prompt_tokens,
        tokenizer=tokenizer,
    )
    if index_only:
        list_missing_clips(needed_clips(annotations, filters), media, out).show(console)
        return
    benchmarks = parse_against(against)
    with StepProgress(console, "clips", 0, 1000) as progress:
        card = prepare_avqa(
            annotations, media, out, filters=filters, workers=workers, against=benchmarks, on_progress=progress.update
        )
    print_card(card, out)
