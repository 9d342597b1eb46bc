"""`harken generate questions`: a served model writes questions from facts about clips."""

import typer

from harken.cli.generate import options
from harken.cli.generate.run import run_generation
from harken.cli.options import ApiKeyVariable, Concurrency, Overrides, RecipeFile, ServerAddress


def questions(
    context: typer.Context,  # run_generation reads the values of the options from it
    out: options.GeneratedFolder,
    recipe: RecipeFile = None,
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
    """Write multiple-choice questions from facts about clips, in the way of AVQA-GPT and VGGS-GPT."""
    from harken.config import QuestionRecipe
    from harken.generate.questions import generate_questions

    run_generation(context, QuestionRecipe, generate_questions, "manifest.jsonl")
