"""Writes docs/command_line.md and docs/recipe_keys.md from the code: every command with its options, and every key.

python benchmarks/reference_pages.py
"""

import re
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import typer.main
import yaml
from pydantic import BaseModel

from harken.cli.app import app
from harken.config import CaptionRecipe, EvaluationRecipe, ParaphraseRecipe, QuestionRecipe, ReasoningRecipe, Recipe
from harken.system.files import write_text

DOCS = Path(__file__).parents[1] / "docs"
RECIPES = {
    "Training": Recipe,
    "Evaluation": EvaluationRecipe,
    "Generated questions": QuestionRecipe,
    "Generated reasoning": ReasoningRecipe,
    "Generated captions": CaptionRecipe,
    "Paraphrased questions": ParaphraseRecipe,
}


def command_page() -> str:
    """The page of all commands, in the order of the help."""
    lines = [
        "# Every command",
        "",
        "This page is for people who look up a command or an option. `python benchmarks/reference_pages.py` writes it",
        "from the code; `--help` behind a command prints the same.",
        "",
        "`harken --version` prints the version, and `harken --install-completion` lets the shell complete commands,",
        "options and names of recipes.",
    ]
    for path, command in commands_of(typer.main.get_command(app)):
        if hasattr(command, "commands"):
            continue
        lines += ["", f"## harken {' '.join(path)}", "", *paragraphs(command.help or "")]
        for heading, records in panels_of(path, command).items():
            lines += ["", f"| {heading.lower()} | what it is |", "|---|---|"]
            lines += [f"| `{cell(names)}` | {cell(about)} |" for names, about in records]
    return "\n".join(lines) + "\n"


def commands_of(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(words, command) of a command and of all below it."""
    yield path, command
    for name in getattr(command, "commands", ()):
        yield from commands_of(command.commands[name], (*path, name))


def panels_of(path: tuple[str, ...], command: Any) -> dict[str, list[tuple[str, str]]]:
    """Heading -> (names, what it is) of each parameter under it; `--help` itself is left out."""
    context = command.make_context(path[-1], [], resilient_parsing=True)
    panels: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None and parameter.name != "help":
            heading = "Argument" if parameter.param_type_name == "argument" else "Option"
            panels.setdefault(parameter.rich_help_panel or heading, []).append(record)
    return panels


def paragraphs(text: str) -> list[str]:
    """Paragraphs as lines; a line that is a command stands as a block."""
    lines: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        words = " ".join(paragraph.split())
        lines += [*([""] if lines else []), f"    {words}" if words.startswith("harken ") else words]
    return lines


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def keys_page() -> str:
    """The page of all keys of all kinds of recipes."""
    lines = [
        "# Every key of a recipe",
        "",
        "This page is for people who write or read recipes. `python benchmarks/reference_pages.py` writes it from the",
        "code, where each key is documented. [P] marks a value of the paper, [S] one of a sibling method, [O] our own",
        "([settings and their sources](method.md)). `harken recipes NAME --resolved` prints every value of a recipe.",
    ]
    shown: set[type] = set()
    for heading, recipe in RECIPES.items():
        lines += ["", f"## {heading}", "", *docstring_lines(recipe)]
        lines += section_lines(recipe, "", shown)
    return "\n".join(lines) + "\n"


def section_lines(section: type[BaseModel], prefix: str, shown: set[type]) -> list[str]:
    """The table of a section's own keys, then the sections below it. One that was shown before is only named."""
    rows, below = [], []
    for name, field in section.model_fields.items():
        inner, many = inner_section(field.annotation)
        key = f"{prefix}{name}"
        about = cell(field.description or "")
        if inner is None:
            rows.append(f"| `{key}` | {type_text(field.annotation)} | {default_text(field)} | {about} |")
        else:
            below.append((f"{key}{'[]' if many else ''}", inner, field))
    lines = ["", "| key | type | default | what it is |", "|---|---|---|---|", *rows] if rows else []
    for key, inner, field in below:
        about = [cell(field.description)] if field.description else []
        lines += ["", f"### {key}", "", *about]
        if inner in shown:
            lines += [*([""] if about else []), f"The keys of `{inner.__name__}`, as above."]
            continue
        shown.add(inner)
        lines += [*([""] if about else []), *docstring_lines(inner), *section_lines(inner, f"{key}.", shown)]
    return lines


def docstring_lines(section: type[BaseModel]) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in (section.__doc__ or "").strip().split("\n\n")][:1]


def inner_section(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """(the section that a key holds or None, whether it holds a list of them)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    sections = [inner_section(part)[0] for part in get_args(annotation)]
    section = next((part for part in sections if part is not None), None)
    return section, section is not None and get_origin(annotation) is tuple


def type_text(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return cell(" | ".join(str(part) for part in parts))
    if origin in (Union, types.UnionType):
        return cell(" | ".join("null" if part is type(None) else type_text(part) for part in parts))
    if origin is not None and hasattr(annotation, "__metadata__"):
        return type_text(parts[0])
    if origin is tuple:
        return f"list of {type_text(parts[0])}"
    if origin is dict:
        return "mapping"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", Any: "anything"}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return cell(" | ".join(str(member.value) for member in annotation))
    return names.get(annotation, re.sub(r"^.*\.", "", str(annotation)).strip("'>"))


def default_text(field: Any) -> str:
    if field.is_required():
        return "must be set"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, tuple):
        value = list(value)
    return f"`{cell(yaml.safe_dump(value, default_flow_style=True).removesuffix(chr(10)).removesuffix('...'))}`"


if __name__ == "__main__":
    write_text(DOCS / "command_line.md", command_page())
    write_text(DOCS / "recipe_keys.md", keys_page())
