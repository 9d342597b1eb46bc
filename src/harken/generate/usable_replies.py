"""Send one request for each task, and repeat it until the reply can be used.

A bad reply goes back to the model together with its fault, a bounded number of times; the same request is not repeated,
because a server with temperature 0 would give the same reply. Rounds follow the order of the tasks, so the results
depend on the replies alone and not on when they arrive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from harken.config import SamplingConfig
from harken.generate.clients import GeneratorClient
from harken.generate.reply_json import BadReplyError
from harken.system.model_messages import Failure, Reply, Request
from harken.system.progress import OnProgress

T = TypeVar("T")
Content = str | list[dict[str, Any]]
"""Content of the user's turn: a text, or parts such as a clip."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a task has no result."""

    reason: str


def request_each(
    client: GeneratorClient,
    ids: Sequence[str],
    content: Callable[[int], Content],
    read: Callable[[int, str], T],
    sampling: SamplingConfig,
    on_progress: OnProgress,
) -> list[T | Unusable]:
    """Send one request for each id.

    Args:
        ids: distinguish tasks with equal prompts, so that each keeps its own reply.
        content: task index -> its prompt; called when its turn comes, so that few prompts are in memory at once.
        read: (task index, text of its reply) -> its result; raises BadReplyError with what is wrong.

    Raises what `client.send_all` raises.
    """
    results: list[T | Unusable] = [Unusable("")] * len(ids)
    later_turns: dict[int, list[dict[str, Any]]] = {task: [] for task in range(len(ids))}
    n_done = 0
    max_tokens, temperature = sampling.max_tokens, sampling.temperature
    for _ in range(sampling.tries):
        to_repair: dict[int, list[dict[str, Any]]] = {}
        n_requests = n_done + len(later_turns)
        requests = (
            Request([_turn("user", content(task)), *turns], max_tokens, temperature, variant=ids[task])
            for task, turns in later_turns.items()
        )
        for (task, turns), answer in zip(later_turns.items(), client.send_all(requests), strict=True):
            try:
                results[task] = read(task, _complete_text(answer))
            except BadReplyError as error:
                results[task] = Unusable(str(error))
                if isinstance(answer, Reply):
                    repair = _turn("user", _repair_request(str(error)))
                    to_repair[task] = [*turns, _turn("assistant", answer.text), repair]
            n_done += 1
            on_progress(n_done, n_requests)
        later_turns = to_repair
    return results


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
