"""The commands to run after a training run, as lines that a shell takes as they are.

The test questions are `test.json` or `test.jsonl` beside the training file; when there is no such file, a name in
capitals stands for them.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from harken.config import EvaluationRecipe, Recipe, SourceConfig

PLACEHOLDER = "TEST.json"


def next_steps(recipe: Recipe, run: Path) -> list[str]:
    """Evaluate with and without the clip, with the prompt, length and precision of training; then the report."""
    source = recipe.data.train[0]
    candidates = [source.file.with_name(f"test{ending}") for ending in (".json", ".jsonl")]
    file = next((path for path in candidates if path.is_file()), None)
    words = ["harken", "evaluate", "--model", str(run)]
    if source.reader != SourceConfig.model_fields["reader"].default:
        words += ["--benchmark", source.reader]
    words += ["--data", PLACEHOLDER if file is None else str(file)]
    if file is not None and source.audio_root is not None:
        words += ["--audio-root", str(source.audio_root)]
    words += _options_as_trained(recipe)
    out = run / "eval"
    return [
        command([*words, "--out", str(out / "test")]),
        command([*words, "--no-audio", "--out", str(out / "test-no-audio")]),
        command(["harken", "report", str(run)]),
    ]


def _options_as_trained(recipe: Recipe) -> list[str]:
    """Options for the settings in which the recipe differs from the defaults of `harken evaluate`."""
    words = []
    prompt, defaults = recipe.prompt, EvaluationRecipe.model_fields
    if prompt.style != "omni_r1":
        words += ["--style", prompt.style]
    if prompt.choices is not None:
        words += ["--set", f"prompt.choices={prompt.choices}"]
    if prompt.prompt_file is not None:
        words += ["--set", f"prompt.prompt_file={prompt.prompt_file}"]
    if recipe.grpo.max_completion_tokens != defaults["max_completion_tokens"].default:
        words += ["--max-completion-tokens", str(recipe.grpo.max_completion_tokens)]
    if recipe.model.precision == "bf16_mixed":
        words += ["--dtype", "bfloat16"]
    if recipe.model.device != "auto":
        words += ["--device", recipe.model.device]
    return words


def command(words: Sequence[str]) -> str:
    """One line for a shell. A word with unprintable characters is written as `$'...'`, which bash and zsh read."""
    return " ".join(shlex.quote(word) if word.isprintable() else _escape_word(word) for word in words)


def _escape_word(word: str) -> str:
    return f"$'{''.join(_escape_character(character) for character in word)}'"


def _escape_character(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(character))
