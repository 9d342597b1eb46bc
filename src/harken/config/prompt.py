"""`prompt`: how a question is put."""

from pathlib import Path
from typing import Literal

from harken.config.section import Section

ChoicesShown = Literal["list", "letters", "lines", "lettered_lines"]


class PromptConfig(Section):
    style: str = "omni_r1"
    """omni_r1: question and options, the model says the choice [P]. r1_aqa: answer tags asked for [S]. r1_aqa_think:
    thinking and answer tags asked for [S]. adaptive: the model first judges whether the problem needs thinking [P, in
    our words O]. The name of a benchmark: the prompt of its authors, in its file of `harken/benchmarks/`."""
    choices: ChoicesShown | None = None
    """list: `['a', 'b']` as siblings print it [O]. letters: `(A) a (B) b`. lines: one choice a line. lettered_lines:
    `A. a`, one a line. Only where letters are shown is a letter accepted as an answer. Default: the style's own,
    which is list but for some benchmarks."""
    prompt_file: Path | None = None
    """A text with `{question}` and `{choices}` to use instead of the style's."""
