"""Help texts: every command and every option explains itself in a sentence, and the terminal shows all of it."""

from collections.abc import Iterator

import pytest
import typer.main
from command_line import harken

from harken.cli.app import app


def commands(command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_a_sentence(path):
    command = COMMANDS[path]
    assert command.help.strip().split("\n\n")[0].endswith("."), path
    for parameter in command.params:
        if parameter.name != "help" and not getattr(parameter, "hidden", False):
            assert (parameter.help or "").endswith("."), (path, parameter.name)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("columns", [80, 120])
def test_the_terminal_shows_every_word_of_the_help(path, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    result = harken(*path, "--help")
    assert (result.code, result.err) == (0, "")
    shown = "".join(result.out.replace("│", "").split())
    for parameter in COMMANDS[path].params:
        if not getattr(parameter, "hidden", False):
            for word in (parameter.help or "").split():
                assert word in shown, (parameter.name, word)


def test_a_command_that_is_not_known_is_named(monkeypatch):
    result = harken("trian")
    assert result.code == 2
    assert "trian" in result.err
