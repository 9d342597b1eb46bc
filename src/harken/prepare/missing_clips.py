"""`--index-only`: count the clips that a set needs and a folder has, and list the missing ones.

The list is for whoever downloads the missing clips. `prepare avqa` and `prepare vggsound` use it; no clip is read.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from harken.data.load import rejected_file
from harken.prepare.data_card import Card, account_tables
from harken.prepare.draft import Draft, ItemT
from harken.prepare.media_index import index_media, media_notes, media_table
from harken.system.files import write_text
from harken.types import Rejected


def list_missing_clips(draft: Draft[ItemT], names: Iterable[str], media: Path, out: Path) -> Card:
    """Write `<out>/missing.txt`, one clip a line, and `<out>/rejected.jsonl`, and return the counts.

    Args:
        draft: the records after the checks that need no clip.
        names: of the clips that they need.
    """
    needed = set(names)
    index = index_media(media, needed)
    file = out / "missing.txt"
    reasons: Counter[str] = Counter()
    with rejected_file(out / "rejected.jsonl", reasons) as leave_out:
        for outcome in draft.outcomes():
            if isinstance(outcome, Rejected):
                leave_out(outcome)
    write_text(file, "".join(f"{clip}\n" for clip in sorted(needed - index.file_of.keys())))
    notes = [f"The missing clips are listed in {file}", *media_notes(media, index)]
    tables = account_tables(len(draft) - reasons.total(), reasons)
    return Card(draft.source, notes, [*tables, media_table(len(needed), index)])
