"""The key `published`: the rows of papers that a recipe reproduces. A row that no paper has is an error."""

from pydantic import model_validator

from harken.config.section import Section
from harken.errors import did_you_mean
from harken.papers import TABLES


class PublishedRow(Section):
    """A row of a paper's table. The report shows a run beside it, and `harken evaluate` prints it beside the result."""

    table: str
    """The table as `harken compare RUN --published TABLE` names it, such as omni-r1-v2:I."""
    row: str
    """The labels of the row, joined with commas, such as "Qwen2.5-Omni-7B, Omni-R1 (AVQA)"."""

    @model_validator(mode="after")
    def is_in_the_paper(self) -> "PublishedRow":
        known = [row.name for row in TABLES[self.table].rows] if self.table in TABLES else []
        if not known:
            near = did_you_mean(self.table, TABLES)
            raise ValueError(f"no published table {self.table!r}{near}: set one of {', '.join(TABLES)}")
        if self.row not in known:
            near = did_you_mean(self.row, known)
            raise ValueError(f"{self.table} has no row {self.row!r}{near}: set one of {'; '.join(known)}")
        return self
