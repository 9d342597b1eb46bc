"""Which row of a paper a recipe stands for. A row that no paper has is an error when the recipe is read."""

from pydantic import model_validator

from harken.config.section import Section
from harken.papers import TABLES


class PublishedRow(Section):
    """A row of a paper's table that a run or an evaluation is to be read beside: the report puts a run there, `harken
    evaluate` prints the row."""

    table: str
    """As `harken compare --published` names it, such as omni-r1-v2:I."""
    row: str
    """Its labels with a comma between them, such as "Qwen2.5-Omni-7B, Omni-R1 (AVQA)"."""

    @model_validator(mode="after")
    def stands_in_the_paper(self) -> "PublishedRow":
        known = [one.name for one in TABLES[self.table].rows] if self.table in TABLES else []
        if not known:
            raise ValueError(f"no published table {self.table!r}: set one of {', '.join(TABLES)}")
        if self.row not in known:
            raise ValueError(f"{self.table} has no row {self.row!r}: set one of {'; '.join(known)}")
        return self
