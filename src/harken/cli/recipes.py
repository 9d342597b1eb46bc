"""`harken recipes`: what comes with harken, to look at and to copy."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from harken.cli.options import console


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this one, for example into a file of yours.")] = None,
) -> None:
    """List the recipes that come with harken, or print one.

    harken recipes omni_r1_avqa > mine.yaml
    """
    from harken.config.builtin_recipes import about, recipe_file, shipped_recipes

    if name is not None:
        print(recipe_file(name).read_text(encoding="utf-8"), end="")  # noqa: T201
        return
    table = Table("recipe", "stands for")
    for known, file in shipped_recipes().items():
        table.add_row(known, escape(about(file)[0]))
    console.print(table)
