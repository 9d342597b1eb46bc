"""Does the model listen? The accuracy of a run with each kind of audio, for the report's plot.

`harken evaluate --listening --out RUN/eval/NAME` puts the same questions with the clip, without it, with silence, with
noise and with another question's clip; each of the five is an evaluation of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harken.config.data import AUDIO_MODES
from harken.report.paired_figures import accuracy_of, paired_gains
from harken.report.question_sets import AFTER, BEFORE, QuestionSet
from harken.stats import Estimate

LABELS = {
    "real": "the clip",
    "none": "no clip",
    "silence": "silence",
    "noise": "noise",
    "shuffled": "another question's clip",
}
"""How the report names each audio mode."""


@dataclass(frozen=True, slots=True)
class HeardAccuracy:
    """One kind of audio: accuracy before and after training; None where it was not evaluated.

    Attributes:
        gain: the accuracy with the clip minus the accuracy with this audio, paired by question, of the model after
            training, or before where there is none after; None for the clip itself.
    """

    label: str
    before: Estimate | None
    after: Estimate | None
    gain: Estimate | None


def listening_lines(questions: QuestionSet) -> Sequence[HeardAccuracy]:
    """One line for each kind of audio, the clip first; empty where no kind but clip and no clip was evaluated."""
    if not {audio for _, audio in questions.evaluations} & set(AUDIO_MODES[2:]):
        return []
    lines = []
    for mode in AUDIO_MODES:
        before, after = (accuracy_of(questions.get(when, mode), "all") for when in (BEFORE, AFTER))
        if before is None and after is None:
            continue
        lines.append(HeardAccuracy(LABELS[mode], before, after, None if mode == "real" else _gain(questions, mode)))
    return lines


def _gain(questions: QuestionSet, mode: str) -> Estimate | None:
    """The paired difference, None where a side is missing or they cannot be compared."""
    when = AFTER if questions.get(AFTER, mode) is not None else BEFORE
    return paired_gains(questions.get(when, mode), questions.get(when), [], whole_only=True).get("all")
