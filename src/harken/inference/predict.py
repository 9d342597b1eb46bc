"""Answers of a local model to questions, decoded in batches of prompts of similar length.

Evaluation calls `predict`; training calls `which_correct` for accuracy on the development part. Which questions share a
batch depends on the list of questions alone, and each sample has its own uniform numbers from (seed, order, question,
sample). So a run that was killed decodes the batches that it would have decoded, and several ranks those of one. While
one window of batches is decoded, threads load and render the clips of the next.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from harken.inference.completions import completion_texts
from harken.inference.prompt_inputs import PromptInputs
from harken.inference.rollout import rollout
from harken.inference.sampling import Sampling
from harken.models.audio_lm import AudioLM, ModelInput
from harken.questions.choice_orders import Answer, Trial
from harken.questions.grader import grade
from harken.questions.prompt import Prompt
from harken.system.random import uniforms
from harken.system.ranks import SINGLE_PROCESS, Ranks
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
    think_tokens: int | None = None,
    done: Callable[[Trial], bool] = lambda trial: False,
    ranks: Ranks = SINGLE_PROCESS,
) -> Iterator[Batch]:
    """Yield batches of at most `batch_size` rows, in no particular order. Batches whose trials are all `done` are left
    out.

    Args:
        samples: completions for each trial.
        forced: the text that every completion begins with.
        think_tokens: with `forced` of `<think>`: the reasoning ends after so many tokens at most, and an answer with a
            maximum length of its own follows.
        ranks: each of them yields its share of the batches that one process would yield. Trials and what is done must
            be the same on all.
    """
    prompts = max(1, batch_size // samples)
    size = WINDOW * prompts
    windows = [trials[start : start + size] for start in range(0, len(trials), size)]
    windows = [window for window in windows if not all(done(trial) for trial in window)]
    # Ranks take whole windows in turn. Those that are left over are too few for that: every rank renders them, and
    # their batches are taken in turn.
    whole = len(windows) // ranks.size * ranks.size
    own, shared = windows[ranks.rank : whole : ranks.size], windows[whole:]
    rendered = inputs.prefetch([trial.question for trial in window] for window in [*own, *shared])
    n_shared = 0
    for number, (window, model_inputs) in enumerate(zip([*own, *shared], rendered, strict=True)):
        pairs = sorted(zip(window, model_inputs, strict=True), key=lambda pair: pair[1].length)
        batches = [pairs[first : first + prompts] for first in range(0, len(pairs), prompts)]
        batches = [batch for batch in batches if not all(done(trial) for trial, _ in batch)]
        if number >= len(own):
            n_shared += len(batches)
            batches = batches[(ranks.rank - n_shared + len(batches)) % ranks.size :: ranks.size]
        for batch in batches:
            if think_tokens is None:
                yield _predict_batch(model, batch, sampling, samples, seed, forced)
            else:
                yield _predict_after_thinking(model, batch, sampling, samples, seed, think_tokens)


def _predict_batch(
    model: AudioLM,
    batch: Sequence[tuple[Trial, ModelInput]],
    sampling: Sampling,
    samples: int,
    seed: int,
    forced: str,
) -> Batch:
    trials, model_inputs = zip(*batch, strict=True)
    forced_tokens = model.encode_answer(forced)[:-1].to(model.device)  # without the end-of-sequence token
    with torch.no_grad():
        prompts = model.embed(model_inputs, model.encode_audio(model_inputs))
        if forced:
            prompts = [torch.cat([prompt, model.embed_tokens(forced_tokens)]) for prompt in prompts]
    numbers = _uniforms(trials, sampling, samples, seed)
    completions = rollout(model, prompts, samples, sampling, numbers)
    texts = [forced + text for text in completion_texts(model, completions)]
    lengths, ended = (completions.lengths + len(forced_tokens)).tolist(), completions.ended.tolist()
    answers = [Answer(*fields) for fields in zip(texts, lengths, ended, strict=True)]
    return [(trial, answers[p * samples : (p + 1) * samples]) for p, trial in enumerate(trials)]


def _predict_after_thinking(
    model: AudioLM,
    batch: Sequence[tuple[Trial, ModelInput]],
    sampling: Sampling,
    samples: int,
    seed: int,
    think_tokens: int,
) -> Batch:
    """Decode a reasoning of at most so many tokens, end it, and decode the answer.

    The reasoning is cut where it closes or ends by itself. It is tokenized again with the tags around it, as a
    completion that the model read would be.
    """
    trials, model_inputs = zip(*batch, strict=True)
    with torch.no_grad():
        prompts = model.embed(model_inputs, model.encode_audio(model_inputs))
    opening = model.encode_answer("<think>")[:-1].to(model.device)
    thinking = replace(sampling, max_completion_tokens=think_tokens)
    numbers = _uniforms(trials, sampling, samples, seed, think_tokens + sampling.max_completion_tokens)
    with torch.no_grad():
        opened = [torch.cat([prompt, model.embed_tokens(opening)]) for prompt in prompts]
    first = None if numbers is None else numbers[:, :think_tokens]
    thoughts = completion_texts(model, rollout(model, opened, samples, thinking, first))
    begun = [f"<think>{text.partition('</think>')[0]}</think><answer>" for text in thoughts]
    tokens = [model.encode_answer(text)[:-1].to(model.device) for text in begun]
    with torch.no_grad():
        rows = [torch.cat([prompts[r // samples], model.embed_tokens(ids)]) for r, ids in enumerate(tokens)]
    second = None if numbers is None else numbers[:, think_tokens:]
    completions = rollout(model, rows, 1, sampling, second)
    texts = [start + text for start, text in zip(begun, completion_texts(model, completions), strict=True)]
    lengths = [len(ids) + n for ids, n in zip(tokens, completions.lengths.tolist(), strict=True)]
    answers = [Answer(*fields) for fields in zip(texts, lengths, completions.ended.tolist(), strict=True)]
    return [(trial, answers[p * samples : (p + 1) * samples]) for p, trial in enumerate(trials)]


def _uniforms(
    trials: Sequence[Trial], sampling: Sampling, samples: int, seed: int, length: int | None = None
) -> Tensor | None:
    """[trials * samples, length], by default `max_completion_tokens`; None where sampling is greedy."""
    if sampling.temperature == 0:
        return None
    length = sampling.max_completion_tokens if length is None else length
    rows = [uniforms(seed, trial.order, trial.question.id, g, length) for trial in trials for g in range(samples)]
    return torch.from_numpy(np.stack(rows))


def which_correct(
    model: AudioLM, questions: Sequence[Question], inputs: PromptInputs, prompt: Prompt, max_completion_tokens: int
) -> list[bool]:
    """For each question, in order, whether the model answers it correctly with greedy decoding."""
    trials = [Trial(question) for question in questions]
    correct: dict[int, bool] = {}  # by the identity of the trial, because an id is unique in its own file only
    for batch in predict(model, trials, inputs, Sampling(0, max_completion_tokens), batch_size=32):
        for trial, (answer,) in batch:
            question = trial.question
            read = grade(answer.text, question.choices, question.answer, letters_shown=prompt.letters_shown)
            correct[id(trial)] = bool(read.correct)
    return [correct[id(trial)] for trial in trials]
