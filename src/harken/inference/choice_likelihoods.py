"""How likely a model is to write each choice of a question as its answer.

Evaluations report the share of the right choice, also where the model does not hear the clip: a question whose right
choice is likely without it needs no listening (`harken prepare filter`).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import torch

from harken.inference.completions import as_completions
from harken.inference.log_probabilities import score_packed
from harken.inference.prompt_inputs import PromptInputs
from harken.models.audio_lm import AudioLM
from harken.questions.prompt import Prompt
from harken.types import Question


@torch.no_grad()
def choice_logp(
    model: AudioLM, questions: Sequence[Question], inputs: PromptInputs, prompt: Prompt, *, batch_size: int
) -> list[list[float]]:
    """For each question the log-probability, in nats, of writing each choice, in the form that the prompt asks for and
    with the end of the sequence; [] for a question without choices.

    Args:
        batch_size: at most so many answers are scored together, those of one question at least.
    """
    model.module.eval()
    order = sorted(range(len(questions)), key=lambda i: len(questions[i].choices))
    logp: list[list[float]] = [[] for _ in questions]
    for n, same_size in groupby(order, key=lambda i: len(questions[i].choices)):
        if n == 0:
            continue
        places = list(same_size)
        size = max(1, batch_size // n)
        for part in (places[first : first + size] for first in range(0, len(places), size)):
            batch = [questions[place] for place in part]
            rendered = inputs(batch)
            answers = [model.encode_answer(_answer(prompt, question, k)) for question in batch for k in range(n)]
            embedded = model.embed(rendered, model.encode_audio(rendered))
            sums = score_packed(model, embedded, as_completions(answers, model.device)).logp.double().sum(1).tolist()
            for row, place in enumerate(part):
                logp[place] = sums[row * n : (row + 1) * n]
    return logp


def _answer(prompt: Prompt, question: Question, choice: int) -> str:
    return prompt.answer_text(replace(question, answer=choice, reasoning=""))
