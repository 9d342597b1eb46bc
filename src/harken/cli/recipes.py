"""`harken recipes`: lists and prints the recipes that come with harken."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column

from harken.cli.options import console
from harken.system.fitting_table import FittingTable


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
    from harken.config.builtin_recipes import recipe_file, recipe_text

    if name is not None:
        file = recipe_file(name)
        text = _resolved(name, file) if resolved else recipe_text(file)
        print(text, end="")  # noqa: T201
    elif resolved:
        raise typer.BadParameter("name the recipe to print", param_hint="--resolved")
    else:
        console.print(_recipes_table())


def _resolved(name: str, file: Path) -> str:
    """Every value of a recipe. A base has no defaults yet: it may hold values that need others beside them."""
    import yaml

    from harken.config import as_yaml, load_any_recipe, read_values

    values = read_values(file)
    if "name" in values:
        return as_yaml(load_any_recipe(file))
    note = f"# {name} is a base, which other recipes extend. These are its values, without the defaults:"
    return f"{note}\n{yaml.safe_dump(values, sort_keys=False)}"


def _recipes_table() -> FittingTable:
    """The recipes that can be run, then those that only other recipes extend."""
    from harken.config import read_values
    from harken.config.builtin_recipes import about, builtin_recipes

    complete, bases = [], []
    for name, file in builtin_recipes().items():
        rows = complete if "name" in read_values(file) else bases
        rows.append((name, escape(about(file)[0])))
    table = FittingTable(Column("recipe", no_wrap=True), "stands for")
    for row in complete:
        table.add_row(*row)
    table.add_section()
    table.add_row("[bold]bases[/]", "[bold]which other recipes extend[/]")
    for row in bases:
        table.add_row(*row)
    return table
