"""Word error rate of transcripts against their references, as jiwer and NIST define it.

The rate is the number of wrong words (substitutions + deletions + insertions) in all transcripts, divided by the number
of words in all references. Both texts are folded alike, and no rule of a language is applied: "3" and "three" are
different words, and so are "it's" and "it is". A published rate may count them as equal, so it cannot be compared with
this one; rates that harken computes can be compared with each other. jiwer counts the same errors on these words; it is
not a dependency, because the distance is ten lines.
"""

import unicodedata
from collections.abc import Sequence


def words(text: str) -> list[str]:
    """The words of a text: NFKC, lower case, punctuation (Unicode category P) deleted, split at white space."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(sign for sign in folded if not unicodedata.category(sign).startswith("P")).split()


def edit_distance(reference: Sequence[str], transcript: Sequence[str]) -> int:
    """Smallest number of substitutions, deletions and insertions that turn one into the other."""
    above = list(range(len(transcript) + 1))
    for i, expected in enumerate(reference, start=1):
        row = [i]
        for j, word in enumerate(transcript, start=1):
            row.append(min(above[j - 1] + (expected != word), above[j] + 1, row[j - 1] + 1))
        above = row
    return above[-1]


def word_error_rate(references: Sequence[str], transcripts: Sequence[str]) -> float:
    """Errors divided by reference words, both summed over all pairs. It is above 1 where many words are inserted.

    Raises ValueError where the lists differ in length or the references have no word.
    """
    pairs = [(words(reference), words(text)) for reference, text in zip(references, transcripts, strict=True)]
    total = sum(len(reference) for reference, _ in pairs)
    if total == 0:
        raise ValueError("the references have no word, so there is no word error rate")
    return sum(edit_distance(reference, transcript) for reference, transcript in pairs) / total


def transcript_score(reference: str, transcript: str) -> float:
    """1 - the word error rate of one transcript, at least 0.

    A reference without words scores 1 for a transcript without words and 0 for any other.
    """
    expected, written = words(reference), words(transcript)
    if not expected:
        return float(not written)
    return max(0.0, 1.0 - edit_distance(expected, written) / len(expected))
