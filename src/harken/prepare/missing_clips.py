"""`--index-only`: count the clips that a set needs and a folder has, and list the missing ones.

The list is for whoever downloads the missing clips. `prepare avqa` and `prepare vggsound` use it; no clip is read.
"""

from pathlib import Path

from harken.prepare.clip_names import ClipName
from harken.prepare.data_card import Card
from harken.prepare.licences import OWN
from harken.prepare.media_index import index_media, media_table
from harken.system.files import write_text
from harken.system.writer_lock import one_writer


@one_writer
def list_missing_clips(needed: set[ClipName], media: Path, out: Path) -> Card:
    """Write `<out>/missing.txt`, one clip a line, and return the counts."""
    index = index_media(media, needed)
    file = out / "missing.txt"
    write_text(file, "".join(f"{clip}\n" for clip in sorted(needed - index.file_of.keys())))
    return Card(OWN, [f"The missing clips are listed in {file}"], [media_table(needed, index)])
