"""Calls the user's own reward functions on the completions of a step, on one rank or several.

A function that gets one response or one group is called on the rank that sampled it. One that gets the whole step is
called by the first rank, with the completions of all, in an order that does not depend on batches and ranks. So a step
over several ranks earns what it earns in one.
"""

from collections.abc import Sequence
from typing import Any

from harken.data.question_json import question_from_json, question_to_json
from harken.grpo.micro_batch import ScoredBatch
from harken.questions.grader import understand
from harken.questions.prompt import Prompt
from harken.rewards import CustomReward, custom_rewards
from harken.system.ranks import Ranks
from harken.system.stop_signals import stop_requested
from harken.types import Response

Groups = Sequence[Sequence[Response]]
"""The completions of each prompt."""


class OwnRewards:
    """The functions that a recipe names, for groups of `group` completions."""

    def __init__(self, functions: Sequence[CustomReward], prompt: Prompt, group: int, ranks: Ranks) -> None:
        self._functions, self._prompt, self._group, self._ranks = functions, prompt, group, ranks
        self._known: dict[int, tuple[Sequence[Response], dict[str, list[float]]]] = {}

    def call(self, batches: Sequence[ScoredBatch], deadline: float | None = None) -> dict[str, list[float]] | None:
        """Part name -> the values of all completions of this rank, batch after batch; None where the run is to stop.

        A function of one response or one group is called once for each group until `forget`: resampling rewards the
        groups of a round, and then the step that keeps some of them. One of the whole step is called each time.

        Raises as `custom_rewards` does, on every rank.
        """
        if not self._functions:
            return {}
        responses = [response for batch in batches for response in batch.sampled.responses]
        groups = [responses[start : start + self._group] for start in range(0, len(responses), self._group)]
        of_step = [function for function in self._functions if function.per == "step"]
        others = [function for function in self._functions if function.per != "step"]
        values = self._ranks.run_on_all(lambda: self._values_of_groups(others, groups, deadline))
        if not of_step:
            return values
        step_values = self._values_of_step(of_step, groups, deadline)
        return None if values is None or step_values is None else values | step_values

    def forget(self) -> None:
        """Call every function again from now on: the step is rewarded."""
        self._known.clear()

    def _values_of_groups(
        self, functions: Sequence[CustomReward], groups: Groups, deadline: float | None
    ) -> dict[str, list[float]] | None:
        """Only groups that were not there before are given to the functions. The kept groups keep their objects alive,
        so that no other one gets the id of a known one."""
        new = [group for group in groups if id(group[0]) not in self._known]
        columns = _values(functions, new, deadline)
        if columns is None:
            return None
        for place, group in enumerate(new):
            rows = slice(place * self._group, (place + 1) * self._group)
            self._known[id(group[0])] = (group, {name: column[rows] for name, column in columns.items()})
        known = [self._known[id(group[0])][1] for group in groups]
        return {name: [value for own in known for value in own[name]] for name in columns}

    def _values_of_step(
        self, functions: Sequence[CustomReward], groups: Groups, deadline: float | None
    ) -> dict[str, list[float]] | None:
        if self._ranks.size == 1:
            return _values(functions, groups, deadline)
        gathered = self._ranks.gather([_as_json(group) for group in groups])

        def values_of_all() -> dict[str, list[float]] | None:
            everything = [self._from_json(group) for groups in gathered for group in groups]
            return _values(functions, everything, deadline)

        values = self._ranks.broadcast(self._ranks.run_on_main(values_of_all))
        if values is None:
            return None
        first = self._group * sum(len(groups) for groups in gathered[: self._ranks.rank])
        return {name: column[first : first + self._group * len(groups)] for name, column in values.items()}

    def _from_json(self, group: dict[str, Any]) -> list[Response]:
        question, prompt = question_from_json(group["question"]), self._prompt
        shown, tags_asked = prompt.letters_shown, prompt.tags_asked
        return [
            understand(**completion, question=question, letters_shown=shown, tags_asked=tags_asked)
            for completion in group["completions"]
        ]


def _values(functions: Sequence[CustomReward], groups: Groups, deadline: float | None) -> dict[str, list[float]] | None:
    """The functions get the groups sorted by question; the values are in the order of the groups as they are."""
    order = sorted(range(len(groups)), key=lambda place: groups[place][0].question.id)
    columns = custom_rewards(
        functions, [groups[place] for place in order], lambda: stop_requested() is not None, deadline
    )
    if columns is None:
        return None
    starts: dict[int, int] = {}
    start = 0
    for place in order:
        starts[place] = start
        start += len(groups[place])
    return {
        name: [
            value for place, group in enumerate(groups) for value in column[starts[place] : starts[place] + len(group)]
        ]
        for name, column in columns.items()
    }


def _as_json(group: Sequence[Response]) -> dict[str, Any]:
    """The completions of a prompt, with their question once."""
    completions = [{"text": each.text, "tokens": each.tokens, "ended": each.ended} for each in group]
    return {"question": question_to_json(group[0].question), "completions": completions}
