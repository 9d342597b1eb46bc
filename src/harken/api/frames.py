"""Rows as a pandas data frame; pandas is optional."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harken.errors import ConfigError

if TYPE_CHECKING:
    from pandas import DataFrame


def frame(rows: Sequence[Mapping[str, Any]]) -> "DataFrame":
    """A column for each key of any row, in the order in which keys first appear. Raises ConfigError without pandas."""
    try:
        import pandas
    except ImportError as error:
        raise ConfigError("data frames need pandas, which is not installed: pip install 'harken[pandas]'") from error
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return pandas.DataFrame.from_records([dict(row) for row in rows], columns=columns)
