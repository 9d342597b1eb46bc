"""Run `harken generate questions`."""

from pathlib import Path

from command_line import harken


def generate(captions: Path, out: Path, url: str, *words):
    return harken(
        *("generate", "questions", "--captions", captions, "--out", out, "--endpoint", url, "--model", "m"),
        *(*FAST, *words),
    )


FAST = ("--set", "endpoint.retry_wait_s=0.01", "--set", "endpoint.retries=2")
