"""`harken generate paraphrases`: a served language model writes questions in other words."""

from typing import Annotated

import typer

from harken.cli.generate import options
from harken.cli.generate.run import run_generation
from harken.cli.options import ApiKeyVariable, Concurrency, Overrides, RecipeFile, ServerAddress


def paraphrases(
    context: typer.Context,  # run_generation reads the values of the options from it
    out: options.GeneratedFolder,
    recipe: RecipeFile = None,
    manifest: options.Manifest = None,
    wordings: Annotated[
        int | None, typer.Option("--wordings", min=1, help="How many other wordings of each question. Default: 3.")
    ] = None,
    endpoint: ServerAddress = None,
    model: options.ModelName = None,
    api_key_env: ApiKeyVariable = None,
    concurrency: Concurrency = None,
    overrides: Overrides = None,
    prompt_file: options.PromptFile = None,
) -> None:
    """Write a manifest's questions in other words, for evaluations that ask each in all of them.

    The option --paraphrases of `harken evaluate` takes OUT/paraphrases.jsonl.
    """
    from harken.config import ParaphraseRecipe
    from harken.generate.paraphrases import generate_paraphrases

    run_generation(context, ParaphraseRecipe, generate_paraphrases, "paraphrases.jsonl")
