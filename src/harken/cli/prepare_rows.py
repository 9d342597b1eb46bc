"""`harken prepare` of files of rows, questions or captions, whose clips have names already -> a manifest."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from harken.cli.prepare_options import (
    AgainstFiles,
    AudioRoot,
    Data,
    HubConfig,
    HubName,
    HubSplit,
    Out,
    Workers,
    against_of,
    console,
    format_of,
    show,
    source_of,
)
from harken.system.progress import StepProgress


def audiosetcaps(
    captions: Annotated[list[Path], typer.Option("--captions", help="Caption CSV; may be repeated.")],
    out: Out,
    answers: Annotated[list[Path] | None, typer.Option("--answers", help="Q&A CSV; may be repeated.")] = None,
    audio_root: Annotated[
        Path | None, typer.Option("--audio-root", help="Folder that `vggsound` wrote: only captions of its clips.")
    ] = None,
    against: AgainstFiles = None,
) -> None:
    """AudioSetCaps' captions and answers, joined -> what questions are generated from."""
    from harken.prepare.audiosetcaps import prepare_audiosetcaps

    with console.status("rows: 0") as status:
        card = prepare_audiosetcaps(
            captions,
            answers or [],
            out,
            audio_root=audio_root,
            against=against_of(against),
            on_rows=lambda rows: status.update(f"rows: {rows:,}"),
        )
    show(card, out)


def arc(
    out: Out,
    data: Data = None,
    hub: HubName = None,
    config: HubConfig = None,
    split: HubSplit = "train",
    against: AgainstFiles = None,
) -> None:
    """ARC -> text-only questions. From the Hub: --hub allenai/ai2_arc --config ARC-Easy."""
    from harken.prepare.arc import prepare_arc

    show(prepare_arc(source_of(data, hub, config, split), out, against=against_of(against)), out)


def audiomcq(
    audio_root: AudioRoot,
    out: Out,
    data: Data = None,
    hub: HubName = None,
    config: HubConfig = None,
    split: HubSplit = "train",
    workers: Workers = 2,
    against: AgainstFiles = None,
) -> None:
    """AudioMCQ's JSON lines and clips -> questions."""
    from harken.prepare.audiomcq import prepare_audiomcq

    source = source_of(data, hub, config, split)
    with StepProgress(console, "clips", 0, 1000) as progress:
        card = prepare_audiomcq(
            source, audio_root, out, workers=workers, against=against_of(against), on_progress=progress.update
        )
    show(card, out)


def benchmark_command(name: str) -> Callable[..., None]:
    """The command that turns the records of this benchmark into a manifest."""

    def command(
        data: Annotated[Path, typer.Option("--data")], audio_root: AudioRoot, out: Out, workers: Workers = 2
    ) -> None:
        from harken.prepare.benchmarks import prepare_benchmark

        with StepProgress(console, "clips", 0, 1000) as progress:
            card = prepare_benchmark(name, data, audio_root, out, workers=workers, on_progress=progress.update)
        show(card, out)

    command.__doc__ = f"Records of the benchmark {name} -> a manifest."
    return command


def jsonl(
    format: Annotated[str, typer.Option("--format", help="r1_aqa, ms_swift or trl.")],
    audio_root: AudioRoot,
    out: Out,
    data: Data = None,
    hub: HubName = None,
    config: HubConfig = None,
    split: HubSplit = "train",
    reword: Annotated[bool, typer.Option("--reword", help="video -> audio in questions, as `avqa` does.")] = False,
    workers: Workers = 2,
    against: AgainstFiles = None,
) -> None:
    """Questions in another program's JSON lines -> a manifest."""
    from harken.prepare.trainer_jsonl import prepare_jsonl

    source = source_of(data, hub, config, split)
    with StepProgress(console, "clips", 0, 1000) as progress:
        card = prepare_jsonl(
            source,
            format_of(format),
            audio_root,
            out,
            reword=reword,
            workers=workers,
            against=against_of(against),
            on_progress=progress.update,
        )
    show(card, out)
