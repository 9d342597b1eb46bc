"""Lines that commands print: text for a person, JSON rows for a program.

Paths, names and model answers come from outside and may hold anything. They are printed as they are, without rich's
markup and emoji codes, and characters that do not print are escaped.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from harken.system.json_lines import json_line

_ERRORS = Console(stderr=True)
_HIDDEN_MESSAGES = {"torchao": "Failed to load ", "torch.utils._pytree": "<enum '"}
"""Logger -> the beginning of the messages that are hidden. transformers imports torchao wherever it is installed, and
that import logs which GPU kernels do not fit this machine, and a deprecation of torch's enums. harken uses torchao's
8-bit number table alone, which is plain torch. Every other message of these loggers is shown."""


def hide_torchao_messages() -> None:
    """Hide the messages of torchao's import about parts that harken does not use."""
    for name in _HIDDEN_MESSAGES:
        logging.getLogger(name).addFilter(_is_shown)


def _is_shown(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_HIDDEN_MESSAGES[record.name])


def escape_unprintable(text: str) -> str:
    """Write control characters, direction marks and line ends as backslash escapes, so that no text can move the
    cursor or hide another."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


SILENT = Console(quiet=True)


def print_line(console: Console, text: str) -> None:
    """Print one line that is never wrapped, so that a path in it can be copied."""
    console.print(Text(escape_unprintable(text)), soft_wrap=True)


def print_warning(console: Console, text: str) -> None:
    """Print a warning; when the console is quiet, on standard error."""
    line = Text.assemble(("warning:", "bold yellow"), " ", escape_unprintable(text))
    (_ERRORS if console.quiet else console).print(line, soft_wrap=True)


def print_json_line(row: Mapping[str, Any]) -> None:
    """Write one JSON object as a line of standard output and flush it."""
    sys.stdout.write(json_line(row))
    sys.stdout.flush()
