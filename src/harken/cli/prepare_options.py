"""What the commands of `harken prepare` share: the console, their options and what those stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from harken.prepare.data_card import Card
    from harken.prepare.leaks import Against
    from harken.prepare.source_records import Hub

console = Console()

Out = Annotated[Path, typer.Option("--out", help="Folder for manifest.jsonl, rejected.jsonl, card.md [and audio/].")]
Media = Annotated[Path, typer.Option("--media", help="Folder of videos or audio files, in any layout.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes that decode clips.")]
MinDuration = Annotated[
    float | None, typer.Option("--min-duration", min=0, help="Shorter clips are left out, seconds.")
]
MinSnr = Annotated[float | None, typer.Option("--min-snr", help="Clips at or below this SNR are left out, dB.")]
IndexOnly = Annotated[
    bool, typer.Option("--index-only", help="Only count clips: needed, present, missing. Media are not read.")
]
AgainstFiles = Annotated[
    list[str] | None,
    typer.Option("--against", help="Benchmark whose clips are left out; FILE or FILE:AUDIO_ROOT.", metavar="FILE"),
]
Data = Annotated[Path | None, typer.Option("--data", help="JSON, JSON lines or parquet file.")]
HubName = Annotated[str | None, typer.Option("--hub", help="Data set on the Hub, instead of --data.", metavar="NAME")]
HubConfig = Annotated[str | None, typer.Option("--config", help="With --hub: its configuration.")]
HubSplit = Annotated[str, typer.Option("--split", help="With --hub: its split.")]
AudioRoot = Annotated[Path, typer.Option("--audio-root", help="Folder that clip names are relative to.")]


def against_of(files: list[str] | None) -> "tuple[Against, ...]":
    """What --against names: FILE or FILE:AUDIO_ROOT each."""
    from harken.prepare.leaks import Against

    pairs = [(one, "") if Path(one).exists() else one.partition(":")[::2] for one in files or []]
    return tuple(Against(Path(file), Path(root) if root else None) for file, root in pairs)


def source_of(data: Path | None, hub: str | None, config: str | None, split: str) -> "Path | Hub":
    """A file of --data or a data set of --hub; a usage error where it is neither or both."""
    from harken.prepare.source_records import Hub

    if (data is None) == (hub is None):
        raise typer.BadParameter("give a file or a data set on the Hub", param_hint="--data, --hub")
    return data if data is not None else Hub(str(hub), config, split)


def format_of(name: str) -> str:
    """A format of other programs that harken knows; a usage error for another."""
    from harken.prepare.trainer_formats import FORMATS

    if name not in FORMATS:
        raise typer.BadParameter(f"{name!r}: one of {', '.join(FORMATS)}", param_hint="--format")
    return name


def show(card: "Card", out: Path) -> None:
    """The card of a finished command, and where its manifest is."""
    card.show(console)
    console.print(f"manifest: {out / 'manifest.jsonl'}", markup=False, highlight=False, soft_wrap=True)
