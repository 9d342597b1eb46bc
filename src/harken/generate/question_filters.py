"""Filters of written questions, each off unless the recipe says so (docs/generate.md; the two guards are ours [O]).

Takes questions beside the clips they are about, gives for each the reason it is dropped for, or none. Reasons read
`kind: detail`. Not taken: a language model as judge of a question; papers checked by hand (`harken prepare review`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harken.config import PromptConfig, QuestionFilters, SamplingConfig
from harken.errors import CheckpointError
from harken.generate.clip_facts import Clip
from harken.generate.retries import Advance, Asker
from harken.questions.grader import grade
from harken.questions.prompt import Prompt
from harken.system.model_requests import Reply, Request
from harken.types import Question

_NO_MUSIC = re.compile(
    r"\b(?:no|without(?: any)?|lacks|absence of|not (?:have|contain|feature|include)(?: any)?|free of) "
    r"(?:\w+ ){0,2}music|\bnone\b|\bmusic(?: is)? (?:absent|not present)\b"
)
_ABOUT_MUSIC = re.compile(
    r"\b(?:music|musical|musicians?|songs?|melod(?:y|ies)|tunes?|instruments?|instrumental|genres?|chords?|tempo|"
    r"harmony|guitars?|pianos?|drums?|violins?|flutes?|trumpets?|saxophones?|cellos?|orchestras?)\b"
)


def dropped_by_words(filters: QuestionFilters, question: Question, clip: Clip) -> str | None:
    """The filters that need no model: the first that drops the question, or None."""
    words = sum(len(text.split()) for text in (question.text, *question.choices))
    if filters.max_words is not None and words > filters.max_words:
        return f"over max_words: {words}"
    if filters.music_stated and not states_music(clip) and is_about_music(question):
        return "music not stated: the question is about music and no fact about the clip states any"
    return None


def states_music(clip: Clip) -> bool:
    """Whether the fact about music is there and does not say that there is none."""
    return bool(clip.music) and not _NO_MUSIC.search(clip.music.casefold())


def is_about_music(question: Question) -> bool:
    """Whether the question or its right choice holds a word about music; wrong choices may."""
    assert question.answer is not None
    return bool(_ABOUT_MUSIC.search(f"{question.text}\n{question.choices[question.answer]}".casefold()))


def dropped_by_tokens(questions: Mapping[int, Question], tokenizer: str, max_tokens: int) -> dict[int, str | None]:
    """Why each question is dropped: tokens of its text and of each choice, special tokens left out.

    Raises CheckpointError where no tokenizer can be loaded.
    """
    from transformers import AutoTokenizer  # seconds to import, and only this filter needs it

    try:
        tokenize = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"filters.tokenizer: {tokenizer}: no tokenizer can be loaded: {error}") from error
    found: dict[int, str | None] = {}
    for place, question in questions.items():
        rows = tokenize([question.text, *question.choices], add_special_tokens=False)["input_ids"]
        count = sum(len(row) for row in rows)
        found[place] = f"over max_tokens: {count}" if count > max_tokens else None
    return found


def answered_unheard(
    asker: Asker, questions: Sequence[Question], tries: int, sampling: SamplingConfig, advance: Advance
) -> list[str | None]:
    """For each question, why it is dropped: answered right without the clip in all of `tries`, or a try without reply.

    The choices are shown in another rotation each time, so that a generator that likes a position is not right by it.
    """
    prompt = Prompt.from_config(PromptConfig())
    asked = [(question, k) for question in questions for k in range(tries)]
    requests = (
        Request(
            [{"role": "user", "content": prompt.text(_rotated(question, k))}],
            sampling.max_tokens,
            sampling.temperature,
            variant=f"{question.id}, without the clip, try {k}",
        )
        for question, k in asked
    )
    right = [0] * len(questions)
    failed: dict[int, str] = {}
    for number, answer in enumerate(asker.ask_all(requests)):
        index, k = divmod(number, tries)
        if isinstance(answer, Reply):
            shown = _rotated(questions[index], k)
            right[index] += grade(answer.text, shown.choices, shown.answer, letters_shown=False).correct
        else:
            failed[index] = answer.reason
        advance(number + 1, len(asked))
    return [_verdict(count, tries, failed.get(index)) for index, count in enumerate(right)]


def _verdict(right: int, tries: int, failure: str | None) -> str | None:
    if failure is not None:
        return f"no reply: {failure}"
    return f"answered without the clip: {tries} of {tries} tries" if right == tries else None


def _rotated(question: Question, by: int) -> Question:
    assert question.answer is not None
    n = len(question.choices)
    choices = tuple(question.choices[(index + by) % n] for index in range(n))
    return replace(question, choices=choices, answer=(question.answer - by) % n)
