"""Records of a data set from a file or from the Hugging Face Hub.

Takes a JSON, JSON lines or parquet file, or a data set's name on the Hub, gives records with their places. Columns that
hold sound are left as they are stored. Needs the extra `data` (`pip install 'harken[data]'`) for parquet and the Hub.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.data.records import Record, read_records
from harken.errors import ConfigError, DataError
from harken.types import Rejected


@dataclass(frozen=True, slots=True)
class Hub:
    """A data set on the Hub, or a local folder in its layout."""

    name: str
    config: str | None
    split: str


@dataclass(frozen=True, slots=True)
class Rows:
    """`records` are ("place:number", record), numbers counted from 1; records + rejected = records in the source."""

    records: list[tuple[str, Record]]
    rejected: list[Rejected]


def read_rows(source: Path | Hub) -> Rows:
    """Raises DataError where the source cannot be read, ConfigError where the extra is missing."""
    if isinstance(source, Hub):
        loaded = _loaded(source.name, source.config, source.split)
        return Rows([(f"{source.name}/{source.split}:{n}", row) for n, row in enumerate(loaded, start=1)], [])
    if source.suffix == ".parquet":
        if not source.is_file():
            raise DataError(f"{source}: no such file")
        loaded = _loaded("parquet", None, "train", str(source))
        return Rows([(f"{source}:{n}", row) for n, row in enumerate(loaded, start=1)], [])
    records, rejected = read_records(source)
    return Rows([(f"{source}:{line}", record) for line, record in records], rejected)


def _loaded(name: str, config: str | None, split: str, data_files: str | None = None) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(f"{name}: reading it needs `datasets`: pip install 'harken[data]'") from error
    try:
        # Streamed: nothing is copied into a cache beside the Hub's own download.
        loaded = datasets.load_dataset(name, config, split=split, data_files=data_files, streaming=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{data_files or name}: cannot be read as a data set: {error}") from error
    return _undecoded(loaded, datasets)


def _undecoded(loaded: Any, datasets: Any) -> Any:
    for column, feature in (loaded.features or {}).items():
        if isinstance(feature, datasets.Audio):
            loaded = loaded.cast_column(column, datasets.Audio(decode=False))
    return loaded
