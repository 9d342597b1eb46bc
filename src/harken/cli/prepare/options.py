"""Options and output that the commands of `harken prepare` share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harken.cli.options import console, refuse_empty
from harken.errors import did_you_mean

if TYPE_CHECKING:
    from harken.prepare.data_card import Card
    from harken.prepare.leak_check_sets import ComparedSet
    from harken.prepare.source_records import HubDataset

SOURCE_PANEL = "Source"
FILTERS_PANEL = "What is left out"

PreparedFolder = Annotated[
    Path,
    typer.Option("--out", help="Folder to write: manifest.jsonl, rejected.jsonl, card.md and, from videos, audio/."),
]
Media = Annotated[
    Path,
    typer.Option(
        "--media",
        help="Folder with the videos or audio files, in any layout of subfolders.",
        rich_help_panel=SOURCE_PANEL,
    ),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="How many processes decode clips.")]
MinDuration = Annotated[
    float | None,
    typer.Option(
        "--min-duration", min=0, help="Leave out clips that are shorter, in seconds.", rich_help_panel=FILTERS_PANEL
    ),
]
MinSnr = Annotated[
    float | None,
    typer.Option(
        "--min-snr",
        help="Leave out clips whose signal-to-noise ratio is not above this, in dB.",
        rich_help_panel=FILTERS_PANEL,
    ),
]
ReasoningKey = Annotated[
    str,
    typer.Option(
        "--reasoning-key",
        help="The key of the reasoning texts, which SFT trains on where its prompt asks for thinking; '' reads none.",
    ),
]
ByEar = Annotated[
    bool,
    typer.Option(
        "--by-ear",
        help="Leave out questions that cannot be answered by ear: colours, shown text, what is held, looks, places of "
        "things. The card lists the rules.",
        rich_help_panel=FILTERS_PANEL,
    ),
]
AgainstFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--against",
        help="Leave out clips that this benchmark contains: FILE, or FILE:AUDIO_ROOT. May be repeated.",
        metavar="FILE",
        rich_help_panel=FILTERS_PANEL,
    ),
]
IndexOnly = Annotated[
    bool,
    typer.Option(
        "--index-only",
        help="Only count the clips that are needed, present and missing, and list the missing ones. No clip is read.",
    ),
]
DataFile = Annotated[
    Path | None,
    typer.Option("--data", help="A JSON, JSON lines or parquet file.", rich_help_panel=SOURCE_PANEL),
]
HubName = Annotated[
    str | None,
    typer.Option(
        "--hub",
        help="A data set on the Hugging Face Hub, instead of --data.",
        metavar="NAME",
        rich_help_panel=SOURCE_PANEL,
    ),
]
HubConfig = Annotated[
    str | None,
    typer.Option("--config", help="With --hub: the configuration of the data set.", rich_help_panel=SOURCE_PANEL),
]
HubSplit = Annotated[
    str, typer.Option("--split", help="With --hub: the split of the data set.", rich_help_panel=SOURCE_PANEL)
]
ClipFolder = Annotated[
    Path,
    typer.Option("--audio-root", help="Folder to which the clips' names are relative.", rich_help_panel=SOURCE_PANEL),
]
ManifestAudioRoot = Annotated[
    Path | None, typer.Option("--audio-root", help="Folder of the clips. Default: the manifest's own folder.")
]
BenchmarkFile = Annotated[
    Path, typer.Option("--data", help="The benchmark's file of questions, as published.", rich_help_panel=SOURCE_PANEL)
]
TrainerFormat = Annotated[str, typer.Option("--format", help="Whose format it is: r1_aqa, audiomcq, ms_swift or trl.")]
SourceFormat = Annotated[
    str,
    typer.Option(
        "--format",
        help="Whose format it is: r1_aqa, audiomcq, ms_swift or trl; or open, for answers without choices and for "
        "transcripts.",
    ),
]


def parse_against(files: list[str] | None) -> "tuple[ComparedSet, ...]":
    """The benchmarks that --against names, each as FILE or FILE:AUDIO_ROOT."""
    from harken.prepare.leak_check_sets import ComparedSet

    pairs = [(text, "") if Path(text).exists() else text.partition(":")[::2] for text in files or []]
    return tuple(ComparedSet(Path(file), Path(root) if root else None) for file, root in pairs)


def parse_source(data: Path | None, hub: str | None, config: str | None, split: str) -> "Path | HubDataset":
    """The file of --data or the data set of --hub; a usage error when both or neither is given."""
    from harken.prepare.source_records import HubDataset

    if (data is None) == (hub is None):
        raise typer.BadParameter("give a file or a data set on the Hub", param_hint="--data, --hub")
    return data if data is not None else HubDataset(str(hub), config, split)


def check_format(name: str, *, written: bool) -> str:
    """The name of a format that harken reads, or also writes; a usage error for any other."""
    from harken.prepare.trainer_formats import FORMATS, READERS

    known = FORMATS if written else READERS
    if name not in known:
        raise typer.BadParameter(
            f"{name!r}{did_you_mean(name, known)}: one of {', '.join(known)}", param_hint="--format"
        )
    return name


def print_card(card: "Card", out: Path) -> None:
    """Print the data card of a finished command, and where its manifest is. Raises DataError where it is empty."""
    card.show(console)
    refuse_empty(out / "manifest.jsonl", out / "rejected.jsonl")
    console.print(f"manifest: {out / 'manifest.jsonl'}", markup=False, highlight=False, soft_wrap=True)
