"""One call of the command line in this process, with what it printed."""

import contextlib
import io
import sys
from dataclasses import dataclass

from harken.cli.app import main


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def harken(*words) -> Said:
    """One call of the program, in this process; a traceback is an exception here."""
    out, err, argv, code = io.StringIO(), io.StringIO(), sys.argv, 0
    sys.argv = ["harken", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.argv = argv
    return Said(code, out.getvalue(), err.getvalue())


def refused_by(command: str, *words) -> str:
    """The message of a command that ends with exit status 2, on one line."""
    result = harken(command, *words)
    assert result.code == 2
    assert "Traceback" not in result.err
    return " ".join(result.err.replace("│", " ").split())
