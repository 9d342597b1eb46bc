"""Filters of written questions; each is off unless the recipe turns it on (docs/generate.md).

Every filter gives the reason `kind: detail` why it drops a question, or None. The two filters by words are ours [O]. No
language model judges the questions; `harken prepare review` lets a person check a sample.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from harken.config import PromptConfig, QuestionFilters, SamplingConfig
from harken.errors import CheckpointError
from harken.generate.absent_facts import states_absence
from harken.generate.clients import GeneratorClient
from harken.generate.clip_facts import ClipFacts
from harken.questions.grader import grade
from harken.questions.prompt import Prompt
from harken.system.model_messages import Reply, Request
from harken.system.progress import OnProgress
from harken.types import Question

_ABOUT_MUSIC = re.compile(
    r"\b(?:music|musical|musicians?|songs?|melod(?:y|ies)|tunes?|instruments?|instrumental|genres?|chords?|tempo|"
    r"harmony|guitars?|pianos?|drums?|violins?|flutes?|trumpets?|saxophones?|cellos?|orchestras?)\b"
)


def drop_reason_by_words(filters: QuestionFilters, question: Question, clip: ClipFacts) -> str | None:
    """The reason of the first filter that drops the question, among those that need no model."""
    n_words = sum(len(text.split()) for text in (question.text, *question.choices))
    if filters.max_words is not None and n_words > filters.max_words:
        return f"over max_words: {n_words}"
    if filters.music_stated and not states_music(clip) and is_about_music(question):
        return "music not stated: the question is about music and no fact about the clip states any"
    return None


def states_music(clip: ClipFacts) -> bool:
    """Whether there is a fact about music, and it does not only say that there is none."""
    return bool(clip.music) and not states_absence(clip.music)


def is_about_music(question: Question) -> bool:
    """Whether the question or its right choice has a word about music; wrong choices do not count."""
    assert question.answer is not None
    return bool(_ABOUT_MUSIC.search(f"{question.text}\n{question.choices[question.answer]}".casefold()))


def drop_by_tokens(tokenizer: str, max_tokens: int) -> Callable[[Question], str | None]:
    """A function that gives the reason by the tokens of a question's text and choices, without special tokens.

    Raises CheckpointError where no tokenizer can be loaded.
    """
    from transformers import AutoTokenizer  # imported here because it takes seconds and only this filter needs it

    try:
        tokenize = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"filters.tokenizer: {tokenizer}: no tokenizer can be loaded: {error}") from error

    def reason(question: Question) -> str | None:
        rows = tokenize([question.text, *question.choices], add_special_tokens=False)["input_ids"]
        n_tokens = sum(len(row) for row in rows)
        return f"over max_tokens: {n_tokens}" if n_tokens > max_tokens else None

    return reason


def drop_reasons_without_clip(
    client: GeneratorClient,
    questions: Sequence[Question],
    tries: int,
    sampling: SamplingConfig,
    on_progress: OnProgress,
) -> list[str | None]:
    """Ask the model each question without its clip. A question is dropped if every try is right or a try has no reply.

    The choices are rotated for each try, so that a model that prefers a position is not right because of it.
    """
    prompt = Prompt.from_config(PromptConfig())
    n_trials = len(questions) * tries
    requests = (
        Request(
            [{"role": "user", "content": prompt.text(_rotate_choices(question, k))}],
            sampling.max_tokens,
            sampling.temperature,
            variant=f"{question.id}, without the clip, try {k}",
        )
        for question in questions
        for k in range(tries)
    )
    n_right = [0] * len(questions)
    failures: dict[int, str] = {}
    for number, answer in enumerate(client.send_all(requests)):
        index, k = divmod(number, tries)
        if isinstance(answer, Reply):
            rotated = _rotate_choices(questions[index], k)
            n_right[index] += grade(answer.text, rotated.choices, rotated.answer, letters_shown=False).correct
        else:
            failures[index] = answer.reason
        on_progress(number + 1, n_trials)
    return [_drop_reason(n, tries, failures.get(index)) for index, n in enumerate(n_right)]


def _drop_reason(n_right: int, tries: int, failure: str | None) -> str | None:
    if failure is not None:
        return f"no reply: {failure}"
    return f"answered without the clip: {tries} of {tries} tries" if n_right == tries else None


def _rotate_choices(question: Question, by: int) -> Question:
    assert question.answer is not None
    n = len(question.choices)
    choices = tuple(question.choices[(index + by) % n] for index in range(n))
    return replace(question, choices=choices, answer=(question.answer - by) % n)
