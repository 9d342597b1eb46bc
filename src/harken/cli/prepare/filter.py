"""`harken prepare filter`: keeps the questions of a manifest that need their clip."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.prepare import options


def filter(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl.", metavar="MANIFEST")],
    out: options.PreparedFolder,
    without: Annotated[
        list[Path],
        typer.Option(
            "--without",
            help="An evaluation of the manifest without the whole clip (--audio none, silence, fragment:0.25 ...), or "
            "of --listening. May be repeated, also for several models.",
            metavar="FOLDER",
        ),
    ],
    drop_right: Annotated[
        int,
        typer.Option(
            "--drop-right",
            min=0,
            help="Leave out a question that so many of these evaluations answer right; 0 leaves none out for that.",
            rich_help_panel=options.FILTERS_PANEL,
        ),
    ] = 1,
    max_likelihood: Annotated[
        float | None,
        typer.Option(
            "--max-likelihood",
            min=0,
            max=1,
            help="Leave out a question whose right choice has a larger share of the probability of all choices there. "
            "The evaluations need --likelihoods.",
            rich_help_panel=options.FILTERS_PANEL,
        ),
    ] = None,
    answerable: Annotated[
        list[Path] | None,
        typer.Option(
            "--answerable",
            help="An evaluation with the clip: leave out what it answers wrong. May be repeated.",
            metavar="FOLDER",
            rich_help_panel=options.FILTERS_PANEL,
        ),
    ] = None,
    audio_root: options.ManifestAudioRoot = None,
) -> None:
    """Keep the questions of a manifest that need their clip, by evaluations of a model that did not hear it whole.

    harken prepare filter data/avqa/manifest.jsonl --without runs/avqa-none --without runs/avqa-quarter --out data/need
    """
    from harken.prepare.need_of_clip import NeedRules, filter_manifest

    rules = NeedRules(drop_right or None, max_likelihood)
    card = filter_manifest(manifest, out, without, rules, answerable=answerable or (), audio_root=audio_root)
    options.print_card(card, out)
