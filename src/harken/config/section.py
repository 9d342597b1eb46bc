"""What every section of a recipe is: frozen values, unknown keys refused, each field's docstring kept."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


SectionT = TypeVar("SectionT", bound=Section)
