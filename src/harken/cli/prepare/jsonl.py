"""`harken prepare jsonl`: questions in another training program's JSON lines become a manifest."""

from typing import Annotated

import typer

from harken.cli.options import console
from harken.cli.prepare.options import (
    AgainstFiles,
    AudioRoot,
    DataFile,
    HubConfig,
    HubName,
    HubSplit,
    OutFolder,
    TrainerFormat,
    Workers,
    check_format,
    parse_against,
    parse_source,
    print_card,
)
from harken.system.progress import StepProgress


def jsonl(
    format: TrainerFormat,
    audio_root: AudioRoot,
    out: OutFolder,
    data: DataFile = None,
    hub: HubName = None,
    config: HubConfig = None,
    split: HubSplit = "train",
    reword: Annotated[
        bool, typer.Option("--reword", help="Write audio instead of video in the questions, as for AVQA.")
    ] = False,
    workers: Workers = 2,
    against: AgainstFiles = None,
) -> None:
    """Turn questions in another training program's JSON lines into a manifest."""
    from harken.prepare.trainer_jsonl import prepare_jsonl

    source, benchmarks = parse_source(data, hub, config, split), parse_against(against)
    name = check_format(format)
    with StepProgress(console, "clips", 0, 1000) as progress:
        card = prepare_jsonl(
            source,
            name,
            audio_root,
            out,
            reword=reword,
            workers=workers,
            against=benchmarks,
            on_progress=progress.update,
        )
    print_card(card, out)
