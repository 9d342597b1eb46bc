"""The first prompt of a recipe as the model would read it, which `--dry-run` prints.

Loads neither weights nor more than one clip.
"""

from dataclasses import replace

from harken.benchmarks.registry import find_reader
from harken.config import Recipe
from harken.errors import DataError, HarkenError
from harken.inference.prompt_inputs import PromptInputs
from harken.models.loading import load_renderer
from harken.questions.prompt import Prompt


def first_prompt(recipe: Recipe) -> str:
    """The rendered text under a line with its source, length and answer. Raises DataError without a usable record."""
    faults = []
    for source in recipe.data.train:
        questions, rejected = find_reader(source.reader)(source.file, source.audio_root)
        if not questions:
            first = f", the first in line {rejected[0].line}: {rejected[0].reason}" if rejected else ""
            faults.append(f"{source.file}: no usable record of {len(rejected)}{first}")
            continue
        question = questions[0] if source.audio == "real" else replace(questions[0], audio=None)
        inputs = PromptInputs(load_renderer(recipe.model.path), Prompt.from_config(recipe.prompt), cache_gib=0)
        try:
            (prompt,) = inputs([question])
        except HarkenError as error:
            raise DataError(f"{question.source}: {error}") from error
        n_frames = 0 if prompt.features is None else prompt.features.shape[1]
        answer = None if question.answer is None else question.choices[question.answer]
        about = f"{question.source}, {prompt.length} tokens, {n_frames} mel frames, answer {answer!r}"
        return f"first prompt ({about}):\n{prompt.text}"
    raise DataError("\n".join(faults))
