"""What to run after a run, as lines that a shell takes as they stand.

Takes the recipe and the run folder, gives the commands. The test questions are `test.json` or `test.jsonl` beside the
training file where there is one; else a name in capitals stands for them. Not taken: starting them.
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
    file = next(
        (one for one in (source.file.with_name(f"test{end}") for end in (".json", ".jsonl")) if one.is_file()), None
    )
    words = ["harken", "evaluate", "--model", str(run)]
    if source.reader != SourceConfig.model_fields["reader"].default:
        words += ["--benchmark", source.reader]
    words += ["--data", PLACEHOLDER if file is None else str(file)]
    if file is not None and source.audio_root is not None:
        words += ["--audio-root", str(source.audio_root)]
    words += _as_trained(recipe)
    out = run / "eval"
    return [
        command([*words, "--out", str(out / "test")]),
        command([*words, "--no-audio", "--out", str(out / "test-no-audio")]),
        command(["harken", "report", str(run)]),
    ]


def _as_trained(recipe: Recipe) -> list[str]:
    """Options for what differs from the defaults of `harken evaluate`."""
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
    """One line for a shell. What does not print is spelled out between `$'...'`, as bash and zsh read it."""
    return " ".join(shlex.quote(word) if word.isprintable() else _spelled(word) for word in words)


def _spelled(word: str) -> str:
    return f"$'{''.join(_sign(sign) for sign in word)}'"


def _sign(sign: str) -> str:
    if sign in "\\'":
        return f"\\{sign}"
    return sign if sign.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(sign))
