"""Other programs' JSON lines -> a manifest, and a manifest -> theirs (the formats are in `conversations.py`).

Clips stay where they are. Every record is kept or listed with its reason, both ways.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from harken.data.manifest import read_manifest
from harken.data.records import Record, RecordError, rejection
from harken.prepare.data_card import Card, account, by_reason
from harken.prepare.draft import draft_of, finish, measure
from harken.prepare.leaks import Against
from harken.prepare.licences import OWN
from harken.prepare.rewording import about_sound
from harken.prepare.source_records import Hub, read_rows
from harken.prepare.trainer_formats import FORMATS, to_record
from harken.system.json_lines import write_json_lines
from harken.types import Question


def prepare_jsonl(
    source: Path | Hub,
    name: str,
    audio_root: Path,
    out: Path,
    *,
    reword: bool,
    workers: int,
    against: tuple[Against, ...] = (),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`, from a format of FORMATS; clips relative to
    `audio_root`. `reword` turns questions about videos into questions about their sound, as `prepare avqa` does."""
    read = FORMATS[name][0]

    def parse(record: Record, place: str) -> Question:
        question = read(record, audio_root, place)
        return replace(question, text=about_sound(question.text)) if reword else question

    draft = draft_of(OWN, read_rows(source), parse)
    measure(draft, workers, on_progress)
    return finish(draft, out, audio_root, against, workers)


def export_jsonl(manifest: Path, audio_root: Path | None, name: str, out: Path) -> Card:
    """Write the questions of a manifest to the file `out` in a format of FORMATS, and those that the format cannot
    hold, with the reason, to `<out>.rejected.jsonl`."""
    questions, rejected = read_manifest(manifest, audio_root)
    records: list[Record] = []
    for question in questions:
        try:
            records.append(to_record(question, name))
        except RecordError as error:
            rejected.append(rejection(question, str(error)))
    write_json_lines(out.with_name(f"{out.name}.rejected.jsonl"), [asdict(one) for one in rejected])
    write_json_lines(out, records)
    return Card(OWN, [f"Written as {name}: {out}"], account(len(records), by_reason(rejected)))
