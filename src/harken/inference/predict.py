"""Answers of a local model, in batches of prompts of similar length.

Takes questions as they are shown, gives answers, batch by batch. Which questions share a batch depends on the list
alone, so that a run that goes on after it was killed decodes exactly the batches it would have decoded; each sample
has its own uniform numbers, named by (seed, order, question, sample). While one window of batches is decoded, threads
decode and render the clips of the next. Not taken: refilling a batch as its rows end, which ties every row's batch to
the rows before it.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from harken.inference.decode import Sampling, completion_texts, rollout
from harken.inference.inputs import PromptInputs
from harken.models.base import AudioLM, ModelInput
from harken.questions.choice_orders import Answer, Trial
from harken.questions.grader import grade
from harken.questions.prompt import Prompt
from harken.system.random import uniforms
from harken.types import Question

WINDOW = 8
"""Batches that are sorted by prompt length together, so that little of a batch is padding."""

Batch = list[tuple[Trial, list[Answer]]]
"""Trials that were decoded together, each with its samples."""


def predict(
    model: AudioLM,
    trials: Sequence[Trial],
    inputs: PromptInputs,
    sampling: Sampling,
    *,
    batch_size: int,
    samples: int = 1,
    seed: int = 0,
    forced: str = "",
    done: Callable[[Trial], bool] = lambda trial: False,
) -> Iterator[Batch]:
    """Batch after batch of at most `batch_size` rows, in no particular order; batches that are `done` in all their
    trials are left out. `forced`: the text that every completion begins with."""
    prompts = max(1, batch_size // samples)
    size = WINDOW * prompts
    windows = [trials[start : start + size] for start in range(0, len(trials), size)]
    windows = [window for window in windows if not all(done(trial) for trial in window)]
    rendered = inputs.ahead([trial.question for trial in window] for window in windows)
    for window, read in zip(windows, rendered, strict=True):
        pairs = sorted(zip(window, read, strict=True), key=lambda pair: pair[1].length)
        for first in range(0, len(pairs), prompts):
            batch = pairs[first : first + prompts]
            if not all(done(trial) for trial, _ in batch):
                yield _predict(model, batch, sampling, samples, seed, forced)


def _predict(
    model: AudioLM,
    batch: Sequence[tuple[Trial, ModelInput]],
    sampling: Sampling,
    samples: int,
    seed: int,
    forced: str,
) -> Batch:
    trials, read = zip(*batch, strict=True)
    numbers = None
    if sampling.temperature > 0:
        length = sampling.max_completion_tokens
        numbers = [uniforms(seed, one.order, one.question.id, g, length) for one in trials for g in range(samples)]
    begun = model.encode_answer(forced)[:-1].to(model.device)  # without its end of sequence
    with torch.no_grad():
        embedded = model.embed(read, model.encode_audio(read))
        if forced:
            embedded = [torch.cat([one, model.embed_tokens(begun)]) for one in embedded]
    completions = rollout(
        model, embedded, samples, sampling, None if numbers is None else torch.from_numpy(np.stack(numbers))
    )
    texts = [forced + text for text in completion_texts(model, completions)]
    lengths, ended = (completions.lengths + len(begun)).tolist(), completions.ended.tolist()
    answers = [Answer(*one) for one in zip(texts, lengths, ended, strict=True)]
    return [(trial, answers[p * samples : (p + 1) * samples]) for p, trial in enumerate(trials)]


def correct_on(
    model: AudioLM, questions: Sequence[Question], inputs: PromptInputs, prompt: Prompt, max_completion_tokens: int
) -> int:
    """How many questions of the development part are answered right, greedily."""
    trials = [Trial(question) for question in questions]
    correct = 0
    for batch in predict(model, trials, inputs, Sampling(0, max_completion_tokens), batch_size=32):
        for trial, (answer,) in batch:
            shown = trial.question
            correct += grade(answer.text, shown.choices, shown.answer, letters_shown=prompt.letters_shown).correct
    return correct
