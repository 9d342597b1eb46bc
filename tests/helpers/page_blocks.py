"""Reads a page of the documentation as what a reader does with it, in its order: commands, code and files.

An indented block holds commands for a shell. Every other block is fenced and names its language.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """A block of a page.

    Attributes:
        language: "shell" for an indented block, else what stands behind the fence ("" where nothing does).
        line: the block's first line on the page.
    """

    language: str
    text: str
    line: int


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page, in order."""
    lines, number = page.split("\n"), 0
    while number < len(lines):
        first = number
        if fence := re.match(r"```(\S*)", lines[number]):
            end = lines.index("```", number + 1)
            yield Block(fence[1], "\n".join(lines[number + 1 : end]) + "\n", first + 2)
            number = end
        elif lines[number].startswith("    "):
            while number + 1 < len(lines) and lines[number + 1].startswith("    "):
                number += 1
            yield Block("shell", "\n".join(line[4:] for line in lines[first : number + 1]) + "\n", first + 1)
        number += 1


def commands(block: Block) -> list[str]:
    """The commands of a shell block as one types them: continued lines are joined, comments are left out, and a loop
    is one command."""
    typed: list[str] = []
    in_loop = False
    for line in block.text.replace("\\\n", " ").split("\n"):
        words = " ".join(re.sub(r"(^|\s{2,})#.*", "", line).split())
        if not words:
            continue
        if in_loop:
            typed[-1] += ("" if typed[-1].endswith(" do") else ";") + f" {words}"
        else:
            typed.append(words)
        in_loop = typed[-1].startswith("for ") and not typed[-1].endswith("done")
    return typed


def written_file(block: Block) -> str | None:
    """The file that a block of Python is, by its first line `# name.py`; None for code to run."""
    name = re.match(r"# (\w+\.py)\n", block.text)
    return name[1] if name else None
