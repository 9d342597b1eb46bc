"""MMAU-Pro's checks of instructions: whether an answer has the form that the spoken instruction asks for.

Each check has the name and the arguments that the benchmark's records give it, and does what the authors' script does,
faults included: "dog" is found in "dogma", and a missing argument counts as 0 or as "". Sentences are counted by NLTK's
own `sent_tokenize`, which needs the package and its data (`pip install nltk; python -m nltk.downloader punkt_tab`).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

Arguments = Mapping[str, Any]


class NoSentencesError(Exception):
    """Sentences cannot be counted here."""


def follows(kind: str, arguments: Arguments, instruction: str, answer: str) -> bool:
    """Whether the answer passes the check; False for a check with another name.

    Args:
        instruction: the text of the question, which "Repeat Prompt" wants repeated.

    Raises NoSentencesError where sentences are to be counted and NLTK or its data is missing, and TypeError or
    AttributeError where an argument has another type than the check needs.
    """
    if kind == "Repeat Prompt":
        return answer.strip().lower().startswith(instruction.strip().lower())
    check = _CHECKS.get(kind)
    return check is not None and bool(check(answer, arguments))


def _within(count: Callable[[str], int]) -> Callable[[str, Arguments], bool]:
    return lambda answer, given: given.get("N1", 0) <= count(answer) <= given.get("N2", 999)


def _at_least(count: Callable[[str], int]) -> Callable[[str, Arguments], bool]:
    return lambda answer, given: count(answer) >= given.get("N", 0)


def _at_most(count: Callable[[str], int]) -> Callable[[str, Arguments], bool]:
    return lambda answer, given: count(answer) <= given.get("N", 0)


def _exactly(count: Callable[[str], int]) -> Callable[[str, Arguments], bool]:
    return lambda answer, given: count(answer) == given.get("N", 0)


def _words(answer: str) -> int:
    return len(answer.split())


def _capital_words(answer: str) -> int:
    return sum(word.isupper() for word in answer.split())


def _sentences(answer: str) -> int:
    try:
        from nltk.tokenize import sent_tokenize  # pyright: ignore[reportMissingImports]

        return len(sent_tokenize(answer))
    except (ImportError, LookupError) as error:
        raise NoSentencesError("nltk and its data punkt_tab are not here") from error


def _paragraphs(answer: str) -> int:
    return sum(bool(part.strip()) for part in answer.split("***"))


def _letters(text: str, kept: str) -> str:
    return re.sub(f"[^{kept}]", "", text).lower()


def _occurrences(answer: str, given: Arguments) -> bool:
    keyword = re.escape(given.get("keyword", "").lower())
    return len(re.findall(rf"\b{keyword}\b", answer.lower())) == given.get("N", 0)


def _sections(answer: str, given: Arguments) -> bool:
    splitter = re.escape(given.get("section_splitter", ""))
    return sum(bool(part.strip()) for part in re.split(rf"\s*{splitter}\s*", answer.strip())) == given.get("N", 0)


def _two_responses(answer: str, given: Arguments) -> bool:
    parts = [part.lower().strip() for part in answer.split("******")]
    return len(parts) == 2 and parts[0] != parts[1]


def _listed(given: Arguments, key: str) -> list[str]:
    return given.get(key, "").lower().split(", ")


_CHECKS: dict[str, Callable[[str, Arguments], bool]] = {
    "Include Keywords": lambda answer, given: all(word in answer.lower() for word in _listed(given, "keywords")),
    "Keyword Frequency": _occurrences,
    "Forbidden Words": lambda answer, given: (
        not any(word in answer.lower() for word in _listed(given, "forbidden_words"))
    ),
    "Number Paragraphs": _exactly(_paragraphs),
    "Number Words (at least)": _at_least(_words),
    "Number Words (at most)": _at_most(_words),
    "Number Words (range)": _within(_words),
    "Number Sentences (at least)": _at_least(_sentences),
    "Number Sentences (at most)": _at_most(_sentences),
    "Number Sentences (range)": _within(_sentences),
    "Postscript": lambda answer, given: (
        _letters(given.get("postscript_marker", ""), "a-zA-Z") in _letters(answer, "a-zA-Z")
    ),
    "Number Placeholder": _at_least(lambda answer: len(re.findall(r"\[[^\]]+\]", answer))),
    "Number Bullets": _exactly(lambda answer: len(re.findall(r"(?:^|\n)\s*\*\s+", answer))),
    "Title": lambda answer, given: re.search(r"<<[^>]+>>", answer) is not None,
    "Minimum Number Highlighted Section": _at_least(lambda answer: len(re.findall(r"\*([^*]+)\*", answer))),
    "Multiple Sections": _sections,
    "Two Responses": _two_responses,
    "All Uppercase": lambda answer, given: answer.isupper(),
    "All Lowercase": lambda answer, given: answer.islower(),
    "All-capital Words (at least)": _at_least(_capital_words),
    "All-capital Words (at most)": _at_most(_capital_words),
    "All-capital Words (range)": _within(_capital_words),
    "Start Checker": lambda answer, given: _letters(answer, "a-zA-Z ").startswith(
        _letters(given.get("start_phrase", ""), "a-zA-Z ")
    ),
    "End Checker": lambda answer, given: _letters(answer, "a-zA-Z ").endswith(
        _letters(given.get("end_phrase", ""), "a-zA-Z ")
    ),
    "Quotation": lambda answer, given: answer.strip().startswith('"') and answer.strip().endswith('"'),
    "No Commas": lambda answer, given: "," not in answer,
}

CHECKS = (*_CHECKS, "Repeat Prompt")
"""The names of all checks."""
