"""Read the records of a data set from a file or from the Hugging Face Hub, with the place of each.

The file is JSON, JSON lines or parquet. Columns of sound are not decoded. parquet and the Hub need the extra `data`
(`pip install 'harken[data]'`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.data.records import Record, read_records
from harken.errors import ConfigError, DataError
from harken.types import Rejected


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A data set on the Hub, or a local folder in its layout."""

    name: str
    config: str | None
    split: str


@dataclass(frozen=True, slots=True)
class SourceRecords:
    """The records of a source. len(records) + len(rejected) = records in the source.

    Attributes:
        records: (place, record) pairs; a place is "file:number" or "name/split:number", counted from 1.
    """

    records: list[tuple[str, Record]]
    rejected: list[Rejected]


def read_source(source: Path | HubDataset) -> SourceRecords:
    """Raises DataError where the source cannot be read, ConfigError where the extra is missing."""
    if isinstance(source, HubDataset):
        return _numbered(f"{source.name}/{source.split}", _load(source.name, source.config, source.split))
    if source.suffix == ".parquet":
        if not source.is_file():
            raise DataError(f"{source}: no such file")
        return _numbered(str(source), _load("parquet", None, "train", str(source)))
    records, rejected = read_records(source)
    return SourceRecords([(f"{source}:{line}", record) for line, record in records], rejected)


def _numbered(place: str, rows: Iterable[Record]) -> SourceRecords:
    return SourceRecords([(f"{place}:{number}", row) for number, row in enumerate(rows, start=1)], [])


def _load(name: str, config: str | None, split: str, data_files: str | None = None) -> Iterable[Record]:
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(f"{name}: reading it needs `datasets`: pip install 'harken[data]'") from error
    try:
        # Streaming makes no second copy beside the Hub's own download.
        rows: Any = datasets.load_dataset(name, config, split=split, data_files=data_files, streaming=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{data_files or name}: cannot be read as a data set: {error}") from error
    for column, feature in (rows.features or {}).items():
        if isinstance(feature, datasets.Audio):
            rows = rows.cast_column(column, datasets.Audio(decode=False))
    return rows
