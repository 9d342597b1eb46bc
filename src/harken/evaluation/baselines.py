"""Answers that need no model: what a benchmark's figures are to be read against.

Takes questions, gives a choice for each. Not taken: the expected accuracy in closed form alone; it is `chance` in every
summary, and a row of its own goes through the same grader, intervals and tables as a model's.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from harken.errors import DataError
from harken.questions.choice_orders import Answer, Trial
from harken.types import AudioSpan, Question


def random_guess(questions: Sequence[Question]) -> list[int]:
    """[n] one of each question's choices, each as likely as another, drawn from its id."""
    words = [hashlib.sha256(question.id.encode(errors="surrogatepass")).digest()[:8] for question in questions]
    return [
        int.from_bytes(word, "big") % len(question.choices) for word, question in zip(words, questions, strict=True)
    ]


def most_frequent_choice(questions: Sequence[Question]) -> list[int]:
    """[n] the position that is most often right in these questions, of equals the first; where a question has no such
    position, its last.

    The position is counted on what it is scored on, as in MMAU's row of that name: an upper bound of such guessing.
    Raises DataError where every answer is hidden.
    """
    counts = Counter(question.answer for question in questions if question.answer is not None)
    if not counts:
        raise DataError("the benchmark hides its answers: no choice is the most frequent one")
    most = min(counts, key=lambda position: (-counts[position], position))
    return [min(most, len(question.choices) - 1) for question in questions]


BASELINES: dict[str, Callable[[Sequence[Question]], list[int]]] = {
    "random-guess": random_guess,
    "most-frequent-choice": most_frequent_choice,
}
"""Names that an evaluation takes in the place of a model's."""


class Baseline:
    """A baseline as the model that an evaluation asks. Its answers are the bare texts of choices, graded as a model's;
    the samples of a trial are all the same."""

    def __init__(self, name: str, samples: int) -> None:
        self._choose, self._samples = BASELINES[name], samples

    def fault(self, question: Question, durations_s: Mapping[AudioSpan, float]) -> None:
        """It can be asked anything."""
        return

    def counts(self, questions: Sequence[Question], durations_s: Mapping[AudioSpan, float]) -> dict[str, int]:
        return {}

    def answers(self, trials: Sequence[Trial], audio: str, journal: Path) -> Iterator[list[tuple[Trial, list[Answer]]]]:
        """All at once; nothing is kept in the journal."""
        chosen = self._choose([trial.question for trial in trials])
        texts = [trial.question.choices[choice] for trial, choice in zip(trials, chosen, strict=True)]
        yield [(trial, [Answer(text, 0, True)] * self._samples) for trial, text in zip(trials, texts, strict=True)]
