"""One question about one clip.

Takes a model, a clip and a question, gives the answer as said and as understood, with the clip and without it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harken.inference.predict import predict
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.sampling import Sampling
from harken.models.audio_lm import AudioLM
from harken.questions.choice_orders import Trial
from harken.questions.grader import grade
from harken.questions.prompt import Prompt
from harken.types import Question


def ask_both(model: AudioLM, prompt: Prompt, clip: Path, question: str, choices: Sequence[str]) -> tuple[str, str]:
    """(heard, unheard), each the completion and the choice it was read as. Raises AudioError for a clip that cannot
    be read."""
    asked = Question(id="heard", text=question, choices=tuple(choices), answer=None, audio=clip)
    return _ask(model, prompt, asked), _ask(model, prompt, replace(asked, id="unheard", audio=None))


def _ask(model: AudioLM, prompt: Prompt, question: Question) -> str:
    inputs = PromptInputs(model, prompt, cache_gib=0, crop_long_audio=True)
    ((_, (answer,)),) = next(predict(model, [Trial(question)], inputs, Sampling(0, 512), batch_size=1))
    graded = grade(answer.text, question.choices, None, letters_shown=prompt.letters_shown)
    understood = f"no choice: {graded.reason}" if graded.choice is None else question.choices[graded.choice]
    notes = " (clip padded with silence)" if inputs.padded else " (clip cropped)" if inputs.cropped else ""
    return f"{answer.text!r} -> {understood}{notes}"
