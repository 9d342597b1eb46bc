"""Asks a model one question about one clip, for `harken ask` and `Model.ask`."""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class ClipAnswer:
    """The answer of a model to a question about a clip.

    Attributes:
        text: the completion, without special tokens.
        choice: the choice that the grader reads in it; None where it reads none.
        reason: how the choice was recognised, or why none was.
        ended: False where the completion was cut at the maximum length.
        heard: "as it is", "padded with silence", "cropped", or "nothing" where there was no clip.
    """

    text: str
    choice: str | None
    reason: str
    ended: bool
    heard: str

    def __str__(self) -> str:
        choice = f"no choice: {self.reason}" if self.choice is None else self.choice
        changed = f" (clip {self.heard})" if self.heard in ("padded with silence", "cropped") else ""
        return f"{self.text!r} -> {choice}{changed}"


def ask(
    model: AudioLM,
    prompt: Prompt,
    clip: Path | None,
    text: str,
    choices: Sequence[str],
    max_completion_tokens: int = MAX_COMPLETION_TOKENS,
) -> ClipAnswer:
    """The model's greedy answer; `clip` None asks without audio. Raises AudioError for a clip that cannot be read."""
    ident = "unheard" if clip is None else "heard"
    question = Question(id=ident, text=text, choices=tuple(choices), answer=None, audio=clip)
    inputs = PromptInputs(model, prompt, cache_gib=0, crop_long_audio=True)
    sampling = Sampling(0, max_completion_tokens)
    ((_, (answer,)),) = next(predict(model, [Trial(question)], inputs, sampling, batch_size=1))
    graded = grade(answer.text, question.choices, None, letters_shown=prompt.letters_shown)
    choice = None if graded.choice is None else question.choices[graded.choice]
    unchanged = "nothing" if clip is None else "as it is"
    clip_state = "padded with silence" if inputs.padded else "cropped" if inputs.cropped else unchanged
    return ClipAnswer(answer.text, choice, graded.reason, answer.ended, heard=clip_state)
