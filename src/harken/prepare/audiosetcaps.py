"""AudioSetCaps: captions and what a model answered about each clip -> one record a clip, for question generation.

Takes caption files and Q&A files of 0.2 to 4 million rows (see `caption_rows.py`), gives `manifest.jsonl` of clips:
`id`, `caption`, `sounds`, `speech`, `music`, and `audio` where a folder of clips is given.

The join holds neither file in memory: answers go to a temporary SQLite file in the order of the CSV, are indexed there
(SQLite sorts on disk), and captions are streamed past it, each looked up once. SQLite's cache is bounded, so memory is
constant whatever the number of rows. Not taken: sorting both files and merging (two more copies on disk), and a
dictionary of answers (3 GB for the largest file).
"""

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harken.data.records import Record
from harken.prepare.audiosetcaps_rows import KINDS, Row, answer_rows, caption_rows
from harken.prepare.clip_names import clip_files
from harken.prepare.data_card import Card, Section, account, counts, kind_of
from harken.prepare.leaks import UNCHECKED, Against, Entry, clip_matcher, entry_of_name, read_entries
from harken.prepare.licences import AUDIOSETCAPS
from harken.system.files import remove_leftovers, replacing, write_text
from harken.system.json_lines import json_line
from harken.types import Rejected

_CACHE_KIB = 65_536
_REPORT_EVERY = 20_000
OnRows = Callable[[int], None]
Matchers = Mapping[str, Callable[[Entry], Entry | None]]


@dataclass(slots=True)
class _Tally:
    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    captions: Counter[str] = field(default_factory=Counter)


def prepare_audiosetcaps(
    captions: Sequence[Path],
    answers: Sequence[Path],
    out: Path,
    *,
    audio_root: Path | None = None,
    against: Sequence[Against] = (),
    on_rows: OnRows = lambda rows: None,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`.

    Args:
        audio_root: the folder that `prepare vggsound` wrote: clips are named relative to it, and captions without a
            file in its `audio` are rejected.
        on_rows: called with the number of rows read so far, now and then.

    Raises DataError where a file cannot be read or lacks its columns.
    """
    matchers = {one.file.name: clip_matcher(read_entries(one.file, one.audio_root)) for one in against}
    audio_of = None
    if audio_root is not None:
        audio_of = {name: f"audio/{file}" for name, file in clip_files(audio_root / "audio").items()}
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    tally = _Tally()
    with (
        tempfile.TemporaryDirectory(prefix=".join", suffix=".tmp", dir=out) as folder,
        closing(sqlite3.connect(Path(folder) / "join.sqlite", isolation_level=None)) as database,
        replacing(out / "manifest.jsonl") as manifest,
        replacing(out / "rejected.jsonl") as listed,
        manifest.open("w", encoding="utf-8") as kept,
        listed.open("w", encoding="utf-8") as rejected,
    ):
        _load(database, answers, tally, on_rows)
        for path in captions:
            for row in caption_rows(path):
                reason = row.fault or _leak(row, matchers) or _record(database, row, audio_of, tally, kept.write)
                if reason:
                    tally.reasons[kind_of(reason)] += 1
                    rejected.write(json_line(asdict(Rejected(str(path), row.line, row.id, reason))))
                _report(tally, on_rows)
        surplus = database.execute("SELECT COUNT(DISTINCT key) FROM answers WHERE key NOT IN captions").fetchone()[0]
        tally.answers["clips with answers and no caption"] = surplus
    card = _card(tally, matchers)
    write_text(out / "card.md", card.markdown())
    return card


def _load(database: sqlite3.Connection, answers: Sequence[Path], tally: _Tally, on_rows: OnRows) -> None:
    """Answers into the temporary file. No journal: the file does not outlive the run."""
    for setting in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", f"cache_size=-{_CACHE_KIB}"):
        database.execute(f"PRAGMA {setting}")
    database.execute(f"CREATE TABLE answers (key TEXT, {', '.join(f'{kind} TEXT' for kind in KINDS)})")
    database.execute("CREATE TABLE captions (key TEXT PRIMARY KEY) WITHOUT ROWID")
    database.execute("BEGIN")
    database.executemany("INSERT INTO answers VALUES (?, ?, ?, ?)", _usable(answers, tally, on_rows))
    database.execute("CREATE INDEX by_key ON answers (key)")


def _usable(answers: Sequence[Path], tally: _Tally, on_rows: OnRows) -> Iterator[tuple[str, ...]]:
    for path in answers:
        for row in answer_rows(path):
            tally.answers["rows"] += 1
            if tally.answers["rows"] % _REPORT_EVERY == 0:
                on_rows(tally.answers["rows"])
            if row.fault:
                tally.answers[f"rows left out: {kind_of(row.fault)}"] += 1
            else:
                tally.answers["answers"] += sum(map(bool, row.texts)) + row.extra
                tally.answers["answers beyond the first of a kind, left out"] += row.extra
                yield (row.key, *row.texts)


def _record(
    database: sqlite3.Connection,
    row: Row,
    audio_of: Mapping[str, str] | None,
    tally: _Tally,
    write: Callable[[str], object],
) -> str:
    """Join one caption and write it; or the reason why not."""
    if database.execute("INSERT OR IGNORE INTO captions VALUES (?)", (row.key,)).rowcount == 0:
        return f"caption of the same clip again: {row.id}"
    if audio_of is not None and row.id not in audio_of:
        return f"no clip: {row.id}"
    record: Record = {"id": row.id} | ({} if audio_of is None else {"audio": audio_of[row.id]})
    record |= {"caption": row.texts[0], **dict.fromkeys(KINDS, "")}
    found = database.execute("SELECT sounds, speech, music FROM answers WHERE key = ? ORDER BY rowid", (row.key,))
    rows = found.fetchall()
    for texts in rows:
        for kind, text in zip(KINDS, texts, strict=True):
            if text and record[kind]:
                tally.answers["answers beyond the first of a kind, left out"] += 1
            record[kind] = record[kind] or text
    tally.captions["without any answer"] += not rows
    for kind in KINDS:
        tally.captions[f"without an answer about {kind}"] += not record[kind]
    write(json_line(record))
    tally.kept += 1
    return ""


def _leak(row: Row, matchers: Matchers) -> str:
    entry = entry_of_name(row.id, row.id)
    for name, match in matchers.items():
        if (same := match(entry)) is not None:
            return f"same clip as in {name}: {same.id}"
    return ""


def _report(tally: _Tally, on_rows: OnRows) -> None:
    n_captions = tally.kept + tally.reasons.total()
    if n_captions % _REPORT_EVERY == 0:
        on_rows(tally.answers["rows"] + n_captions)


def _card(tally: _Tally, matchers: Matchers) -> Card:
    leaks = {f"{name}: same clip, left out": tally.reasons[f"same clip as in {name}"] for name in matchers}
    sections: list[Section] = [
        *account(tally.kept, tally.reasons),
        counts("Answers", dict(tally.answers)),
        counts("Captions kept", dict(sorted(tally.captions.items()))),
        counts("Leak check", leaks) if leaks else UNCHECKED,
    ]
    return Card(AUDIOSETCAPS, ["Captions: questions are generated from them, see `harken generate`."], sections)
