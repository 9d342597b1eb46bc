"""`harken prepare arc`: ARC becomes questions without audio."""

from harken.cli.prepare import options


def arc(
    out: options.PreparedFolder,
    data: options.DataFile = None,
    hub: options.HubName = None,
    config: options.HubConfig = None,
    split: options.HubSplit = "train",
    against: options.AgainstFiles = None,
) -> None:
    """Turn ARC into questions without audio.

    harken prepare arc --hub allenai/ai2_arc --config ARC-Easy --out data/arc
    """
    from harken.prepare.arc import prepare_arc

    card = prepare_arc(options.parse_source(data, hub, config, split), out, against=options.parse_against(against))
    options.print_card(card, out)
