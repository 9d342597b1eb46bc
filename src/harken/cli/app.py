"""The `harken` command: it puts the commands together and prints errors that a user can mend without a traceback."""

import errno
import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from harken import __version__
from harken.cli.command_group import group_of, help_width, plain_app
from harken.cli.command_table import COMMANDS
from harken.errors import ConfigError, HarkenError, RankError, ReportedByOtherRankError, StoppedError, file_error
from harken.system.console import escape_unprintable, hide_torchao_messages
from harken.system.stop_signals import stop_signals

app = plain_app(
    group_of(COMMANDS),
    completion=True,
    about="Reinforcement fine-tuning of audio language models for questions about sound, speech and music.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"harken {__version__}")
        raise typer.Exit


@app.callback()
def _harken(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command. An error that a user can mend is a message and exit code 2; any other keeps its traceback.

    Errors of the operating system (a full disk, a read-only folder, a file where a folder is needed) are of the first
    kind wherever they happen. SIGTERM and Ctrl-C are a message and exit code 75.
    """
    hide_torchao_messages()
    try:
        _check_words()
        try:
            with stop_signals():
                app(prog_name="harken", terminal_width=help_width())
        finally:
            _flush_output()
    except ReportedByOtherRankError:
        sys.exit(2)
    except StoppedError as stopped:
        if stopped.message:
            _print_message("stopped:", "bold yellow", stopped.message.removeprefix("stopped "))
        sys.exit(stopped.code)
    except HarkenError as error:
        if not _is_reported_by_another_rank(error):
            _print_message("error:", "bold red", str(error))
        sys.exit(2)
    except BrokenPipeError:  # the reader of a pipe has ended
        sys.exit(1)
    except OSError as error:
        _print_message("error:", "bold red", str(file_error(error)))
        sys.exit(2)


def _is_reported_by_another_rank(error: HarkenError) -> bool:
    """Whether the first rank of this machine has the same error. Before the ranks have joined, an error is about the
    command line, the recipe or a file, which all ranks of a machine share; one about a rank is a RankError."""
    distributed = sys.modules.get("torch.distributed")
    joined = distributed is not None and distributed.is_available() and distributed.is_initialized()
    return os.environ.get("LOCAL_RANK", "0") != "0" and not joined and not isinstance(error, RankError)


def _check_words() -> None:
    """Raises ConfigError where the command line or the working folder is not UTF-8, which no file of harken could
    name."""
    for word in (*sys.argv[1:], os.getcwd()):
        try:
            word.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ConfigError(f"{word}: is not UTF-8; rename the file or folder, for example with convmv") from error


def _flush_output() -> None:
    """Raises OSError that names standard output where what was printed cannot be written."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # Python would flush it again at its end and print a traceback
        if error.errno == errno.EPIPE:
            raise
        raise OSError(error.errno, error.strerror, "standard output") from error


def _print_message(head: str, style: str, message: str) -> None:
    lines = "\n".join(escape_unprintable(line) for line in message.split("\n"))
    Console(stderr=True).print(Text.assemble((head, style), " ", lines), soft_wrap=True)


if __name__ == "__main__":
    main()
