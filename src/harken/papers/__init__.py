"""Tables I to IV of Omni-R1 and 1 to 6 of Audio-Thinker as data, keyed by paper, version and table.

Takes a key such as `omni-r1-v2:I`, gives the table with what every column was measured on. Figures stand as printed,
also where the papers contradict themselves: a figure is cited with its table.
"""

from harken.errors import ConfigError
from harken.papers import audio_thinker, omni_r1
from harken.papers.table import Column, MeasuredOn, PublishedTable, Row

TABLES: dict[str, PublishedTable] = {**omni_r1.TABLES, **audio_thinker.TABLES}

__all__ = ["TABLES", "Column", "MeasuredOn", "PublishedTable", "Row", "published_table"]


def published_table(key: str) -> PublishedTable:
    """The table of that key. Raises ConfigError that lists the known keys."""
    if key not in TABLES:
        raise ConfigError(f"no published table {key!r}; known: {', '.join(TABLES)}")
    return TABLES[key]
