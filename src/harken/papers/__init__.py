"""The tables of results of Omni-R1 (I to IV) and Audio-Thinker (1 to 6) as data, with what each column was measured on.

A table is named by paper, version and number, such as `omni-r1-v2:I`. Figures are as printed, also where a paper
contradicts itself, so a figure is always cited with its table.
"""

from harken.errors import ConfigError
from harken.papers import audio_thinker, omni_r1
from harken.papers.table import Column, MeasuredOn, PublishedTable, TableRow

TABLES: dict[str, PublishedTable] = {**omni_r1.TABLES, **audio_thinker.TABLES}

__all__ = ["TABLES", "Column", "MeasuredOn", "PublishedTable", "TableRow", "published_table"]


def published_table(key: str) -> PublishedTable:
    """The table with this key. Raises ConfigError, which lists the known keys, where there is none."""
    if key not in TABLES:
        raise ConfigError(f"no published table {key!r}; known: {', '.join(TABLES)}")
    return TABLES[key]
