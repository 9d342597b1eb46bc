"""`harken ask`: one question about one clip."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import Device, ModelPath, WeightsType, check_dtype, console
from harken.system.console import print_line


def ask(
    clip: Annotated[Path, typer.Argument(help="An audio file.", metavar="CLIP")],
    question: Annotated[str, typer.Argument(help="The question, without the choices.", metavar="QUESTION")],
    model: ModelPath,
    choices: Annotated[list[str], typer.Option("--choices", help="Two or more choices: --choices A B C.")],
    more: Annotated[list[str] | None, typer.Argument(help="Further choices.", hidden=True)] = None,
    style: Annotated[str, typer.Option("--style", help="Style of the prompt, as in recipes.")] = "omni_r1",
    device: Device = "auto",
    dtype: WeightsType = "auto",
) -> None:
    """Ask a model one question about one clip, first with the clip and then without it."""
    from harken.api.model import load_model
    from harken.config import PromptConfig, parse
    from harken.questions.prompt import Prompt

    Prompt.from_config(parse(PromptConfig, {"style": style}, "harken ask"))  # before a model is loaded
    all_choices = [*choices, *(more or [])]
    if len(all_choices) < 2:
        raise typer.BadParameter("a question has two choices or more", param_hint="--choices")
    check_dtype(dtype)
    loaded = load_model(model, dtype=dtype, device=device)
    answers = [loaded.ask(file, question, all_choices, style=style) for file in (clip, None)]
    print_line(console, f"with the clip:    {answers[0]}")
    print_line(console, f"without the clip: {answers[1]}")
