"""The section `prompt`: how a question is worded."""

from pathlib import Path
from typing import Literal

from harken.config.section import Section

ChoicesShown = Literal["list", "letters", "lines", "lettered_lines"]


class PromptConfig(Section):
    """The wording of a question and its choices."""

    style: str = "omni_r1"
    """omni_r1: the question and its options, and the model answers with the text of a choice [P]. r1_aqa: the prompt
    asks for answer tags [S]. r1_aqa_think: it asks for thinking and answer tags [S]. adaptive: it asks the model to
    judge first whether the problem needs thinking [P, in our words O]. The name of a benchmark: the prompt of its
    authors, in its file of `harken/benchmarks/`."""
    choices: ChoicesShown | None = None
    """How the choices are written. list: `['a', 'b']`, as sibling methods print it [O]. letters: `(A) a (B) b`. lines:
    one choice a line. lettered_lines: `A. a`, one a line. A letter counts as an answer only where letters are shown.
    Default: that of the style, which is list except for some benchmarks."""
    system: str | None = None
    """The text of a system turn before the question, for a checkpoint and for a served model alike. Published results
    depend on it. Default: none of harken's; the chat template's own stays, if it has one."""
    prompt_file: Path | None = None
    """A text with `{question}` and `{choices}` that replaces the wording of the style."""
