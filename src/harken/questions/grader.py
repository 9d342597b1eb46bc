"""The one grader, shared by reward and evaluation: it reads the text of a completion as one of the choices, or as none.

The text is data: whatever it holds, nothing raises, and the time stays near linear in its length. A careful person's
reading decides, in this order: the whole answer is the text of a choice; the answer states a letter, where the prompt
showed letters; the answer names one choice in its sentences. docs/evaluation.md lists the rules with examples.
"""

import re
from collections.abc import Sequence

from harken.questions.named_choices import named_choice
from harken.questions.output_parts import answer_part, form_of_output, reasoning
from harken.questions.readings import AS_SPOKEN, SINGULAR, coarsest_reading, read
from harken.questions.stated_letters import stated_letter
from harken.types import Grade, Question, Response

OPEN = "open question"
"""The reason of a grade without a choice, where the question has none."""
LONGEST_ANSWER = 20_000
"""Characters of an answer whose sentences are read. A longer one is read only where it is a choice as a whole."""
_LABEL = re.compile(r"[\s\"'`*_#>-]*(?:[(\[]?(?P<letter>[A-Za-z])(?:[)\].:]+| -))[*_]*\s*(?P<line>[^\n]*)")
_CLAUSE_END = re.compile(r"[.,;(]")
_BRACKETED = re.compile(r"[(\[]([A-Za-z])[)\]]")


def understand(
    text: str, question: Question, *, letters_shown: bool, tokens: int, ended: bool, tags_asked: bool = True
) -> Response:
    """One completion of a question with its form, its reasoning and its grade. Never raises for any `text`.

    Args:
        letters_shown, tags_asked: whether the prompt showed letters and asked for tags.
    """
    graded = grade(text, question.choices, question.answer, letters_shown=letters_shown)
    kind = form_of_output(text, tags_asked=tags_asked)
    return Response(question, text, kind, reasoning(text), graded, tokens, ended)


def grade(text: str, choices: Sequence[str], answer: int | None, *, letters_shown: bool) -> Grade:
    """Read one completion as a choice.

    Args:
        text: the completion without special tokens; anything at all.
        choices: the texts shown, in order; none for an open question, whose answer is no choice. Of equal texts the
            first counts as chosen, and choosing it is correct where the answer is any of them.
        answer: index of the right choice; None (hidden) grades as not correct.
        letters_shown: whether the prompt showed `(A) a (B) b`; without it a letter is just text.

    Returns:
        A Grade; an unreadable answer is wrong. Never raises for any `text`.

    Example:
        >>> grade("<think>a piano?</think><answer>Bass.</answer>", ["guitar", "bass"], 1, letters_shown=False)
        Grade(choice=1, correct=True, extracted='Bass.', reason='exact')
    """
    extracted = answer_part(text)
    if not choices:  # also without an answer: what scores open questions finds nothing in it
        return Grade(None, False, extracted or "", OPEN)
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
    if len(" ".join(answer.split())) > LONGEST_ANSWER:
        exact = _exact(answer, choices, 0)
        return exact, "too long" if exact is None else "exact"
    level = coarsest_reading(choices)
    # "(A)" is an option as the prompt showed it, also where some choice's text is "A" (MMAU asks for keys and chords).
    option = letters_shown and _BRACKETED.fullmatch(answer.strip())
    exact = _exact(answer, choices, min(level, 2) if option else level)
    if exact is not None:
        return exact, "exact"
    if letters_shown:
        choice, reason = _lettered_choice(answer, choices, level)
        if reason != "no choice":
            return choice, reason
    named = named_choice(answer, choices, min(level, AS_SPOKEN))
    if named[1] == "no choice" and level >= SINGULAR:
        named = named_choice(answer, choices, SINGULAR)
    return named


def _lettered_choice(answer: str, choices: Sequence[str], level: int) -> tuple[int | None, str]:
    """The choice whose letter the answer states; "several choices" where the letter labels another choice's text."""
    strict = coarsest_reading(choices, 3)
    keys = [read(choice, strict) for choice in choices]
    label = _LABEL.match(answer.strip())
    labelled: set[str] = set()
    if label is not None:
        line = label["line"]
        indices = _choices_in_label(line, choices, level) or _choices_in_label(
            _CLAUSE_END.split(line)[0], choices, level
        )
        labelled = {keys[index] for index in indices}
        own = "abcdefghijklmnopqrstuvwxyz".find(label["letter"].lower())
        if own < len(choices) and _exact(line, choices, level) == own and label.end() == len(answer.strip()):
            return own, "letter"  # also "C. D" where the third choice is the chord D
    choice, reason = stated_letter(answer, choices, [keys.index(key) for key in keys])
    if choice is not None and labelled - {keys[choice]}:
        return None, "several choices"  # "(B) a dog" where B is the cat
    return choice, reason


def _choices_in_label(text: str, choices: Sequence[str], level: int) -> list[int]:
    """The choices that a label's text is, alone or joined by "or": empty where it is anything else."""
    whole = _exact(text, choices, level)
    if whole is not None:
        return [whole]
    pieces = [_exact(piece, choices, level) for piece in re.split(r"\s*(?:/|\bor\b|\band\b)\s*", text)]
    return [] if None in pieces else [index for index in pieces if index is not None]


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
