"""Which questions a model cannot be given, and why: a clip or prompt is too long, or a text holds a control token.

Training leaves these questions out and lists them with their reasons; evaluation counts them as wrong. Durations are
known beforehand, so no clip is loaded here.
"""

from collections.abc import Iterable, Mapping, Sequence

from harken.data.audio import SAMPLE_RATE_HZ
from harken.data.records import rejection
from harken.models.audio_lm import AudioLM
from harken.questions.prompt import Prompt
from harken.types import AudioSpan, Question, Rejected


def split_unusable(
    questions: Sequence[Question],
    durations_s: Mapping[AudioSpan, float],
    model: AudioLM,
    prompt: Prompt,
    max_prompt_tokens: int,
) -> tuple[list[Question], list[Rejected]]:
    """Split the questions into those that can be trained on and those that cannot, each of these with its reason."""
    usable, rejected = [], []
    for question in questions:
        reason = why_unusable(question, durations_s, model, prompt, max_prompt_tokens=max_prompt_tokens)
        if reason is None:
            usable.append(question)
        else:
            rejected.append(rejection(question, reason))
    return usable, rejected


def why_unusable(
    question: Question,
    durations_s: Mapping[AudioSpan, float],
    model: AudioLM,
    prompt: Prompt,
    *,
    crop: bool = False,
    max_prompt_tokens: int | None = None,
) -> str | None:
    """The reason why the model cannot be given this question, or None where it can.

    Args:
        crop: a clip that is too long will be cropped, so it is no reason.
        max_prompt_tokens: None = no limit.
    """
    lengths = []
    for span in question.audio_spans:
        samples = max(model.min_samples, round(durations_s[span] * SAMPLE_RATE_HZ))
        if samples > model.max_samples and not crop:
            clip_s, longest_s = durations_s[span], model.max_samples / SAMPLE_RATE_HZ
            return (
                f"{span}: {clip_s:.1f} s, the model hears {longest_s:.0f} s "
                f"({samples:,} of {model.max_samples:,} samples at 16 kHz); cut the clip"
            )
        lengths.append(min(samples, model.max_samples))
    try:
        length = model.prompt_length(prompt.conversation(question), lengths)
    except ValueError as error:  # a control token in the text, or more choices than letters
        return str(error)
    if max_prompt_tokens is not None and length > max_prompt_tokens:
        return f"a prompt of {length} tokens, data.max_prompt_tokens is {max_prompt_tokens}; a prompt is never cut"
    return None


def count_short_and_long_clips(
    questions: Iterable[Question], durations_s: Mapping[AudioSpan, float], model: AudioLM
) -> tuple[int, int]:
    """How many different clips are shorter than the model's shortest, and how many are longer than its longest."""
    clips = {span for question in questions for span in question.audio_spans}
    samples = [round(durations_s[clip] * SAMPLE_RATE_HZ) for clip in clips]
    return sum(n < model.min_samples for n in samples), sum(n > model.max_samples for n in samples)
