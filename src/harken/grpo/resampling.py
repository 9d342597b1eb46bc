"""Replaces the prompts of a step whose completions all earn the same (dynamic sampling of DAPO, arXiv 2503.14476).

Such a group has no advantage, so a step with many of them learns from few prompts. `GrpoStep` samples, and asks here
which groups are kept and which questions are tried in place of the others, round after round. A step keeps its number
of prompts: what is still missing after the last round is filled with groups of equal rewards, the first ones first.

Every choice follows from (seed, step) and the rewards of all ranks, in the order of the questions and not of the ranks.
So a resumed run, and one on another number of ranks, tries and keeps the same questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from harken.config import GrpoConfig
from harken.data.question_order import QuestionOrder
from harken.grpo.advantage import equal_groups
from harken.grpo.micro_batch import SampledBatch
from harken.grpo.sample_completions import micro_batch_parts
from harken.planning.step_sizes import StepSizes
from harken.system.ranks import Ranks


@dataclass(slots=True)
class TriedGroups:
    """The groups that a step has sampled so far, over all ranks.

    Attributes:
        order: the order of the run's questions.
        step: 0-based.
        indices: the questions that were tried, by their indices, in order; those of the first round come first.
        equal: [len(indices)] whether all rewards of the group are equal; shorter while a round is under way.
        prompts: number of prompts of a step.
        rounds: how often prompts were replaced.
    """

    order: QuestionOrder
    step: int
    indices: list[int]
    ranks: Ranks
    equal: list[bool] = field(init=False, default_factory=list)
    prompts: int = field(init=False)
    rounds: int = field(init=False, default=0)
    _own: list[tuple[int, SampledBatch]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.prompts = len(self.indices)

    def add(self, sampled: Sequence[tuple[SampledBatch, Tensor]], ids: Sequence[str]) -> None:
        """Note what a round sampled and earned.

        Args:
            sampled: the micro-batches of this rank, without graphs and without stand-ins, and [P, G] what each earned.
            ids: of this rank's questions of the round, in their order.
        """
        first = len(self.equal)
        places = self.ranks.own_part(range(first, len(self.indices)))
        place_of: dict[str, list[int]] = {}
        for ident, place in zip(ids, places, strict=True):
            place_of.setdefault(ident, []).append(place)  # a step may hold a question twice where the data are few
        own: list[tuple[int, bool]] = []
        for batch, earned in sampled:
            equal_in_batch = equal_groups(earned).tolist()
            for p, question in enumerate(batch.questions):
                place = place_of[question.id].pop(0)
                self._own.append((place, batch.groups(p, p + 1)))
                own.append((place, equal_in_batch[p]))
        equal = dict(pair for part in self.ranks.gather(own) for pair in part)
        self.equal += [equal[place] for place in range(first, len(self.indices))]

    def next_round(self) -> list[int]:
        """The indices of the questions to try in place of those whose groups are equal; empty where none is missing or
        no question is left. They count as tried from now on."""
        missing = self.prompts - self.equal.count(False)
        chosen = self.order.replacements(missing, self.step, self.indices) if missing > 0 else []
        if chosen:
            self.rounds += 1
            self.indices += chosen
        return chosen

    def kept(self) -> list[SampledBatch]:
        """The groups of this rank that the step keeps, each by itself, those with short prompts first."""
        varied = [place for place, equal in enumerate(self.equal) if not equal]
        filled = [place for place, equal in enumerate(self.equal) if equal][: self.prompts - len(varied)]
        places = {*varied, *filled}
        groups = [(place, batch) for place, batch in self._own if place in places]
        return [batch for _, batch in sorted(groups, key=lambda group: (group[1].inputs[0].length, group[0]))]

    def figures(self) -> dict[str, float]:
        """How often prompts were replaced, the prompts that were sampled in all, and the share of equal groups before
        any was replaced, which `reward/equal_groups` is without resampling."""
        return {
            "resample/rounds": float(self.rounds),
            "resample/prompts": float(len(self.indices)),
            "resample/equal_groups_first": sum(self.equal[: self.prompts]) / self.prompts,
        }


def micro_batches(groups: Sequence[SampledBatch], settings: GrpoConfig, sizes: StepSizes) -> list[SampledBatch]:
    """Groups joined into micro-batches, as `sample_completions` cuts them."""
    if not groups:
        return []
    whole = SampledBatch.join(groups)
    lengths = whole.completions.lengths.tolist()
    return whole.cut(micro_batch_parts(whole.inputs, lengths, settings, sizes))
