"""`harken prepare audiomcq`: AudioMCQ's records and clips become a manifest."""

from harken.cli.options import console
from harken.cli.prepare.options import (
    AgainstFiles,
    AudioRoot,
    DataFile,
    HubConfig,
    HubName,
    HubSplit,
    OutFolder,
    Workers,
    parse_against,
    parse_source,
    print_card,
)
from harken.system.progress import StepProgress


def audiomcq(
    audio_root: AudioRoot,
    out: OutFolder,
    data: DataFile = None,
    hub: HubName = None,
    config: HubConfig = None,
    split: HubSplit = "train",
    workers: Workers = 2,
    against: AgainstFiles = None,
) -> None:
    """Turn AudioMCQ's JSON lines and clips into a manifest."""
    from harken.prepare.audiomcq import prepare_audiomcq

    source, benchmarks = parse_source(data, hub, config, split), parse_against(against)
    with StepProgress(console, "clips", 0, 1000) as progress:
        card = prepare_audiomcq(
            source, audio_root, out, workers=workers, against=benchmarks, on_progress=progress.update
        )
    print_card(card, out)
