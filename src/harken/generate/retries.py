"""Asking a generator until its replies can be used.

Takes one prompt for each task and a reader of replies, gives for each task what the reader made of the reply, or why
there is nothing. A bad reply is shown to the model with its fault, a bounded number of times. Rounds follow the order
of the tasks, so results depend on the replies alone and not on when they came. A server that fails alike for everything
stops the whole with an error: what it said already is stored. Not taken: asking the same again in the hope of another
reply, which a server with temperature 0 never gives.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from harken.config import SamplingConfig
from harken.errors import ServerError
from harken.generate.reply_json import BadReplyError
from harken.system.model_client import ModelClient
from harken.system.model_requests import Failure, Reply, Request

T = TypeVar("T")
Content = str | list[dict[str, Any]]
"""Of the user's turn: a text, or parts such as a clip."""

Advance = Callable[[int, int], None]
"""Told (done, known so far in all) after each reply."""

FAILURES_IN_A_ROW = 32
"""So many requests without a reply one after another, each after its own retries, mean that the server is gone [O]."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why nothing came of a task."""

    reason: str


class Asker(Protocol):
    """What answers requests.

    Attributes:
        prompt_tokens, completion_tokens: of all replies so far, stored ones included.
    """

    prompt_tokens: int
    completion_tokens: int

    @property
    def complete(self) -> bool:
        """Whether every request so far was answered as far as it will be."""
        ...

    def ask_all(self, requests: Iterable[Request]) -> Iterator[Reply | Failure]:
        """Answers in the order of the requests."""
        ...


class LiveAsker:
    """Asks a server now."""

    complete = True

    def __init__(self, client: ModelClient) -> None:
        self._client = client
        self.prompt_tokens = self.completion_tokens = 0

    def ask_all(self, requests: Iterable[Request]) -> Iterator[Reply | Failure]:
        """Raises ServerError where going on is of no use."""
        in_a_row = 0
        for _, answer in self._client.send_all(requests):
            if isinstance(answer, Failure):
                in_a_row += 1
                if answer.fatal or in_a_row == FAILURES_IN_A_ROW:
                    often = "" if answer.fatal else f"{in_a_row} requests in a row failed, the last one: "
                    kept = "replies so far are stored: the same command goes on from them"
                    raise ServerError(f"{often}{answer.reason}; {kept}")
            else:
                in_a_row = 0
                self.prompt_tokens += answer.prompt_tokens
                self.completion_tokens += answer.completion_tokens
            yield answer


def ask_each(
    asker: Asker,
    ids: Sequence[str],
    content: Callable[[int], Content],
    read: Callable[[int, str], T],
    sampling: SamplingConfig,
    advance: Advance,
) -> list[T | Unusable]:
    """Ask one task for each id.

    Args:
        ids: tell apart tasks of equal prompts, so that each keeps the reply that was its own.
        content: the prompt of a task; called when its turn comes, so that few are held at once.
        read: task and text of its reply -> a value; raises BadReplyError with what is wrong.

    Raises what the asker raises.
    """
    results: list[T | Unusable] = [Unusable("")] * len(ids)
    said_so_far: dict[int, list[dict[str, Any]]] = {task: [] for task in range(len(ids))}
    done = 0
    for _ in range(sampling.tries):
        bad: dict[int, list[dict[str, Any]]] = {}
        total = done + len(said_so_far)
        requests = (
            Request([_turn("user", content(task)), *more], sampling.max_tokens, sampling.temperature, variant=ids[task])
            for task, more in said_so_far.items()
        )
        for (task, more), answer in zip(said_so_far.items(), asker.ask_all(requests), strict=True):
            try:
                results[task] = read(task, _whole(answer))
            except BadReplyError as error:
                results[task] = Unusable(str(error))
                if isinstance(answer, Reply):
                    bad[task] = [*more, _turn("assistant", answer.text), _turn("user", _repair(str(error)))]
            done += 1
            advance(done, total)
        said_so_far = bad
    return results


def _whole(answer: Reply | Failure) -> str:
    if isinstance(answer, Failure):
        raise BadReplyError(f"no reply: {answer.reason}")
    if not answer.ended:
        raise BadReplyError("cut off: the reply is longer than sampling.max_tokens")
    return answer.text


def _turn(role: str, content: Content) -> dict[str, Any]:
    return {"role": role, "content": content}


def _repair(fault: str) -> str:
    return f"That reply cannot be used ({fault}). Reply again, with the one JSON object asked for and nothing else."
