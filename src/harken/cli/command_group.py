"""Groups of commands whose modules are imported when they are needed, and help texts in groups of options.

The help is plain text. A line is never broken inside a word, and square brackets are printed as they are, which rich's
markup would take for styles.
"""

import shutil
from collections.abc import Iterator, MutableMapping, Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from harken.benchmarks import BENCHMARKS
from harken.cli.command_table import GROUPS, Panels

WIDEST_HELP = 100
"""Columns of a help text on a wide terminal."""


def help_width() -> int:
    """Columns of a help text on this terminal."""
    return max(20, min(WIDEST_HELP, shutil.get_terminal_size().columns - 1))


def plain_app(group: type[TyperGroup] | None = None, *, completion: bool = False, about: str = "") -> typer.Typer:
    """An application that prints plain help texts and plain usage errors."""
    return typer.Typer(
        cls=group,
        no_args_is_help=group is not None,
        add_completion=completion,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help=about,
    )


class PlainCommand(TyperCommand):
    """A command whose help has a section for each panel of its options."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        write_options(self, ctx, formatter)


def write_options(command: Any, ctx: Any, formatter: Any) -> None:
    """Write the sections of a command's parameters: its arguments, then each panel, then the options without one."""
    panels: dict[str, list[tuple[str, str]]] = {"Arguments": []}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is not None:
            is_argument = parameter.param_type_name == "argument"
            panel = getattr(parameter, "rich_help_panel", None) or ("Arguments" if is_argument else "Options")
            panels.setdefault(panel, []).append(record)
    if "Options" in panels:
        panels["Options"] = panels.pop("Options")
    for heading, records in panels.items():
        if records:
            _write_section(formatter, heading, records)


def _write_section(formatter: Any, heading: str, records: Sequence[tuple[str, str]]) -> None:
    """On a narrow terminal a long name stands on a line of its own, which leaves room for what it is."""
    with formatter.section(heading):
        formatter.write_dl(records, col_max=30 if formatter.width >= 60 else formatter.width // 3)


class LazyCommands(MutableMapping[str, Any]):
    """Name -> command of a group. A command is imported when it is taken out."""

    def __init__(self, panels: Panels, package: str) -> None:
        """
        Args:
            package: the one that holds the commands' modules.
        """
        self._about = {name: about for commands in panels.values() for name, about in commands.items()}
        self._package, self._made = package, {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._about:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> Any:
        if name in GROUPS and self._package == "harken.cli":
            group = group_of(GROUPS[name], name)
            return group(name=name, help=self._about[name], no_args_is_help=True, rich_markup_mode=None)
        if name in BENCHMARKS:
            from harken.cli.prepare.benchmark import benchmark_command

            function = benchmark_command(name)
        else:
            function = getattr(import_module(f"{self._package}.{name}"), name)
        alone = plain_app()
        alone.command(name, cls=PlainCommand)(function)
        return typer.main.get_command(alone)

    def __setitem__(self, name: str, command: Any) -> None:
        self._about.setdefault(name, command.help or "")
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._about[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._about)

    def __len__(self) -> int:
        return len(self._about)


def group_of(panels: Panels, name: str = "") -> type[TyperGroup]:
    """The class of the group with the commands of a table.

    Args:
        name: first word of its commands; "" for the commands of one word.
    """

    class CommandGroup(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            settings["commands"] = {}
            super().__init__(**settings)
            self.commands: Any = LazyCommands(panels, f"harken.cli.{name}".rstrip("."))

        def format_options(self, ctx: Any, formatter: Any) -> None:
            for heading, commands in panels.items():
                _write_section(formatter, heading, list(commands.items()))
            write_options(self, ctx, formatter)

    return CommandGroup
