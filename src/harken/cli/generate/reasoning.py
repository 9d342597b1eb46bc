"""`harken generate reasoning`: a served model writes the reasoning that leads to right answers."""

import typer

from harken.cli.generate import options
from harken.cli.generate.run import run_generation
from harken.cli.options import ApiKeyVariable, Concurrency, Overrides, RecipeFile, ServerAddress


def reasoning(
    context: typer.Context,  # run_generation reads the values of the options from it
    out: options.GeneratedFolder,
    recipe: RecipeFile = None,
    manifest: options.Manifest = None,
    captions: options.Captions = None,
    endpoint: ServerAddress = None,
    model: options.ModelName = None,
    api_key_env: ApiKeyVariable = None,
    concurrency: Concurrency = None,
    batch_requests: options.BatchRequests = None,
    batch_max_requests: options.BatchMaxRequests = 50_000,
    batch_max_mb: options.BatchMaxMb = 200,
    batch_results: options.BatchResults = None,
    overrides: Overrides = None,
    prompt_file: options.PromptFile = None,
) -> None:
    """Write reasoning for a manifest's questions, from their right answers and facts about the clips."""
    from harken.config import ReasoningRecipe
    from harken.generate.reasoning import generate_reasoning

    run_generation(context, ReasoningRecipe, generate_reasoning, "manifest.jsonl")
