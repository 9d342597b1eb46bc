"""VGGSound: a list of labelled clips and their media -> WAVs and a list of clips.

Takes the list (see `clip_list.py`) and a folder of media, gives `manifest.jsonl` of clips (`id`, `audio`, `label`,
`split`), which is what questions are generated for, not what is trained on: VGGSound asks nothing. Not taken: making
questions of the labels.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from harken.data.load import write_rejected
from harken.prepare.avqa import extract_indexed, media_section
from harken.prepare.clip_extraction import Measured
from harken.prepare.clip_names import index_media
from harken.prepare.data_card import Card, account, by_reason, counts, durations
from harken.prepare.filters import Filters
from harken.prepare.leaks import Against, entry_of_name, leak_reasons
from harken.prepare.licences import VGGSOUND
from harken.prepare.vggsound_list import ListedClip, read_clip_list
from harken.system.files import write_text
from harken.system.json_lines import write_json_lines
from harken.types import AudioSpan, Rejected


def prepare_vggsound(
    clip_list: Path,
    media: Path,
    out: Path,
    *,
    filters: Filters,
    workers: int,
    split: str | None = None,
    against: Sequence[Against] = (),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl, card.md and audio/*.wav below `out`. `split` keeps rows of one split."""
    rows, rejected = read_clip_list(clip_list)
    n_in = len(rows) + len(rejected)

    def reject(row: ListedClip, reason: str) -> None:
        rejected.append(Rejected(str(clip_list), row.line, str(row.clip), reason))

    for row in rows:
        if split is not None and row.split != split:
            reject(row, f"split filtered: {row.split!r}")
    rows = [row for row in rows if split is None or row.split == split]
    wanted = {row.clip for row in rows}
    index = index_media(media, wanted)
    clips = extract_indexed(index, out / "audio", workers, on_progress)
    kept: list[tuple[ListedClip, Path, Measured]] = []
    n_faulty = 0
    for row in rows:
        path, result = clips.get(row.clip, (Path(), f"no media file: {row.clip} is not in {media}"))
        if isinstance(result, str):
            n_faulty += row.clip in clips
            reject(row, result)
        elif (reason := filters.of_clip(result)) is not None:
            reject(row, reason)
        else:
            kept.append((row, path, result))
    entries = [entry_of_name(str(row.clip), str(row.clip), part=AudioSpan(path)) for row, path, _ in kept]
    leaked, leaks = leak_reasons(entries, {AudioSpan(path): one.digest for _, path, one in kept}, against, workers)
    for row, _, _ in kept:
        if str(row.clip) in leaked:
            reject(row, leaked[str(row.clip)])
    kept = [one for one in kept if str(one[0].clip) not in leaked]
    assert len(kept) + len(rejected) == n_in, "a clip is neither kept nor rejected"
    rejected.sort(key=lambda one: one.line)
    digests = [measured.digest for _, _, measured in kept]
    sections = [
        *account(len(kept), by_reason(rejected)),
        media_section(wanted, index, n_faulty),
        durations("Clips kept", (measured.duration_s for _, _, measured in kept)),
        counts("Duplicates", {"clips with the samples of another": len(digests) - len(set(digests))}),
        leaks,
    ]
    card = Card(VGGSOUND, ["A list of clips: questions about them are generated, see `harken generate`."], sections)
    write_rejected(out / "rejected.jsonl", rejected)
    write_text(out / "card.md", card.markdown())
    write_json_lines(
        out / "manifest.jsonl",
        [
            {"id": str(row.clip), "audio": f"audio/{path.name}", "label": row.label}
            | ({"split": row.split} if row.split else {})
            for row, path, _ in kept
        ],
    )
    return card
