"""`--index-only`: count the clips that a set needs and a folder has, and list the missing ones.

The list is for whoever downloads the missing clips. `prepare avqa` and `prepare vggsound` use it; no clip is read.
"""

from collections.abc import Sequence
from pathlib import Path

from harken.data.load import write_rejected
from harken.prepare.clip_names import ClipName
from harken.prepare.data_card import Card, account_tables, count_reasons
from harken.prepare.licences import DataSource
from harken.prepare.media_index import index_media, media_notes, media_table
from harken.system.files import write_text
from harken.system.writer_lock import one_writer
from harken.types import Rejected


@one_writer
def list_missing_clips(
    source: DataSource, needed: set[ClipName], n_kept: int, rejected: Sequence[Rejected], media: Path, out: Path
) -> Card:
    """Write `<out>/missing.txt`, one clip a line, and `<out>/rejected.jsonl`, and return the counts.

    Args:
        needed: the clips of the records that are left after the checks that need no clip.
        n_kept: these records.
        rejected: the other records.
    """
    index = index_media(media, needed)
    file = out / "missing.txt"
    write_rejected(out / "rejected.jsonl", rejected)
    write_text(file, "".join(f"{clip}\n" for clip in sorted(needed - index.file_of.keys())))
    notes = [f"The missing clips are listed in {file}", *media_notes(index)]
    return Card(source, notes, [*account_tables(n_kept, count_reasons(rejected)), media_table(needed, index)])
