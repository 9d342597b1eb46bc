"""`harken ask`, `export`, `tiny` and `doctor`: what one does with a checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

from harken.cli.options import Device, ModelPath, Precision, console, weights_type
from harken.system.console import print_line


def ask(
    clip: Annotated[Path, typer.Argument(help="Audio file.")],
    question: Annotated[str, typer.Argument(help="The question.")],
    model: ModelPath,
    choices: Annotated[list[str], typer.Option("--choices", help="Two or more: --choices A B C.")],
    more: Annotated[list[str] | None, typer.Argument(help="Further choices.", hidden=True)] = None,
    style: Annotated[str, typer.Option("--style", help="Prompt style, as in recipes.")] = "omni_r1",
    device: Device = "auto",
    dtype: Precision = "float32",
) -> None:
    """One question about one clip, with the clip and without it."""
    from harken.config import PromptConfig, parse
    from harken.evaluation.ask import ask_both
    from harken.models.loading import load_model
    from harken.questions.prompt import Prompt

    prompt = Prompt.from_config(parse(PromptConfig, {"style": style}, "harken ask"))
    options = [*choices, *(more or [])]
    if len(options) < 2:
        raise typer.BadParameter("a question has two choices or more", param_hint="--choices")
    heard, unheard = ask_both(
        load_model(model, dtype=weights_type(dtype), device=device), prompt, clip, question, options
    )
    print_line(console, f"with the clip:    {heard}")
    print_line(console, f"without the clip: {unheard}")


def export(
    trained: Annotated[Path, typer.Argument(help="Run folder or one of its checkpoints.", metavar="RUN_OR_CHECKPOINT")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    base: Annotated[
        str | None,
        typer.Option("--base", help="Checkpoint whose files are copied; default: what the run started from."),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option("--dtype", help="float32, bfloat16 or float16 for trained tensors; default: the base's."),
    ] = None,
    adapter: Annotated[bool, typer.Option("--adapter", help="Copy a LoRA adapter as it is, not merged.")] = False,
    push_to: Annotated[
        str | None, typer.Option("--push-to", help="Upload it to this repository; HF_TOKEN.", metavar="OWNER/NAME")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="The repository is made private.")] = False,
    replace_card: Annotated[
        bool, typer.Option("--replace-card", help="Also over a model card that the repository has.")
    ] = False,
) -> None:
    """Write what transformers and vLLM load, with a model card: the base's files with the trained weights in them."""
    from harken.export.hub import Hub
    from harken.export.weights import export as write
    from harken.export.weights import export_adapter

    if push_to is None and (private or replace_card):
        raise typer.BadParameter("--private and --replace-card go with --push-to", param_hint="--push-to")
    hub = None if push_to is None else Hub(push_to, private=private)
    if dtype is not None:
        weights_type(dtype)
    if adapter:
        if base is not None or dtype is not None:
            raise typer.BadParameter("an adapter is copied as it is: no --base, no --dtype", param_hint="--adapter")
        export_adapter(trained, out)
        said = "adapter"
    else:
        said = f"{write(trained, out, base=base, dtype=dtype)} trained tensors"
    print_line(console, f"{said}: {out}")
    if hub is not None:
        address, kept = hub.push(out, replace_card=replace_card)
        print_line(console, f"pushed: {address}" + (" (its model card left as it was)" if kept else ""))


def tiny(
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    arch: Annotated[str, typer.Option("--arch", help="qwen2_5_omni, qwen2_audio or audioflamingo3.")] = "qwen2_5_omni",
    text: Annotated[
        list[Path] | None,
        typer.Option("--text", help="Question files, or texts (.txt), whose words the tokenizer should know whole."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Write a tiny random checkpoint of a real architecture, in Hugging Face layout."""
    from harken.models.tiny_checkpoint import question_texts, write_tiny

    write_tiny(arch, out, question_texts(text or []), seed)
    print_line(console, f"checkpoint: {out}")


def doctor(
    model: Annotated[str | None, typer.Option("--model", help="Checkpoint folder or Hub id to try.")] = None,
    device: Device = "auto",
    dtype: Precision = "float32",
) -> None:
    """Devices, memory, versions; does the checkpoint load, and does changing the audio change the logits?"""
    from harken.cli.doctor import examine

    if not examine(model, device, weights_type(dtype), console):
        raise typer.Exit(1)
