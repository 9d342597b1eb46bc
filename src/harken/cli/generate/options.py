"""Options that the commands of `harken generate` share, and the key of the recipe that each one sets."""

from pathlib import Path
from typing import Annotated

from typer import Option

from harken.cli.options import RECIPE_PANEL, SERVER_PANEL

FACTS_PANEL = "Input"
BATCH_PANEL = "Batch files, instead of a server"

GENERATION_KEYS = {
    "captions": "captions",
    "manifest": "manifest",
    "wordings": "wordings",
    "audio_root": "audio_root",
    "prompt_file": "prompt_file",
    "endpoint": "endpoint.base_url",
    "model": "endpoint.model",
    "api_key_env": "endpoint.api_key_env",
    "concurrency": "endpoint.concurrency",
}
"""Parameter of a command -> dotted key of a generation recipe."""

GeneratedFolder = Annotated[
    Path, Option("--out", help="Folder to write. It also keeps the replies, so that no request is sent twice.")
]
Captions = Annotated[
    Path | None, Option("--captions", help="JSON lines with facts about clips.", rich_help_panel=FACTS_PANEL)
]
Manifest = Annotated[Path | None, Option("--manifest", help="A manifest.jsonl.", rich_help_panel=FACTS_PANEL)]
CaptionAudioRoot = Annotated[
    Path | None,
    Option(
        "--audio-root", help="Folder of the clips. Default: the manifest's own folder.", rich_help_panel=FACTS_PANEL
    ),
]
ModelName = Annotated[
    str | None, Option("--model", help="The name by which the server knows the model.", rich_help_panel=SERVER_PANEL)
]
PromptFile = Annotated[
    Path | None,
    Option(
        "--prompt-file", help="A file whose wording replaces that of harken's prompt.", rich_help_panel=RECIPE_PANEL
    ),
]
BatchRequests = Annotated[
    Path | None,
    Option(
        "--batch-requests",
        help="Send nothing; write the requests that have no reply yet to this file.",
        rich_help_panel=BATCH_PANEL,
    ),
]
BatchMaxRequests = Annotated[
    int,
    Option(
        "--batch-max-requests",
        min=1,
        help="The largest number of requests in a file; more are written to several files.",
        rich_help_panel=BATCH_PANEL,
    ),
]
BatchMaxMb = Annotated[
    float,
    Option(
        "--batch-max-mb", min=0.001, help="The largest file of requests, in megabytes.", rich_help_panel=BATCH_PANEL
    ),
]
BatchResults = Annotated[
    list[Path] | None,
    Option(
        "--batch-results",
        help="Read replies from a provider's file of results. May be repeated.",
        rich_help_panel=BATCH_PANEL,
    ),
]
