"""The one grader, shared by reward and evaluation: it reads the text of a completion as one of the choices, or as none.

The text is data: whatever it holds, nothing raises, and the time stays near linear in its length. A careful person's
reading decides, in this order: the whole answer is the text of a choice; the answer states a letter, where the prompt
showed letters; the answer names one choice in its sentences. docs/evaluation.md lists the rules with examples.
"""

import re
from collections.abc import Sequence

from harken.questions.named_choices import named_choice
from harken.questions.output_parts import answer_part, form, reasoning
from harken.questions.readings import AS_SPOKEN, SINGULAR, coarsest_reading, read
from harken.questions.stated_letters import stated_letter
from harken.types import Grade, Question, Response

LONGEST_ANSWER = 20_000
"""Characters of an answer whose sentences are read. A longer one is read only where it is a choice as a whole."""
_LABELLED = re.compile(r"[(\[]?([A-Za-z])[)\].:]+\s*(\S[^\n]*)")
_BRACKETED = re.compile(r"[(\[]([A-Za-z])[)\]]")


def understand(text: str, question: Question, *, letters_shown: bool, tokens: int, ended: bool) -> Response:
    """One completion of a question with its form, its reasoning and its grade. Never raises for any `text`."""
    graded = grade(text, question.choices, question.answer, letters_shown=letters_shown)
    return Response(question, text, form(text), reasoning(text), graded, tokens, ended)


def grade(text: str, choices: Sequence[str], answer: int | None, *, letters_shown: bool) -> Grade:
    """Read one completion as a choice.

    Args:
        text: the completion without special tokens; anything at all.
        choices: the texts shown, in order. Of equal texts the first counts as chosen, and choosing it is correct where
            the answer is any of them.
        answer: index of the right choice; None (hidden) grades as not correct.
        letters_shown: whether the prompt showed `(A) a (B) b`; without it a letter is just text.

    Returns:
        A Grade; an unreadable answer is wrong. Never raises for any `text`.

    Example:
        >>> grade("<think>a piano?</think><answer>Bass.</answer>", ["guitar", "bass"], 1, letters_shown=False)
        Grade(choice=1, correct=True, extracted='Bass.', reason='exact')
    """
    extracted = answer_part(text)
    if extracted is None:
        return Grade(None, False, "", "unclosed think")
    if not extracted.strip():
        return Grade(None, False, extracted, "empty")
    choice, reason = _choice(extracted, choices, letters_shown)
    level = coarsest_reading(choices, 3)
    keys = [read(shown, level) for shown in choices]
    correct = choice is not None and answer is not None and keys[choice] == keys[answer]
    return Grade(choice, correct, extracted, reason)


def _choice(answer: str, choices: Sequence[str], letters_shown: bool) -> tuple[int | None, str]:
    level = coarsest_reading(choices)
    # "(A)" is an option as the prompt showed it, also where some choice's text is "A" (MMAU asks for keys and chords).
    option = letters_shown and _BRACKETED.fullmatch(answer.strip())
    exact = _exact(
        answer[: LONGEST_ANSWER + 1] if len(answer) > LONGEST_ANSWER else answer,
        choices,
        min(level, 2) if option else level,
    )
    if exact is not None:
        return exact, "exact"
    if len(answer) > LONGEST_ANSWER:
        return None, "too long"
    if letters_shown:
        labelled = _LABELLED.fullmatch(answer.strip())
        if labelled and _exact(labelled[2], choices, level) == "abcdefghijklmnopqrstuvwxyz".find(labelled[1].lower()):
            return _exact(labelled[2], choices, level), "letter"  # "C. D" where the third choice is the chord D
        strict = coarsest_reading(choices, 3)
        keys = [read(choice, strict) for choice in choices]
        choice, reason = stated_letter(answer, choices, [keys.index(key) for key in keys])
        if choice is not None and _states_another_text(answer, choices, choice, level):
            return None, "several choices"
        if reason != "no choice":
            return choice, reason
    named = named_choice(answer, choices, min(level, AS_SPOKEN))
    if named[1] == "no choice" and level >= SINGULAR:
        named = named_choice(answer, choices, SINGULAR)
    return named


def _exact(text: str, choices: Sequence[str], level: int) -> int | None:
    for reading in range(level + 1):
        wanted = read(text, reading)
        for index, choice in enumerate(choices):
            if wanted and read(choice, reading) == wanted:
                return index
    if level >= AS_SPOKEN:
        joined = read(text, AS_SPOKEN).replace(" ", "")
        same = [i for i, choice in enumerate(choices) if read(choice, AS_SPOKEN).replace(" ", "") == joined]
        if len(joined) >= 4 and len({read(choices[i], AS_SPOKEN) for i in same}) == 1:
            return same[0]
    return None


def _states_another_text(answer: str, choices: Sequence[str], chosen: int, level: int) -> bool:
    """Whether the answer labels another choice's text with the letter: "(B) dog" where B is the cat."""
    match = re.match(r"[\s\"'`*_#>-]*(?:[(\[]?[A-Za-z][)\].:]+|[A-Za-z] -)[*_]*\s*([^\n.,;(]+)", answer)
    if match is None:
        return False
    pieces = re.split(r"\s*(?:/|\bor\b|\band\b)\s*", match[1])
    indices = [_exact(match[1], choices, level)]
    if indices == [None]:
        indices = [_exact(piece, choices, level) for piece in pieces]
    strict = coarsest_reading(choices, 3)
    return all(index is not None for index in indices) and any(
        read(choices[index], strict) != read(choices[chosen], strict) for index in indices if index is not None
    )
