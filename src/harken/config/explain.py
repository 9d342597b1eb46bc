"""Turns pydantic's validation errors into lines that name the key, the value and the fix."""

from typing import Any, get_args

from pydantic import ValidationError

from harken.config.renamed import REMOVED_KEYS, RENAMED_KEYS
from harken.config.section import Section
from harken.errors import did_you_mean, short_repr


def explanations(section: type[Section], error: ValidationError) -> list[str]:
    """One line for each error in the values of a section."""
    details = error.errors()
    # A list whose only entry is wrong is also reported as too short; the entry's own error says more.
    nested = {detail["loc"][:n] for detail in details for n in range(len(detail["loc"]))}
    telling = [detail for detail in details if detail["type"] != "too_short" or detail["loc"] not in nested]
    return [_explain(section, detail) for detail in telling]


def _explain(section: type[Section], detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or "recipe"
    plain = ".".join(part for part in detail["loc"] if isinstance(part, str))
    if detail["type"] == "extra_forbidden" and plain in RENAMED_KEYS:
        return f"{key}: this key is now called {RENAMED_KEYS[plain]}"
    if detail["type"] == "extra_forbidden" and key in REMOVED_KEYS:
        return f"{key}: this key is gone, {REMOVED_KEYS[key]}"
    if detail["type"] == "extra_forbidden":
        for part in detail["loc"][:-1]:
            if isinstance(part, str):
                section = _section_in(section.model_fields[part].annotation)
        known, above = section.model_fields, "".join(f"{part}." for part in detail["loc"][:-1])
        near = did_you_mean(str(detail["loc"][-1]), known, above)
        return f"{key}: unknown key{near}; known here: {', '.join(known)}"
    if detail["type"] == "missing" and key == "name":
        return "name: missing; a recipe without a name is a base, which other recipes extend"
    if detail["type"] == "missing":
        return f"{key}: missing"
    return f"{key}: {detail['msg'].removeprefix('Value error, ')} (found {short_repr(detail['input'], 200)})"


def _section_in(annotation: Any) -> type[Section]:
    """The section that a field holds, alone, in a tuple or beside None."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(_section_in(part) for part in get_args(annotation) if part not in (type(None), ...))
