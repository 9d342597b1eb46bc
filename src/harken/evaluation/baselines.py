"""Baselines that answer without a model, as a reference for a benchmark's figures.

They go through the same grader, intervals and tables as a model, so that they stand in a row of their own.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from harken.errors import DataError
from harken.evaluation.journal import Journal
from harken.inference.predict import Batch
from harken.questions.choice_orders import Answer, Trial
from harken.types import AudioSpan, Question


def random_guess(questions: Sequence[Question]) -> list[int]:
    """[n] a choice of each question, drawn with equal probability from a hash of the question's id."""
    words = [hashlib.sha256(question.id.encode(errors="surrogatepass")).digest()[:8] for question in questions]
    return [
        int.from_bytes(word, "big") % max(1, len(question.choices))
        for word, question in zip(words, questions, strict=True)
    ]


def most_frequent_choice(questions: Sequence[Question]) -> list[int]:
    """[n] the position that is most often right in these questions; the first of equally frequent ones.

    A question that has fewer choices gets its last one. The position is counted on the questions that are scored, as in
    MMAU's row of that name, so it is an upper bound of such guessing. Raises DataError when every answer is hidden.
    """
    counts = Counter(question.answer for question in questions if question.answer is not None)
    if not counts:
        raise DataError("the benchmark hides its answers: no choice is the most frequent one")
    most = min(counts, key=lambda position: (-counts[position], position))
    return [max(0, min(most, len(question.choices) - 1)) for question in questions]


BASELINES: dict[str, Callable[[Sequence[Question]], list[int]]] = {
    "random-guess": random_guess,
    "most-frequent-choice": most_frequent_choice,
}
"""Values of `model` in a recipe that name a baseline."""


class Baseline:
    """An `EvaluatedModel`. Its answers are the texts of choices; all samples of a trial are the same."""

    def __init__(self, name: str, samples: int) -> None:
        self._choose, self._samples = BASELINES[name], samples

    def why_unusable(self, question: Question, durations_s: Mapping[AudioSpan, float]) -> None:
        """None: it can be asked every question."""
        return

    def clip_counts(self, questions: Sequence[Question], durations_s: Mapping[AudioSpan, float]) -> dict[str, int]:
        """No counts: it hears no clip."""
        return {}

    def answer(self, trials: Sequence[Trial], audio: str, journal: Journal) -> Iterator[Batch]:
        """Yield all answers in one batch. `journal` is not used."""
        chosen = self._choose([trial.question for trial in trials])
        texts = [
            trial.question.choices[choice] if trial.question.choices else ""
            for trial, choice in zip(trials, chosen, strict=True)
        ]
        yield [(trial, [Answer(text, 0, True)] * self._samples) for trial, text in zip(trials, texts, strict=True)]
