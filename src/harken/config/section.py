"""The base class of every section of a recipe.

A section is immutable, refuses unknown keys, and keeps the docstring of each field as its description.
"""

import re
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

MOST = 10**9
"""The largest number of steps, tokens, prompts or whatever else a recipe counts."""
PositiveInt = Annotated[int, Field(ge=1, le=MOST)]
NonNegativeInt = Annotated[int, Field(ge=0, le=MOST)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


LONGEST_PATH, LONGEST_NAME = 4095, 255
"""Bytes of a path, and of a name in it, that Linux can open."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of writing."""


def _openable(text: str) -> str:
    """The path as it is. Raises ValueError for one that no file system can have; the error then names the key, which an
    error on opening it would not."""
    encoded = text.encode("utf-8", "surrogatepass")
    if not text.strip():
        raise ValueError("an empty path")
    if _CONTROL.search(text):
        raise ValueError("a path with a control character")
    if len(encoded) > LONGEST_PATH or any(len(name) > LONGEST_NAME for name in encoded.split(b"/")):
        raise ValueError(f"a path of more than {LONGEST_PATH} bytes, or with a name of more than {LONGEST_NAME}")
    return text


CheckpointName = Annotated[str, AfterValidator(_openable)]
"""A folder or a Hub id."""


_DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:[0-9]{1,3})?")


def _device(name: str) -> str:
    """The name as it is. Raises ValueError for one that torch knows on no machine."""
    if not _DEVICE.fullmatch(name):
        raise ValueError("no such kind of device; use auto, cpu, cuda or cuda:1")
    return name


DeviceName = Annotated[str, AfterValidator(_device)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def paths_can_be_opened(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        return _openable(value) if isinstance(value, str) and Path in (annotation, *get_args(annotation)) else value


SectionT = TypeVar("SectionT", bound=Section)
