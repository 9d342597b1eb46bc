"""Does with a page what its reader does: types its commands in their order, and runs and keeps its code.

Words that make work small are put behind a command (two steps, few tokens, few rows), and the addresses of servers
become that of a server on this machine. Nothing else of a command is changed.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandResult, harken
from page_blocks import Block, commands, written_file
from page_world import answer_batch, settings

SERVERS = ("http://127.0.0.1:8000/v1", "http://localhost:8000/v1", "https://api.openai.com/v1")
HUB = ("--hub allenai/ai2_arc --config ARC-Easy", "--data arc.jsonl")
SMALLER: dict[str, list[str]] = {
    "harken train": settings("train"),
    "harken sft": settings("sft"),
    "harken extend": ["--steps", "3"],
    "harken evaluate": ["--max-completion-tokens", "4"],
    "python benchmarks/audiosetcaps_csv.py": ["--rows", "100"],
    "python benchmarks/evaluate_throughput.py": ["--limit", "2", "--batch-size", "2", "--repeats", "1"],
    "python benchmarks/interval_coverage.py": ["--sets", "5"],
}
"""Words behind a command that begins so; of an option that is given twice, programs take the later one."""


class PageReader:
    """One who reads a page, in a folder in which commands are typed."""

    def __init__(self, url: str, patch: pytest.MonkeyPatch) -> None:
        """Args: `url` of the server that stands for all; `patch` undoes what commands change in the environment."""
        self.url, self.patch = url, patch
        self.names: dict[str, Any] = {"__name__": "page"}

    def read(self, block: Block, skipped: dict[str, str], ends: dict[str, tuple[int, str]]) -> None:
        """Do what a block says.

        Args:
            skipped: commands that cannot run here.
            ends: command -> (exit code, a part of what it prints), where the code is not 0.
        """
        if block.language == "shell":
            for command in commands(block):
                if command not in skipped:
                    self.command(command, *ends.get(command, (0, "")))
        elif block.language == "python":
            if name := written_file(block):
                Path(name).write_text(block.text, encoding="utf-8")
            exec(compile(block.text, f"line {block.line}", "exec"), self.names)
        elif name := re.match(r"# (\w+\.yaml)\n", block.text):
            Path(name[1]).write_text(block.text, encoding="utf-8")

    def command(self, command: str, code: int, printed: str) -> None:
        """Run a command and hold what it prints and its exit code against what they should be."""
        words = shlex.split(command)
        if words[0] == "export":
            return self.patch.setenv(*words[1].split("=", 1))
        if words[:2] == ["harken", "view"]:
            return look_at_page(words)
        result = self.result(command)
        text = " ".join((result.out + result.err).split())
        assert result.code == code, f"{command}\nended with {result.code}:\n{result.out}{result.err}"
        assert printed in text, f"{command}\nprinted:\n{result.out}{result.err}"

    def here(self, text: str) -> str:
        """A command or a recipe with the address of the server on this machine."""
        for address in SERVERS:
            text = text.replace(address, self.url)
        return text.replace(*HUB)

    def result(self, command: str) -> CommandResult:
        words = shlex.split(self.here(command))
        if "--batch-results" in words:
            answer_batch(Path("send-1.jsonl"), Path(words[words.index("--batch-results") + 1]))
        out = words[words.index(">") + 1] if ">" in words else None
        words = words[: words.index(">")] if out else words
        if "--resume" not in words:
            words += SMALLER.get(" ".join(words[:2]), [])
        result = harken(*words[1:]) if words[0] == "harken" else program(words[1:])
        if out:
            Path(out).write_text(result.out, encoding="utf-8")
        return result


def program(words: list[str]) -> CommandResult:
    """Run a program of the clone."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    return CommandResult(done.returncode, done.stdout, done.stderr)


def look_at_page(words: list[str]) -> None:
    """Run `harken view` until its page is answered; Ctrl-C ends it."""
    program = [sys.executable, "-m", *words]
    environment = {**os.environ, "COLUMNS": "200"}
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as view:
        assert view.stdout is not None
        shown = ""
        while not (address := re.search(r"http://127\.0\.0\.1:\d+/\S*", shown)):
            line = view.stdout.readline()
            assert line, f"{words} ended: {shown}"
            shown += line
        with urllib.request.urlopen(address[0], timeout=30) as page:
            assert b"<title>" in page.read()
        view.send_signal(signal.SIGINT)
        assert view.wait(30) == 0
