"""Parses a command that is not run with the command line of the program itself, which raises where it cannot."""

import argparse
import re
import runpy
import shlex
import subprocess
import sys

import pytest
import typer.main
from page_world import ROOT

from harken.cli.app import app

COMMAND = typer.main.get_command(app)
NOT_INSTALLED = ("vllm ", "python -m lmms_eval ", ".venv-vllm/bin/pip ")
"""Programs whose command lines are not here to parse with."""


class ParsedError(Exception):
    """A program has parsed its words."""


def parsed(line: str, *, whole: bool) -> None:
    """Parse a `harken` line.

    Args:
        whole: the line must have every argument that the command needs.
    """
    words = [word.split("|")[0] for word in shlex.split(re.sub(r"\[(--[^\]]*)\]", r"\1", line))]
    if ">" in words:
        words = words[: words.index(">")]
    command, path, words = COMMAND, "harken", words[1:]
    while hasattr(command, "commands"):
        if not words and not whole:
            return
        if words[0].startswith("--"):
            assert words[0] in {name for option in command.params for name in option.opts}, line
            return
        assert words[0] in command.commands, f"{line}: no command {words[0]}"
        command, path, words = command.commands[words[0]], f"{path} {words[0]}", words[1:]
    if whole:
        command.make_context(path, words)
    else:
        context = command.make_context(path, [], resilient_parsing=True)
        context.resilient_parsing = False
        command.make_parser(context).parse_args(args=words)


def parse_command(line: str) -> None:
    """Parse a line of any program that pages name."""
    words = shlex.split(re.sub(r"^[A-Z_]+=\S+ ", "", line))
    if line.startswith("harken "):
        parsed(line, whole=True)
    elif words[0] == "torchrun":
        from torch.distributed.run import get_args_parser

        own = get_args_parser().parse_args(words[1:])
        assert (own.module, own.training_script) == (True, "harken"), line
        parsed(shlex.join(["harken", *own.training_script_args]), whole=True)
    elif words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    elif words[0] == "pip":
        from pip._internal.commands import create_command

        create_command("install").parse_args(words[2:])
    elif words[0] == "python" and words[1] != "-m":
        parse_program(words[1:])
    elif line.startswith(("for ", "recipes/")):
        subprocess.run(["bash", "-n", "-c", line], check=True)
        for script in re.findall(r"recipes/\w+\.sh", line):
            subprocess.run(["bash", "-n", ROOT / script], check=True)
        for program in re.findall(r"do python (.*); done", line):
            parse_program(shlex.split(program.replace("$seed", "0")))
    else:
        assert line.startswith(NOT_INSTALLED) or line == "python -m venv .venv-vllm", f"{line}: which program is this?"


def parse_program(words: list[str]) -> None:
    """Run a program of the project up to its parsed words; one without argparse has to exist."""
    program = ROOT / words[0]
    if "argparse" not in program.read_text(encoding="utf-8"):
        return
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *given: object) -> None:
        parse(parser, *given)
        raise ParsedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        patch.setattr(sys, "path", [str(program.parent), *sys.path])
        patch.setattr(argparse.ArgumentParser, "parse_args", stop)
        with pytest.raises(ParsedError):
            runpy.run_path(str(program), run_name="__main__")
