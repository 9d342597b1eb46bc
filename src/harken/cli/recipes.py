"""`harken recipes`: lists and prints the recipes that come with harken."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from harken.cli.options import console


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe, for example into a file of yours.")] = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print every value, defaults and extended recipes included.")
    ] = False,
) -> None:
    """List the recipes that come with harken, or print one.

    harken recipes omni_r1_avqa > mine.yaml
    """
    from harken.config import as_yaml, load_any_recipe, read_values
    from harken.config.builtin_recipes import about, builtin_recipes, recipe_file

    if name is not None:
        file = recipe_file(name)
        text = as_yaml(load_any_recipe(file)) if resolved else file.read_text(encoding="utf-8")
        print(text, end="")  # noqa: T201
        return
    if resolved:
        raise typer.BadParameter("name the recipe to print", param_hint="--resolved")
    rows = [(known, about(file)[0], "name" in read_values(file)) for known, file in builtin_recipes().items()]
    table = Table("recipe", "stands for")
    for known, stands_for, runs in rows:
        if runs:
            table.add_row(known, escape(stands_for))
    table.add_section()
    table.add_row("[bold]bases[/]", "[bold]which other recipes extend[/]")
    for known, stands_for, runs in rows:
        if not runs:
            table.add_row(known, escape(stands_for))
    console.print(table)
