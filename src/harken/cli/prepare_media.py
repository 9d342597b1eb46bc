"""`harken prepare avqa` and `vggsound`: annotations or a list, and a folder of videos -> a manifest."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harken.cli.prepare_options import (
    AgainstFiles,
    IndexOnly,
    Media,
    MinDuration,
    MinSnr,
    Out,
    Workers,
    against_of,
    console,
    show,
)
from harken.system.progress import StepProgress

if TYPE_CHECKING:
    from harken.prepare.clip_names import ClipName


def avqa(
    annotations: Annotated[Path, typer.Option("--annotations", help="train_qa.json.")],
    media: Media,
    out: Out,
    workers: Workers = 2,
    relation: Annotated[list[str] | None, typer.Option(help="Keep this question_relation; may be repeated.")] = None,
    question_type: Annotated[list[str] | None, typer.Option(help="Keep this question_type; may be repeated.")] = None,
    min_duration: MinDuration = None,
    min_snr: MinSnr = None,
    max_prompt_tokens: Annotated[int | None, typer.Option(min=1, help="Question and choices; --tokenizer too.")] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="Folder of a tokenizer.")] = None,
    against: AgainstFiles = None,
    index_only: IndexOnly = False,
) -> None:
    """AVQA's annotations and videos -> questions about their sound."""
    from harken.prepare.avqa import needed_clips, prepare_avqa
    from harken.prepare.filters import Filters

    filters = Filters(
        relations=tuple(relation) if relation else None,
        question_types=tuple(question_type) if question_type else None,
        min_duration_s=min_duration,
        min_snr_db=min_snr,
        max_prompt_tokens=max_prompt_tokens,
        tokenizer=tokenizer,
    )
    if index_only:
        _index(needed_clips(annotations, filters), media, out)
        return
    with StepProgress(console, "clips", 0, 1000) as progress:
        card = prepare_avqa(
            annotations,
            media,
            out,
            filters=filters,
            workers=workers,
            against=against_of(against),
            on_progress=progress.update,
        )
    show(card, out)


def vggsound(
    clip_list: Annotated[Path, typer.Option("--list", help="<id>_<start>.mp4,label or id,start,label,split.")],
    media: Media,
    out: Out,
    workers: Workers = 2,
    split: Annotated[str | None, typer.Option("--split", help="Keep this split of a list that names them.")] = None,
    min_duration: MinDuration = None,
    min_snr: MinSnr = None,
    against: AgainstFiles = None,
    index_only: IndexOnly = False,
) -> None:
    """VGGSound's list and videos -> clips that questions can be generated about."""
    from harken.prepare.filters import Filters
    from harken.prepare.vggsound import prepare_vggsound
    from harken.prepare.vggsound_list import read_clip_list

    filters = Filters(min_duration_s=min_duration, min_snr_db=min_snr)
    if index_only:
        _index({row.clip for row in read_clip_list(clip_list)[0] if split in (None, row.split)}, media, out)
        return
    with StepProgress(console, "clips", 0, 1000) as progress:
        card = prepare_vggsound(
            clip_list,
            media,
            out,
            filters=filters,
            workers=workers,
            split=split,
            against=against_of(against),
            on_progress=progress.update,
        )
    show(card, out)


def _index(wanted: "set[ClipName]", media: Path, out: Path) -> None:
    """Count, and list the missing clips in OUT/missing.txt, for whoever fetches them."""
    from harken.prepare.avqa import media_section
    from harken.prepare.clip_names import index_media
    from harken.prepare.data_card import Card
    from harken.prepare.licences import OWN
    from harken.system.files import write_text

    index = index_media(media, wanted)
    write_text(out / "missing.txt", "".join(f"{clip}\n" for clip in sorted(wanted - index.file_of.keys())))
    Card(OWN, [f"missing clips: {out / 'missing.txt'}"], [media_section(wanted, index)]).show(console)
