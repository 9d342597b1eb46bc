"""Asks a model one question about one clip, with the clip and without it, for `harken ask`."""

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

MAX_COMPLETION_TOKENS = 512


def ask_with_and_without_clip(
    model: AudioLM, prompt: Prompt, clip: Path, text: str, choices: Sequence[str]
) -> tuple[str, str]:
    """(answer with the clip, answer without it), each as the completion and the choice that the grader reads in it.

    Raises AudioError for a clip that cannot be read.
    """
    question = Question(id="heard", text=text, choices=tuple(choices), answer=None, audio=clip)
    return _ask(model, prompt, question), _ask(model, prompt, replace(question, id="unheard", audio=None))


def _ask(model: AudioLM, prompt: Prompt, question: Question) -> str:
    inputs = PromptInputs(model, prompt, cache_gib=0, crop_long_audio=True)
    sampling = Sampling(0, MAX_COMPLETION_TOKENS)
    ((_, (answer,)),) = next(predict(model, [Trial(question)], inputs, sampling, batch_size=1))
    graded = grade(answer.text, question.choices, None, letters_shown=prompt.letters_shown)
    choice = f"no choice: {graded.reason}" if graded.choice is None else question.choices[graded.choice]
    note = " (clip padded with silence)" if inputs.padded else " (clip cropped)" if inputs.cropped else ""
    return f"{answer.text!r} -> {choice}{note}"
