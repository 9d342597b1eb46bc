"""`harken recipes`: lists and prints the recipes that come with harken."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from harken.cli.options import console


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="The recipe to print. Without it, all are listed.", metavar="NAME")
    ] = None,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print every value, with the defaults and the recipes it extends.")
    ] = False,
) -> None:
    """List the recipes that come with harken, or print one of them.

    harken recipes omni_r1_avqa > mine.yaml
    """
    from harken.config import as_yaml, load_any_recipe
    from harken.config.builtin_recipes import recipe_file

    if name is not None:
        file = recipe_file(name)
        text = as_yaml(load_any_recipe(file)) if resolved else file.read_text(encoding="utf-8")
        print(text, end="")  # noqa: T201
    elif resolved:
        raise typer.BadParameter("name the recipe to print", param_hint="--resolved")
    else:
        console.print(_recipes_table())


def _recipes_table() -> Table:
    """The recipes that can be run, then those that only other recipes extend."""
    from harken.config import read_values
    from harken.config.builtin_recipes import about, builtin_recipes

    complete, bases = [], []
    for name, file in builtin_recipes().items():
        rows = complete if "name" in read_values(file) else bases
        rows.append((name, escape(about(file)[0])))
    table = Table("recipe", "stands for")
    for row in complete:
        table.add_row(*row)
    table.add_section()
    table.add_row("[bold]bases[/]", "[bold]which other recipes extend[/]")
    for row in bases:
        table.add_row(*row)
    return table
