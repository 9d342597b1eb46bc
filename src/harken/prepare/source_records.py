"""Read the records of a data set from a file or from the Hugging Face Hub, with the place of each.

The file is JSON, JSON lines, parquet, or a WebDataset tar, in which the files `<key>.json` and `<key>.wav` (or another
sound) are one record. Columns of sound are not decoded. parquet and the Hub need the extra `data` (`pip install
'harken[data]'`). Records are read one after another: a file may be large, and its records may hold their sound.
"""

import lzma
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harken.data.records import Record, iter_records
from harken.errors import ConfigError, DataError
from harken.prepare.sound_fields import SOUND_SUFFIXES
from harken.system.json_text import parse_json
from harken.types import Rejected

_TEXT_SUFFIXES = frozenset(["txt", "cls"])
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A data set on the Hub, or a local folder in its layout."""

    name: str
    config: str | None
    split: str


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record with its place.

    Attributes:
        file, line: where it stands: the file and the line, or "name/split" and the number of the row, counted from 1.
        which: what messages about it begin with: "record 3: " where several records stand in one line, else "".
    """

    file: str
    line: int
    which: str
    record: Record

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class SourceRecords:
    """The name of a source, for messages, and its records in order, which can be read once. Records + rejected =
    records in the source."""

    name: str
    records: Iterable[SourceRecord | Rejected]


def read_source(source: Path | HubDataset) -> SourceRecords:
    """Raises DataError where the source cannot be read, at once or while it is read, ConfigError where the extra is
    missing."""
    if isinstance(source, HubDataset):
        return _numbered(f"{source.name}/{source.split}", _load(source.name, source.config, source.split))
    is_tar = source.name.lower().endswith(_TAR_ENDINGS)
    if (is_tar or source.suffix == ".parquet") and not source.is_file():
        raise DataError(f"{source}: no such file")
    if source.suffix == ".parquet":
        return _numbered(str(source), _load("parquet", None, "train", str(source)))
    if is_tar:
        return _numbered(str(source), _tar_records(source))
    return SourceRecords(
        str(source),
        (r if isinstance(r, Rejected) else SourceRecord(str(source), *r) for r in iter_records(source)),
    )


def _numbered(name: str, rows: Iterable[Record]) -> SourceRecords:
    return SourceRecords(name, (SourceRecord(name, number, "", row) for number, row in enumerate(rows, start=1)))


def _tar_records(path: Path) -> Iterator[Record]:
    """The samples of a WebDataset tar: neighbouring files whose names are equal up to the first dot."""
    try:
        with tarfile.open(path) as archive:
            key, sample, sounds = "", {}, []
            for member in archive:
                if not member.isfile():
                    continue
                name = PurePosixPath(member.name)
                stem, _, suffix = name.name.partition(".")
                if (own := str(name.with_name(stem))) != key:
                    if sample:
                        yield _with_sounds(sample, sounds)
                    key, sample, sounds = own, {"__key__": own}, []
                file = archive.extractfile(member)
                data = b"" if file is None else file.read()
                # What stands before the last dot of a suffix numbers or names the file: `0.wav`, `audio.wav`.
                kind = suffix.lower().rsplit(".", 1)[-1]
                if kind in SOUND_SUFFIXES:
                    sounds.append({"bytes": data, "path": name.name})
                elif kind in ("json", *_TEXT_SUFFIXES):
                    sample |= _tar_text(kind, data)
            if sample:
                yield _with_sounds(sample, sounds)
    except (OSError, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        # tarfile names every way of unpacking that it tried, one a line.
        raise DataError(f"{path}: cannot be read as a tar: {(str(error) or repr(error)).splitlines()[0]}") from error


def _with_sounds(sample: Record, sounds: list[Record]) -> Record:
    """The record of a sample; its own sound goes before a name that its JSON may hold."""
    return sample | ({"audio": sounds} if sounds else {})


def _tar_text(kind: str, data: bytes) -> Record:
    """What a file of a sample adds to its record: the fields of a JSON object, or a text."""
    text = data.decode("utf-8", "replace")
    if kind != "json":
        return {kind: text}
    try:
        value = parse_json(text, constants=True)
    except ValueError:
        value = text
    return value if isinstance(value, dict) else {"json": value}


def _load(name: str, config: str | None, split: str, data_files: str | None = None) -> Iterator[Record]:
    try:
        import datasets
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ConfigError(f"{name}: reading it needs `datasets`: pip install 'harken[data]'") from error
    try:
        if data_files is not None and ParquetFile(data_files).metadata.num_rows == 0:
            return
        # Streaming makes no second copy beside the Hub's own download.
        rows: Any = datasets.load_dataset(name, config, split=split, data_files=data_files, streaming=True)
        if rows.features is not None:
            rows = rows.decode(False)  # sound in columns, lists and structs stays {bytes, path}
        yield from rows
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{data_files or name}: cannot be read as a data set: {error}") from error
