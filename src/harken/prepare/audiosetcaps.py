"""`harken prepare audiosetcaps`: join AudioSetCaps' captions with what a model answered about each clip.

Caption files and Q&A files have 0.2 to 4 million rows each (audiosetcaps_rows.py). manifest.jsonl gets one record a
clip, from which `harken generate` writes questions: `id`, `caption`, `sounds`, `speech`, `music`, and `audio` where a
folder of clips is given.

Neither file is held in memory. Answers go to a temporary SQLite file in the order of the CSV and are indexed there,
which sorts on disk; captions are streamed, and each is looked up once. SQLite's cache is bounded, so memory does not
grow with the number of rows.
"""

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from harken.data.load import rejected_file
from harken.data.records import Record
from harken.data.reject_reasons import reason_kind
from harken.prepare.audiosetcaps_rows import KINDS, CsvRow, answer_rows, caption_rows
from harken.prepare.captioned_clips import CaptionedClips
from harken.prepare.data_card import Card, CardTable, account_tables, count_table
from harken.prepare.leak_check_sets import ComparedRecord, ComparedSet
from harken.prepare.leaks import LeakSearch
from harken.prepare.licences import AUDIOSETCAPS
from harken.system.files import naming, remove_leftovers, write_text
from harken.system.json_lines import json_lines_file
from harken.system.writer_lock import one_writer
from harken.types import Rejected

_CACHE_KIB = 65_536
_REPORT_EVERY = 20_000
_SURPLUS = "answers beyond the first of a kind, left out"
OnRows = Callable[[int], None]
"""Called now and then with the number of rows read so far."""


@dataclass(slots=True)
class _Counts:
    """Counts for the card.

    Attributes:
        kept: captions in the manifest.
        reasons: kind of reason -> number of rejected captions.
        answers, captions: name of a row of the card -> its number.
    """

    kept: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    captions: Counter[str] = field(default_factory=Counter)


@one_writer
def prepare_audiosetcaps(
    captions: Sequence[Path],
    answers: Sequence[Path],
    out: Path,
    *,
    audio_root: Path | None = None,
    against: Sequence[ComparedSet] = (),
    on_rows: OnRows = lambda rows: None,
) -> Card:
    """Write manifest.jsonl, rejected.jsonl and card.md below `out`.

    Args:
        audio_root: a folder of clips, as `prepare vggsound` writes it. Clips are named relative to it, and captions
            without a file in it or its `audio` are rejected.
        against: benchmarks; captions of their clips are rejected. Clips are compared by their ids, which every caption
            has.

    Raises DataError where a file cannot be read or lacks its columns.
    """
    leaks = LeakSearch(against, 1, out, by_sound=False)
    clips = None if audio_root is None else CaptionedClips(audio_root)
    out.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out)
    with (
        naming(out),
        tempfile.TemporaryDirectory(prefix=".join", suffix=".tmp", dir=out) as folder,
        closing(sqlite3.connect(Path(folder) / "join.sqlite", isolation_level=None)) as database,
        json_lines_file(out / "manifest.jsonl") as keep,
    ):
        join = _Join(database, clips, on_rows)
        with rejected_file(out / "rejected.jsonl", join.counts.reasons) as leave_out:
            join.load_answers(answers)
            for path in captions:
                for row in caption_rows(path):
                    outcome = row.fault or leaks.compare(_compared(row)) or join.record(row)
                    if isinstance(outcome, str):
                        leave_out(Rejected(str(path), row.line, row.id, outcome))
                    else:
                        keep(outcome)
                        join.counts.kept += 1
                    join.report_captions()
            join.count_unused_answers()
            card = _card(join.counts, leaks, names_clips=audio_root is not None)
        write_text(out / "card.md", card.markdown())
    return card


