"""The section `probe`: transcripts that show what training costs elsewhere."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from harken.config.section import PositiveInt, Section


class ProbeConfig(Section):
    """A fixed set of clips that the model transcribes before the first step, on the way and after the last
    (docs/probe.md)."""

    file: Path
    """JSON lines with the keys id, audio, text and, where a record has its own instruction, prompt. Every record must
    be usable."""
    audio_root: Path | None = None
    """The folder that clip names are relative to. Default: the folder of the file."""
    prompt: Annotated[str, Field(min_length=1)] | None = None
    """The instruction of records that have none. Default: `TRANSCRIBE` of harken/questions/prompt.py [O]."""
    every: PositiveInt = 100
    """The number of steps between measurements [O]."""
    max_completion_tokens: PositiveInt = 128
    """The longest transcript. Every reference must fit."""
