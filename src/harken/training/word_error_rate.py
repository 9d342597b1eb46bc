"""Word error rate of transcripts against their references.

Takes texts, gives one rate over all of them: word-level edit distance (substitutions + deletions + insertions) divided
by the words of the references, as jiwer and NIST define it. Not taken: a mean over transcripts, in which a word of a
short one weighs more, and language-specific rules (numbers as digits, contractions); a set is compared with itself.
"""

import unicodedata
from collections.abc import Sequence


def words(text: str) -> list[str]:
    """NFKC, lower case, punctuation (Unicode category P) deleted, split at white space."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(sign for sign in folded if not unicodedata.category(sign).startswith("P")).split()


def edit_distance(reference: Sequence[str], said: Sequence[str]) -> int:
    """Fewest substitutions, deletions and insertions that make one of the other."""
    above = list(range(len(said) + 1))
    for i, expected in enumerate(reference, start=1):
        row = [i]
        for j, found in enumerate(said, start=1):
            row.append(min(above[j - 1] + (expected != found), above[j] + 1, row[j - 1] + 1))
        above = row
    return above[-1]


def word_error_rate(references: Sequence[str], said: Sequence[str]) -> float:
    """Errors over reference words, both summed over all pairs; above 1 where much is inserted.

    Raises ValueError where the lists differ in length or the references hold no word.
    """
    pairs = [(words(reference), words(text)) for reference, text in zip(references, said, strict=True)]
    total = sum(len(reference) for reference, _ in pairs)
    if total == 0:
        raise ValueError("no word in the references: there is no word error rate")
    return sum(edit_distance(reference, text) for reference, text in pairs) / total
