"""`harken prepare audiomcq`: AudioMCQ's records and clips become a manifest."""

from harken.cli.options import console
from harken.cli.prepare import options
from harken.system.progress import StepProgress


def audiomcq(
    audio_root: options.ClipFolder,
    out: options.PreparedFolder,
    data: options.DataFile = None,
    hub: options.HubName = None,
    config: options.HubConfig = None,
    split: options.HubSplit = "train",
    workers: options.Workers = 2,
    by_ear: options.ByEar = False,
    reasoning_key: options.ReasoningKey = "gemini_cot",
    against: options.AgainstFiles = None,
) -> None:
    """Turn AudioMCQ's JSON lines and clips into a manifest."""
    from harken.prepare.audiomcq import prepare_audiomcq

    source, benchmarks = options.parse_source(data, hub, config, split), options.parse_against(against)
    with StepProgress(console, "clips", 0, 1000) as progress:
        card = prepare_audiomcq(
            source,
            audio_root,
            out,
            workers=workers,
            by_ear=by_ear,
            reasoning_key=reasoning_key,
            against=benchmarks,
            on_progress=progress.update,
        )
    options.print_card(card, out)
