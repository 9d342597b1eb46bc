"""The `harken` command: it puts the commands together and prints errors that a user can mend without a traceback."""

import errno
import os
import sys

import typer
from rich.console import Console
from rich.text import Text

from harken.benchmarks import BENCHMARKS
from harken.cli.ask import ask
from harken.cli.compare import compare
from harken.cli.demo import demo
from harken.cli.doctor import doctor
from harken.cli.evaluate import evaluate
from harken.cli.export import export
from harken.cli.extend import extend
from harken.cli.generate.captions import captions
from harken.cli.generate.questions import questions
from harken.cli.generate.reasoning import reasoning
from harken.cli.judge.check import check as check_judge
from harken.cli.plan import plan
from harken.cli.prepare.arc import arc
from harken.cli.prepare.audiomcq import audiomcq
from harken.cli.prepare.audiosetcaps import audiosetcaps
from harken.cli.prepare.avqa import avqa
from harken.cli.prepare.benchmark import benchmark_command
from harken.cli.prepare.check import check
from harken.cli.prepare.export import export as export_manifest
from harken.cli.prepare.jsonl import jsonl
from harken.cli.prepare.review import review
from harken.cli.prepare.vggsound import vggsound
from harken.cli.recipes import recipes
from harken.cli.report import report
from harken.cli.score import score
from harken.cli.sft import sft
from harken.cli.tiny import tiny
from harken.cli.train import train
from harken.cli.view import view
from harken.errors import ConfigError, HarkenError, ReportedByOtherRankError, StoppedError, file_error
from harken.system.console import escape_unprintable, hide_torchao_messages
from harken.system.stop_signals import stop_signals

COMMANDS = {
    "Start here": {"demo": demo, "doctor": doctor},
    "Train": {"recipes": recipes, "plan": plan, "sft": sft, "train": train, "extend": extend},
    "Measure": {"evaluate": evaluate, "score": score, "compare": compare, "ask": ask},
    "Look at a run": {"report": report, "view": view},
    "Checkpoints": {"export": export, "tiny": tiny},
}
"""Panel of `harken --help` -> its commands."""

PREPARE_COMMANDS = {
    "Training data": {
        "avqa": avqa,
        "vggsound": vggsound,
        "audiosetcaps": audiosetcaps,
        "arc": arc,
        "audiomcq": audiomcq,
        "jsonl": jsonl,
    },
    "Benchmarks": {name: benchmark_command(name) for name in BENCHMARKS},
    "Work with a manifest": {"check": check, "review": review, "export": export_manifest},
}
"""Panel of `harken prepare --help` -> its commands."""

GENERATE_COMMANDS = {
    "captions": captions,
    "questions": questions,
    "reasoning": reasoning,
}

JUDGE_COMMANDS = {"check": check_judge}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reinforcement fine-tuning of audio language models for questions about sound, speech and music.",
)
prepare = typer.Typer(
    no_args_is_help=True, help="Turn files that can be downloaded into a manifest: a checked list of questions."
)
generate = typer.Typer(no_args_is_help=True, help="Have a language model behind a server write training data.")
judge = typer.Typer(no_args_is_help=True, help="Look at the language model that scores reasoning and answers.")

for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel)(command)
for panel, commands in PREPARE_COMMANDS.items():
    for name, command in commands.items():
        prepare.command(name, rich_help_panel=panel)(command)
for name, command in GENERATE_COMMANDS.items():
    generate.command(name)(command)
for name, command in JUDGE_COMMANDS.items():
    judge.command(name)(command)
app.add_typer(prepare, name="prepare", rich_help_panel="Data")
app.add_typer(generate, name="generate", rich_help_panel="Data")
app.add_typer(judge, name="judge", rich_help_panel="Measure")


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
                app()
        finally:
            _flush_output()
    except ReportedByOtherRankError:
        sys.exit(2)
    except StoppedError as stopped:
        if stopped.message:
            _print_message("stopped:", "bold yellow", stopped.message.removeprefix("stopped "))
        sys.exit(stopped.code)
    except HarkenError as error:
        _print_message("error:", "bold red", str(error))
        sys.exit(2)
    except BrokenPipeError:  # the reader of a pipe has ended
        sys.exit(1)
    except OSError as error:
        _print_message("error:", "bold red", str(file_error(error)))
        sys.exit(2)


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
