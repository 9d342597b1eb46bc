"""The models that run.py trains: what each starts from, its questions, and when the training of a start ends."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Until:
    """When the training of a start ends: once its accuracy on development questions is high enough.

    Seeds differ by hundreds of steps in when they begin to hear, so a number of steps would not do.

    Attributes:
        kind: of the development questions, a kind of digit_data.py.
        group: those of them that count, a group of an evaluation's summary: a difficulty, or "all".
        accuracy: training ends when it is reached on them.
        every: steps between two evaluations.
        most: steps after which training ends in any case.
    """

    kind: str
    group: str
    accuracy: float
    every: int
    most: int


@dataclass(frozen=True, slots=True)
class Row:
    """A model that is trained.

    Attributes:
        loop: train (GRPO) or sft.
        recipe: its file in this folder.
        start: the row that it starts from.
        data: the training questions, a manifest of digit_data.py without its ending.
        kinds: the kinds of questions that it is evaluated on.
        until: when its training ends; the steps of the recipe are then only the first.
    """

    loop: str
    recipe: str
    start: str
    data: str
    kinds: tuple[str, ...] = ()
    until: Until | None = None

    @property
    def has_tags(self) -> bool:
        return self.recipe not in ("warm", "answers")


THINKING = ("noise", "sums", "pairs", "faint")
ROWS = {
    "start_text": Row("sft", "start_text", "tiny", "text"),
    "start": Row("sft", "start", "start_text", "start", THINKING, Until("noise", "clean", 0.85, 50, 900)),
    "faint_atar": Row("train", "atar", "start", "faint_train", ("faint",)),
    "noise_atar": Row("train", "atar", "start", "noise_train", ("noise",)),
    "noise_accuracy": Row("train", "accuracy", "start", "noise_train", ("noise",)),
    "sums_atar": Row("train", "atar", "start", "sums_train", ("sums",)),
    "pairs_atar": Row("train", "atar", "start", "pairs_train", ("pairs",)),
    "warm": Row("sft", "warm", "tiny", "answers_train", ("answers",), Until("answers", "all", 0.5, 50, 900)),
    "answers_grpo": Row("train", "answers", "warm", "answers_train", ("answers",)),
    "answers_sft": Row("sft", "answers", "warm", "answers_train", ("answers",)),
    "noise_no_balance": Row("train", "no_balance", "start", "noise_train", ("noise",)),
    "noise_sft": Row("sft", "control", "start", "noise_reasoned", ("noise",)),
    "sums_accuracy": Row("train", "accuracy", "start", "sums_train", ("sums",)),
    "sums_no_balance": Row("train", "no_balance", "start", "sums_train", ("sums",)),
    "sums_sft": Row("sft", "control", "start", "sums_reasoned", ("sums",)),
    "pairs_accuracy": Row("train", "accuracy", "start", "pairs_train", ("pairs",)),
    "pairs_sft": Row("sft", "control", "start", "pairs_reasoned", ("pairs",)),
    "faint_accuracy": Row("train", "accuracy", "start", "faint_train", ("faint",)),
    "faint_no_balance": Row("train", "no_balance", "start", "faint_train", ("faint",)),
    "faint_sft": Row("sft", "control", "start", "faint_reasoned", ("faint",)),
    "noise_priced": Row("train", "priced", "start", "noise_train", ("noise",)),
    "sums_priced": Row("train", "priced", "start", "sums_train", ("sums",)),
    "pairs_priced": Row("train", "priced", "start", "pairs_train", ("pairs",)),
    "faint_priced": Row("train", "priced", "start", "faint_train", ("faint",)),
}
"""Every row, in the order in which they are made."""
STARTS = ("start_text", "start", "warm")
