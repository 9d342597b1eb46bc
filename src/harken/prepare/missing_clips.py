"""Counts the clips that a data set needs and a folder has, and lists the missing ones for whoever fetches them."""

from pathlib import Path

from harken.prepare.avqa import media_section
from harken.prepare.clip_names import ClipName, index_media
from harken.prepare.data_card import Card
from harken.prepare.licences import OWN
from harken.system.files import write_text


def list_missing_clips(needed: set[ClipName], media: Path, out: Path) -> Card:
    """Write `<out>/missing.txt`, one clip a line, and return the counts. No clip is read."""
    index = index_media(media, needed)
    file = out / "missing.txt"
    write_text(file, "".join(f"{clip}\n" for clip in sorted(needed - index.file_of.keys())))
    return Card(OWN, [f"missing clips: {file}"], [media_section(needed, index)])
