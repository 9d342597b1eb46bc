"""The first prompt of a recipe as the model would read it, which `--dry-run` prints.

Loads no weights, and one clip unless the model cannot be given the first questions.
"""

from dataclasses import replace
from itertools import islice

from harken.benchmarks.registry import find_reader
from harken.config import Recipe
from harken.errors import AudioError, DataError
from harken.inference.prompt_inputs import PromptInputs
from harken.models.loading import load_renderer
from harken.questions.prompt import Prompt
from harken.types import Question

_TRIED = 20
"""So many questions of a source are tried; training leaves out those that the model cannot be given."""


def first_prompt(recipe: Recipe) -> str:
    """The rendered text under a line with its source, length and answer. Raises DataError without a usable record."""
    faults = []
    for source in recipe.data.train:
        questions, rejected = find_reader(source.reader)(source.file, source.audio_root)
        if not questions:
            first = f", the first in line {rejected[0].line}: {rejected[0].reason}" if rejected else ""
            faults.append(f"{source.file}: no usable record of {len(rejected)}{first}")
            continue
        renderer = load_renderer(recipe.model.path, recipe.model.architecture)
        inputs = PromptInputs(renderer, Prompt.from_config(recipe.prompt), cache_gib=0)
        reasons = []
        for read in islice(questions, _TRIED):
            question = read if source.audio == "real" else replace(read, audio=None)
            try:
                return _rendered(inputs, question)
            except (AudioError, DataError) as error:
                reasons.append(f"{question.source}: {error}")
        faults.append(reasons[0])
    raise DataError("\n".join(faults))


def _rendered(inputs: PromptInputs, question: Question) -> str:
    (prompt,) = inputs([question])
    n_frames = 0 if prompt.features is None else prompt.features.shape[1]
    answer = None if question.answer is None else question.choices[question.answer]
    about = f"{question.source}, {prompt.length} tokens, {n_frames} mel frames, answer {answer!r}"
    return f"first prompt ({about}):\n{prompt.text}"
