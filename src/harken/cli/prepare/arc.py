"""`harken prepare arc`: ARC becomes questions without audio."""

from harken.cli.prepare.options import (
    AgainstFiles,
    DataFile,
    HubConfig,
    HubName,
    HubSplit,
    OutFolder,
    parse_against,
    parse_source,
    print_card,
)


def arc(
    out: OutFolder,
    data: DataFile = None,
    hub: HubName = None,
    config: HubConfig = None,
    split: HubSplit = "train",
    against: AgainstFiles = None,
) -> None:
    """Turn ARC into questions without audio.

    harken prepare arc --hub allenai/ai2_arc --config ARC-Easy --out data/arc
    """
    from harken.prepare.arc import prepare_arc

    card = prepare_arc(parse_source(data, hub, config, split), out, against=parse_against(against))
    print_card(card, out)
