"""Reward functions that a user wrote: imports them, calls them, and checks every value they return.

A recipe names one as `module:function`, or by the name that an installed package gives it. What the function gets is
part of its definition: one `Response` by default, the completions of one prompt with `per_group`, all completions of a
step with `per_step`. It may be async. Its constants belong in its module, because the recipe passes it no options.
"""

import contextlib
import inspect
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from harken.errors import ConfigError, HarkenError, raised, short_repr
from harken.system.background_loop import run_in_background
from harken.system.import_object import import_function
from harken.types import Response

Per = Literal["response", "group", "step"]
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

LOOK_EVERY_S = 0.2
"""The time between two looks at whether the run is to stop, while async functions are awaited."""


def per_group(function: FunctionT) -> FunctionT:
    """Mark a reward function that gets the completions of one prompt, in order, and returns one number for each."""
    function.per = "group"  # pyright: ignore[reportFunctionMemberAccess]
    return function


def per_step(function: FunctionT) -> FunctionT:
    """Mark a reward function that gets all completions of a step, group after group sorted by the question's id, and
    returns one number for each. Of several ranks the first calls it."""
    function.per = "step"  # pyright: ignore[reportFunctionMemberAccess]
    return function


@dataclass(frozen=True, slots=True)
class CustomReward:
    """A reward function with the name that the recipe gives it, and what it is called with."""

    name: str
    function: Callable[..., Any]
    per: Per

    def values(self, returned: object, responses: Sequence[Response]) -> list[float]:
        """The returned value of a call as one number for each response. Raises HarkenError that names the function."""
        if self.per == "response":
            return [self._number(returned, responses[0])]
        if isinstance(returned, str | bytes | dict) or not isinstance(returned, Iterable):
            raise HarkenError(
                f"reward.parts: {self.name}: returned {short_repr(returned)}; a function per {self.per} returns a list "
                "with one number for each completion"
            )
        listed = list(cast(Iterable[object], returned))
        if len(listed) != len(responses):
            raise HarkenError(
                f"reward.parts: {self.name}: returned {len(listed)} rewards for {len(responses)} completions; return "
                "one for each, in their order"
            )
        return [self._number(value, response) for value, response in zip(listed, responses, strict=True)]

    def failed(self, error: Exception, responses: Sequence[Response]) -> HarkenError:
        """The error that says what the function raised, and where."""
        place = "" if self.per == "step" else f", for the question {_place(responses[0])}"
        return HarkenError(f"reward.parts: {self.name}: raised {raised(error)}{place}")

    def _number(self, value: object, response: Response) -> float:
        with contextlib.suppress(TypeError, ValueError, RuntimeError):  # a number of numpy or torch
            value = value.item() if hasattr(value, "item") else value  # pyright: ignore[reportAttributeAccessIssue]
        with contextlib.suppress(OverflowError):
            if isinstance(value, bool | int | float) and math.isfinite(value):
                return float(value)
        advice = "a reward must be a finite number, so correct the function"
        if isinstance(value, list | tuple):
            advice = "a function that returns several rewards is marked with harken.per_group or harken.per_step"
        raise HarkenError(
            f"reward.parts: {self.name}: returned {short_repr(value)} for the question {_place(response)}; {advice}"
        )


def load_custom(name: str) -> CustomReward:
    """Import a reward function. Raises ConfigError where there is no such module or function, or where `per` is
    unknown."""
    function = import_function(name, "reward.parts", "reward")
    per = getattr(function, "per", "response")
    if per not in ("response", "group", "step"):
        raise ConfigError(f"reward.parts: {name}: its attribute per is {short_repr(per)}: response, group or step")
    return CustomReward(name, function, per)


def custom_rewards(
    functions: Sequence[CustomReward],
    groups: Sequence[Sequence[Response]],
    stopping: Callable[[], bool] = lambda: False,
    deadline: float | None = None,
) -> dict[str, list[float]] | None:
    """Part name -> one value for each response of all groups, in their order.

    Async functions run together, and the others one after another beside them.

    Args:
        stopping: tells whether the run is to stop; the result is then None.
        deadline: a time of `time.perf_counter` by which the async functions must have returned.

    Raises HarkenError that names the function where one raises, is late, or returns anything but finite numbers.
    """
    under_way: list[tuple[CustomReward, Sequence[Response], object]] = []
    for function in sorted(functions, key=lambda each: not inspect.iscoroutinefunction(each.function)):
        for responses in _calls(function.per, groups):
            argument = responses[0] if function.per == "response" else list(responses)
            try:
                returned = function.function(argument)
            except Exception as error:
                raise function.failed(error, responses) from error
            if inspect.isawaitable(returned):
                returned = run_in_background(cast(Awaitable[Any], returned))
            under_way.append((function, responses, returned))
    values: dict[str, list[float]] = {function.name: [] for function in functions}
    try:
        for function, responses, returned in under_way:
            if isinstance(returned, Future):
                returned = _result(function, responses, returned, stopping, deadline)
                if returned is _STOPPED:
                    return None
            values[function.name] += function.values(returned, responses)
    finally:
        for _, _, returned in under_way:
            if isinstance(returned, Future):
                returned.cancel()
    return values


_STOPPED = object()


def _calls(per: Per, groups: Sequence[Sequence[Response]]) -> list[Sequence[Response]]:
    """The responses of each call."""
    if per == "group":
        return [group for group in groups if group]
    responses = [response for group in groups for response in group]
    return [[response] for response in responses] if per == "response" else [responses] if responses else []


def _result(
    function: CustomReward,
    responses: Sequence[Response],
    future: Future[Any],
    stopping: Callable[[], bool],
    deadline: float | None,
) -> object:
    while not stopping():
        try:
            return future.result(LOOK_EVERY_S)
        except TimeoutError as error:
            if future.done():  # the function's own
                raise function.failed(error, responses) from error
        except (Exception, CancelledError) as error:
            raise function.failed(cast(Exception, error), responses) from error
        if deadline is not None and time.perf_counter() > deadline:
            raise HarkenError(f"reward.parts: {function.name}: has not returned before the step's deadline")
    return _STOPPED


def _place(response: Response) -> str:
    return response.question.source or response.question.id
