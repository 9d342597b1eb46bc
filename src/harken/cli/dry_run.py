"""The first prompt a recipe would send, rendered whole, without loading weights or decoding every clip.

Takes a recipe, gives text for people.
"""

from dataclasses import replace

from harken.benchmarks.registry import find_reader
from harken.config import Recipe
from harken.errors import DataError
from harken.inference.prompt_inputs import PromptInputs
from harken.models.loading import load_renderer
from harken.questions.prompt import Prompt


def first_prompt(recipe: Recipe) -> str:
    """Raises DataError where no source has a usable record."""
    prompt = Prompt.from_config(recipe.prompt)
    for source in recipe.data.train:
        questions, _ = find_reader(source.reader)(source.file, source.audio_root)
        if questions:
            question = questions[0] if source.audio == "real" else replace(questions[0], audio=None)
            model = load_renderer(recipe.model.path)
            (read,) = PromptInputs(model, prompt, cache_gib=0)([question])
            frames = 0 if read.features is None else read.features.shape[1]
            answer = None if question.answer is None else question.choices[question.answer]
            about = f"{question.source}, {read.length} tokens, {frames} mel frames, answer {answer!r}"
            return f"first prompt ({about}):\n{read.text}"
    raise DataError("no usable record in any source of data.train")
