"""Send one request for each task, and repeat it until the reply can be used.

A bad reply goes back to the model together with its fault, a bounded number of times; the same request is not repeated,
because a server with temperature 0 would give the same reply. Rounds follow the order of the tasks, so the results
depend on the replies alone and not on when they arrive.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from harken.config import SamplingConfig
from harken.generate.clients import GeneratorClient
from harken.generate.reply_json import BadReplyError
from harken.system.disk_list import DiskList
from harken.system.model_messages import Failure, Reply, Request
from harken.system.progress import OnProgress

Turns = list[dict[str, Any]]


class _Task(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T")
TaskT = TypeVar("TaskT", bound=_Task)
Content = str | list[dict[str, Any]]
"""Content of the user's turn: a text, or parts such as a clip."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a task has no result."""

    reason: str


def request_each(
    client: GeneratorClient,
    tasks: Sequence[TaskT] | DiskList[TaskT],
    content: Callable[[TaskT], Content],
    read: Callable[[TaskT, str], T],
    sampling: SamplingConfig,
    on_progress: OnProgress,
    folder: Path,
) -> DiskList[T | Unusable]:
    """Send one request for each task.

    Args:
        tasks: their ids distinguish those with equal prompts, so that each keeps its own reply.
        content: task -> its prompt; called when its turn comes, so that few prompts are in memory at once.
        read: (task, text of its reply) -> its result; raises BadReplyError with what is wrong.
        folder: where the results lie on disk.

    Raises what `client.send_all` raises.
    """
    results = DiskList[T | Unusable](folder)
    n_done = 0

    def requests(turns_of: Iterable[tuple[int, Turns]]) -> Iterator[Request]:
        for index, turns in turns_of:
            task = tasks[index]
            first = _turn("user", content(task))
            yield Request([first, *turns], sampling.max_tokens, sampling.temperature, variant=task.id)

    later_turns: Sequence[tuple[int, Turns]] | DiskList[tuple[int, Turns]] = _FirstTurns(len(tasks))
    for number in range(sampling.tries):
        to_repair = DiskList[tuple[int, Turns]](folder)
        n_requests = n_done + len(later_turns)
        for (index, turns), answer in zip(later_turns, client.send_all(requests(later_turns)), strict=True):
            try:
                text = _complete_text(answer)
                result = read(tasks[index], text)
            except BadReplyError as error:
                result = Unusable(str(error))
                if isinstance(answer, Reply):
                    repair = _turn("user", _repair_request(str(error)))
                    to_repair.append((index, [*turns, _turn("assistant", answer.text), repair]))
            if number == 0:
                results.append(result)
            else:
                results[index] = result
            n_done += 1
            on_progress(n_done, n_requests)
        later_turns = to_repair
    return results


class _FirstTurns(Sequence[tuple[int, Turns]]):
    """(index of a task, no later turn) for each task."""

    def __init__(self, n_tasks: int) -> None:
        self._n_tasks = n_tasks

    def __len__(self) -> int:
        return self._n_tasks

    def __getitem__(self, index: int) -> tuple[int, Turns]:  # type: ignore[override]
        if index >= self._n_tasks:
            raise IndexError(index)
        return index, []


def _complete_text(answer: Reply | Failure) -> str:
    if isinstance(answer, Failure):
        raise BadReplyError(f"no reply: {answer.reason}")
    if not answer.ended:
        raise BadReplyError("cut off: the reply is longer than sampling.max_tokens")
    return answer.text


def _turn(role: str, content: Content) -> dict[str, Any]:
    return {"role": role, "content": content}


def _repair_request(fault: str) -> str:
    return f"That reply cannot be used ({fault}). Reply again, with the one JSON object asked for and nothing else."
