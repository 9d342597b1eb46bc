"""Runs a command in this process and gives its exit code and what it printed."""

import contextlib
import io
import sys
from dataclasses import dataclass

from harken.cli.app import main


@dataclass(frozen=True)
class CommandResult:
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str


def harken(*words) -> CommandResult:
    """Run one command. An error that would print a traceback is raised."""
    out, err, argv, code = io.StringIO(), io.StringIO(), sys.argv, 0
    sys.argv = ["harken", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = argv
    return CommandResult(code, out.getvalue(), err.getvalue())


def refused_by(command: str, *words) -> str:
    """The message of a command that ends with exit status 2, on one line."""
    result = harken(command, *words)
    assert result.code == 2
    assert "Traceback" not in result.err
    return " ".join(result.err.replace("│", " ").split())
