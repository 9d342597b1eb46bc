"""`harken judge check`: says whether a judge tells good from bad, before a run is trained on its scores."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from harken.cli.options import (
    SERVER_PANEL,
    ApiKeyVariable,
    Concurrency,
    Overrides,
    RecipeFile,
    ServerAddress,
    console,
)
from harken.system.console import escape_unprintable, print_line
from harken.system.fitting_table import FittingTable

LOCAL_PANEL = "Model in this process"
KEYS = {
    "endpoint": "endpoint.base_url",
    "model": "endpoint.model",
    "api": "endpoint.api",
    "api_key_env": "endpoint.api_key_env",
    "concurrency": "endpoint.concurrency",
    "local": "local.path",
}
"""Parameter of the command -> key of the section `judge`."""


def check(
    context: typer.Context,
    recipe: RecipeFile = None,
    overrides: Overrides = None,
    endpoint: ServerAddress = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="The name by which the server knows the judge.", rich_help_panel=SERVER_PANEL),
    ] = None,
    api: Annotated[
        Literal["chat", "completion"] | None,
        typer.Option("--api", help="chat, or completion for a base model.", rich_help_panel=SERVER_PANEL),
    ] = None,
    api_key_env: ApiKeyVariable = None,
    concurrency: Concurrency = None,
    local: Annotated[
        str | None,
        typer.Option("--local", help="A folder or Hub id of a text model.", rich_help_panel=LOCAL_PANEL),
    ] = None,
) -> None:
    """Ask a judge about ten pairs with known verdicts for each aspect, and say whether it tells them apart.

    The judge is that of a recipe's section `judge`, or the options name it. Exit code 1 when it is unfit for an aspect:
    when it gives the better half of fewer than 9 pairs the higher score. No reply is kept.
    """
    from harken.judges import open_judge
    from harken.judges.check import check_judge

    config = _judge_config(context, recipe, overrides or [])
    with tempfile.TemporaryDirectory(prefix="harken-judge-") as folder:
        judge = open_judge(config, Path(folder))
        try:
            results = check_judge(judge)
        finally:
            judge.close()
    table = FittingTable(title="harken judge check: ten pairs with known verdicts", title_justify="left")
    for heading in ("aspect", "told apart", "scored alike", "wrong way round", "failed", ""):
        table.add_column(heading, no_wrap=True)
    for result in results:
        counts = (result.apart, result.alike, result.reversed, result.failed)
        table.add_row(result.aspect, *map(str, counts), "fit" if result.fit else "[bold red]unfit[/]")
    console.print(table)
    for result in results:
        if result.failed:
            print_line(console, f"{result.aspect}: {result.failed} pairs failed: {escape_unprintable(result.reason)}")
    if not all(result.fit for result in results):
        raise typer.Exit(1)


def _judge_config(context: typer.Context, recipe: Path | None, overrides: list[str]):
    from harken.config import JudgeConfig, parse
    from harken.config.read import apply_override, read_values, set_key
    from harken.errors import ConfigError

    origin = "harken judge check" if recipe is None else str(recipe)
    values: dict[str, Any] = {} if recipe is None else read_values(recipe)
    for override in overrides:
        apply_override(values, override)
    section: dict[str, Any] = values.get("judge") or {}
    if any(context.params[name] is not None for name in ("endpoint", "local")):
        section = {key: value for key, value in section.items() if key not in ("endpoint", "local")}
    for name, key in KEYS.items():
        if context.params[name] is not None:
            set_key(section, key, context.params[name], origin)
    if not section:
        raise ConfigError(f"{origin}: no judge: give a recipe with a section judge, --endpoint and --model, or --local")
    return parse(JudgeConfig, section, origin)