class _Join:
    """Answers in a temporary database, and the records that captions make with them.

    Attributes:
        counts: of everything so far.
    """

    def __init__(self, database: sqlite3.Connection, clips: CaptionedClips | None, on_rows: OnRows) -> None:
        self.counts = _Counts()
        self._database, self._clips, self._on_rows = database, clips, on_rows
        # No journal: the file does not outlive the run.
        for setting in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", f"cache_size=-{_CACHE_KIB}"):
            database.execute(f"PRAGMA {setting}")
        database.execute(f"CREATE TABLE answers (key TEXT, {', '.join(f'{kind} TEXT' for kind in KINDS)})")
        database.execute("CREATE TABLE captions (key TEXT PRIMARY KEY) WITHOUT ROWID")
        database.execute("BEGIN")

    def load_answers(self, paths: Sequence[Path]) -> None:
        self._database.executemany("INSERT INTO answers VALUES (?, ?, ?, ?)", self._usable_answers(paths))
        self._database.execute("CREATE INDEX by_key ON answers (key)")

    def record(self, row: CsvRow) -> Record | str:
        """The manifest's record of a caption, or the reason why it is left out."""
        if self._database.execute("INSERT OR IGNORE INTO captions VALUES (?)", (row.key,)).rowcount == 0:
            return f"caption of the same clip again: {row.id}"
        audio = None if self._clips is None else self._clips.file_of(row.clip)
        if self._clips is not None and audio is None:
            return f"no clip: {row.id} is not in {self._clips.folder}"
        record: Record = {"id": row.id} | ({} if audio is None else {"audio": audio})
        record |= {"caption": row.texts[0], **dict.fromkeys(KINDS, "")}
        query = "SELECT sounds, speech, music FROM answers WHERE key = ? ORDER BY rowid"
        answer_texts = self._database.execute(query, (row.key,)).fetchall()
        for texts in answer_texts:
            for kind, text in zip(KINDS, texts, strict=True):
                if text and record[kind]:
                    self.counts.answers[_SURPLUS] += 1
                record[kind] = record[kind] or text
        self.counts.captions["without any answer"] += not answer_texts
        for kind in KINDS:
            self.counts.captions[f"without an answer about {kind}"] += not record[kind]
        return record

    def report_captions(self) -> None:
        """Call `on_rows` now and then."""
        n_captions = self.counts.kept + self.counts.reasons.total()
        if n_captions % _REPORT_EVERY == 0:
            self._on_rows(self.counts.answers["rows"] + n_captions)

    def count_unused_answers(self) -> None:
        query = "SELECT COUNT(DISTINCT key) FROM answers WHERE key NOT IN captions"
        self.counts.answers["clips with answers and no caption"] = self._database.execute(query).fetchone()[0]

    def _usable_answers(self, paths: Sequence[Path]) -> Iterator[tuple[str, ...]]:
        counts = self.counts.answers
        for path in paths:
            for row in answer_rows(path):
                counts["rows"] += 1
                if counts["rows"] % _REPORT_EVERY == 0:
                    self._on_rows(counts["rows"])
                if row.fault:
                    counts[f"rows left out: {reason_kind(row.fault)}"] += 1
                else:
                    counts["answers"] += sum(map(bool, row.texts)) + row.extra
                    counts[_SURPLUS] += row.extra
                    yield (row.key, *row.texts)


def _compared(row: CsvRow) -> Iterator[ComparedRecord]:
    yield ComparedRecord(row.id, row.id, row.clip, frozenset())


def _card(counts: _Counts, leaks: LeakSearch, *, names_clips: bool) -> Card:
    tables: list[CardTable] = [
        *account_tables(counts.kept, counts.reasons),
        count_table("Answers", dict(counts.answers)),
        count_table("Captions kept", dict(sorted(counts.captions.items()))),
        leaks.table(),
    ]
    notes = ["These are captions. `harken generate` writes questions from them."]
    if not names_clips:
        notes = ["These captions name no clips, and `harken generate` needs clips: give their folder as --audio-root."]
    return Card(AUDIOSETCAPS, notes, tables)
