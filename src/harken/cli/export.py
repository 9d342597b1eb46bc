"""`harken export`: writes a trained model for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harken.cli.options import check_dtype, console
from harken.system.console import print_line, print_warning

if TYPE_CHECKING:
    from harken.export.omni_layout import Layout
    from harken.export.rounding import RoundingLoss

UPLOAD_PANEL = "Upload to the Hugging Face Hub"


LayoutOption = Annotated[
    Literal["full", "thinker", "vllm"],
    typer.Option(
        "--layout",
        help="How a Qwen2.5-Omni is written. full: as the whole model, with a talker if the base has it; transformers "
        "and vLLM load it. vllm: the same without the talker. thinker: the thinker alone, which vLLM does not load.",
    ),
]
AdapterProgram = Annotated[
    Literal["peft", "vllm"],
    typer.Option(
        "--for",
        help="The program that will apply the adapter of --adapter: peft (also transformers) or vllm. vLLM silently "
        "ignores an adapter that was written for peft.",
    ),
]
PushTo = Annotated[
    str | None,
    typer.Option(
        "--push-to",
        help="Upload the result to this repository, with the token in HF_TOKEN.",
        metavar="OWNER/NAME",
        rich_help_panel=UPLOAD_PANEL,
    ),
]


def export(
    trained: Annotated[
        Path, typer.Argument(help="A run folder, or one of its checkpoints.", metavar="RUN_OR_CHECKPOINT")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    base: Annotated[
        str | None,
        typer.Option(
            "--base", help="The checkpoint whose files are copied. Default: the one that the run started from."
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype", help="Type of the trained tensors: float32, bfloat16 or float16. Default: the base's type."
        ),
    ] = None,
    layout: LayoutOption = "full",
    adapter: Annotated[
        bool, typer.Option("--adapter", help="Write a LoRA adapter by itself, without merging it into the base.")
    ] = False,
    program: AdapterProgram = "peft",
    push_to: PushTo = None,
    private: Annotated[
        bool, typer.Option("--private", help="Create the repository as a private one.", rich_help_panel=UPLOAD_PANEL)
    ] = False,
    replace_card: Annotated[
        bool,
        typer.Option(
            "--replace-card", help="Replace a model card that the repository already has.", rich_help_panel=UPLOAD_PANEL
        ),
    ] = False,
) -> None:
    """Write a folder that transformers and vLLM load: the base's files with the trained weights, and a model card."""
    from harken.export.adapters import export_adapter
    from harken.export.hub import Hub

    if push_to is None and (private or replace_card):
        raise typer.BadParameter("--private and --replace-card go with --push-to", param_hint="--push-to")
    if adapter and (base is not None or dtype is not None or layout != "full"):
        raise typer.BadParameter("an adapter has no base in it: no --base, --dtype, --layout", param_hint="--adapter")
    if program != "peft" and not adapter:
        raise typer.BadParameter("--for goes with --adapter; merged weights are for all programs", param_hint="--for")
    if dtype is not None:
        check_dtype(dtype, auto=False)
    hub = None if push_to is None else Hub(push_to, private=private)
    if adapter:
        export_adapter(trained, out, program)
        print_line(console, f"adapter: {out}")
    else:
        _export_weights(trained, out, base, dtype, layout)
    if hub is not None:
        address, card_kept = hub.push(out, replace_card=replace_card)
        print_line(console, f"pushed: {address}" + (" (its model card left as it was)" if card_kept else ""))


def _export_weights(trained: Path, out: Path, base: str | None, dtype: str | None, layout: "Layout") -> None:
    from harken.export.weights import export as export_weights

    exported = export_weights(trained, out, base=base, dtype=dtype, layout=layout)
    print_line(console, f"{exported.n_tensors} trained tensors: {out}")
    _print_rounding(exported.rounding)


def _print_rounding(loss: "RoundingLoss") -> None:
    if not loss.error:
        print_line(console, "nothing of what was trained was rounded")
        return
    lost = (
        f"rounding returned {loss.returned_share:.1%} of {loss.moved} changed weights to the base's value; relative "
        f"error of the change {loss.relative_error:.1%}"
    )
    if loss.is_large:
        print_warning(console, f"{lost}. --dtype float32 keeps what was trained")
    else:
        print_line(console, lost)
