"""`harken generate captions`: a served audio model writes facts about clips."""

import typer

from harken.cli.generate import options
from harken.cli.generate.run import run_generation
from harken.cli.options import ApiKeyVariable, Concurrency, Overrides, RecipeFile, ServerAddress


def captions(
    context: typer.Context,  # run_generation reads the values of the options from it
    out: options.GeneratedFolder,
    recipe: RecipeFile = None,
    manifest: options.Manifest = None,
    audio_root: options.CaptionAudioRoot = None,
    endpoint: ServerAddress = None,
    model: options.ModelName = None,
    api_key_env: ApiKeyVariable = None,
    concurrency: Concurrency = None,
    overrides: Overrides = None,
    prompt_file: options.PromptFile = None,
) -> None:
    """Write facts about a manifest's clips, as an audio model behind a server hears them."""
    from harken.config import CaptionRecipe
    from harken.generate.captions import generate_captions

    run_generation(context, CaptionRecipe, generate_captions, "captions.jsonl")
