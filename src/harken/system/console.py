"""How commands speak: lines for a person, rows for a program.

Takes text that may hold anything (paths, names and answers come from outside), gives lines on a console. Not taken:
rich's markup and emoji codes in such text; it is shown as it is, and what does not print is spelled out.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from harken.system.json_lines import json_line

_ERRORS = Console(stderr=True)
_UNUSED = {"torchao": "Failed to load ", "torch.utils._pytree": "<enum '"}
"""Logger -> how its line begins. transformers imports torchao wherever it is installed, and each import says which GPU
kernels do not fit this machine, and that torch will once refuse how its enums are registered. harken takes the table of
8-bit numbers from torchao, which is plain torch, and none of these; every other line of these loggers is shown."""


def hide_torchao_messages() -> None:
    """What torchao's import says of parts that harken does not use is not shown."""
    for name in _UNUSED:
        logging.getLogger(name).addFilter(_used)


def _used(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_UNUSED[record.name])


def escape_unprintable(text: str) -> str:
    """Control characters, direction marks and line ends as backslash escapes: nothing moves the cursor or is hidden."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text)


def print_line(console: Console, text: str) -> None:
    """One line, never folded, so that a path can be copied."""
    console.print(Text(escape_unprintable(text)), soft_wrap=True)


def print_warning(console: Console, text: str) -> None:
    """A warning where a person reads; from a quiet console it goes to standard error instead."""
    shown = Text.assemble(("warning:", "bold yellow"), " ", escape_unprintable(text))
    (_ERRORS if console.quiet else console).print(shown, soft_wrap=True)


def print_json_line(row: Mapping[str, Any]) -> None:
    """One JSON object on a line of standard output, at once."""
    sys.stdout.write(json_line(row))
    sys.stdout.flush()
