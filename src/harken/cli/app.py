"""The command line: parses first, imports torch only when a command runs.

Puts the commands of harken/commands, harken/prepare and harken/generate together. Errors a user can mend (recipe, data,
checkpoint) are one line or a few, exit code 2; anything else is a bug and keeps its traceback.
"""

import sys

import typer
from rich.console import Console
from rich.text import Text

from harken.cli.checkpoints import ask, doctor, export, tiny
from harken.cli.evaluation import evaluate
from harken.cli.generate import generate
from harken.cli.prepare import prepare
from harken.cli.recipes import recipes
from harken.cli.reports import report, view
from harken.cli.results import compare, score
from harken.cli.training import demo, plan, sft, train
from harken.errors import HarkenError, ReportedByOtherRankError
from harken.system.console import escape_unprintable, hide_torchao_messages

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Reinforcement fine-tuning of audio language models for questions about sound, speech and music.",
)
for command in (demo, recipes, plan, train, sft, evaluate, score, compare, report, view, ask, export, tiny, doctor):
    app.command()(command)
app.add_typer(prepare, name="prepare")
app.add_typer(generate, name="generate")


def main() -> None:
    """Entry point: mendable errors without a traceback."""
    hide_torchao_messages()
    try:
        app()
    except ReportedByOtherRankError:
        sys.exit(2)
    except HarkenError as error:
        lines = "\n".join(escape_unprintable(line) for line in str(error).split("\n"))
        Console(stderr=True).print(Text.assemble(("error:", "bold red"), " ", lines), soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
