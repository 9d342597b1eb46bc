"""Help texts: every command and every option explains itself in a sentence, and the terminal shows all of it."""

from collections.abc import Iterator

import pytest
import typer.main
from command_line import harken

from harken import __version__
from harken.cli.app import app
from harken.cli.command_table import COMMANDS as TABLE
from harken.cli.command_table import GROUPS


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
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_terminal_shows_every_word_of_the_help(path, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    result = harken(*path, "--help")
    assert (result.code, result.err) == (0, "")
    assert max(map(len, result.out.split("\n"))) < columns
    shown = "".join(result.out.split())
    for parameter in COMMANDS[path].params:
        if not getattr(parameter, "hidden", False):
            for word in (parameter.help or "").split():
                assert word in shown, (parameter.name, word)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_table_of_commands_says_what_a_commands_own_help_says_first(path):
    panels = GROUPS[path[0]] if len(path) == 2 else TABLE
    about = {name: sentence for panel in panels.values() for name, sentence in panel.items()}
    if path:
        assert " ".join(COMMANDS[path].help.split()).startswith(about[path[-1]].removesuffix("."))


def test_square_brackets_of_a_help_text_are_printed():
    for path, command in COMMANDS.items():
        for parameter in command.params:
            if "[" in (parameter.help or ""):
                shown = "".join(harken(*path, "--help").out.split())
                assert "".join(parameter.help.split()) in shown


@pytest.mark.parametrize("columns", [40, 120])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train', 'tiny'?"),
        (["prepare", "avqq"], "No such command 'avqq'. Did you mean 'avqa'?"),
        (["train", "--outt", "x"], "No such option: --outt"),
        (["train", "omni_r1_avqq"], "no built-in recipe is named 'omni_r1_avqq' (did you mean 'omni_r1_avqa'?)"),
        (["recipes", "omni_r1_avqq"], "no built-in recipe is named 'omni_r1_avqq' (did you mean 'omni_r1_avqa'?)"),
        (["train", "omni_r1_avqa", "--set", "grpo.step=5"], "grpo.step: unknown key (did you mean 'grpo.steps'?)"),
        (["train", "omni_r1_avqa", "--set", "grop.steps=5"], "grop: unknown key (did you mean 'grpo'?)"),
        (
            ["evaluate", "--model", "x", "--benchmark", "mmau-pro", "--data", "f"],
            "no reader is called 'mmau-pro' (did you mean 'mmau_pro'?)",
        ),
        (["evaluate", "--model", "x", "--data", "f", "--style", "omni_r2"], "did you mean 'omni_r1'?"),
    ],
)
def test_a_wrong_word_is_named_with_the_nearest_right_one_on_one_line(words, message, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    result = harken(*words)
    assert result.code == 2
    assert any(message in line for line in result.err.split("\n")), result.err


def test_the_version_is_printed():
    assert harken("--version").out == f"harken {__version__}\n"


def test_a_shell_completes_commands_options_and_recipe_names(monkeypatch):
    monkeypatch.setenv("_HARKEN_COMPLETE", "complete_bash")
    for words, expected in {
        "harken tr": {"train"},
        "harken prepare av": {"avqa"},
        "harken train --res": {"--resume"},
        "harken train realaqa_thinker_at": {"realaqa_thinker_atar"},
    }.items():
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert set(harken().out.split()) == expected, words
