"""How generators get their replies: `GeneratorClient`, and the client that asks a server now.

The other client writes the requests to a file for a provider's batch interface (batch_files.py). Generators
(questions.py, reasoning.py, captions.py) work with either.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from harken.errors import ServerError
from harken.system.model_client import ModelClient
from harken.system.model_messages import Failure, Reply, Request

MAX_FAILURES_IN_A_ROW = 32
"""If so many requests fail one after another, each after its own retries, the server is gone [O]."""


class GeneratorClient(Protocol):
    """Answers the requests of a generator.

    Attributes:
        prompt_tokens, completion_tokens: of all replies so far, including stored ones.
    """

    prompt_tokens: int
    completion_tokens: int

    @property
    def complete(self) -> bool:
        """Whether no request so far still waits for a reply."""
        ...

    def send_all(self, requests: Iterable[Request]) -> Iterator[Reply | Failure]:
        """Yield the reply to each request, in the order of the requests."""
        ...


class ServerClient:
    """Sends the requests to a server and waits for the replies."""

    complete = True

    def __init__(self, client: ModelClient) -> None:
        self._client = client
        self.prompt_tokens = self.completion_tokens = 0

    def send_all(self, requests: Iterable[Request]) -> Iterator[Reply | Failure]:
        """Raises ServerError where nothing answers at the address, or where every further request would fail too."""
        if not self._client.has_replies:
            self._client.refuse_unreachable("endpoint.base_url")
        n_in_a_row = 0
        for _, answer in self._client.send_all(requests):
            if isinstance(answer, Failure):
                n_in_a_row += 1
                if answer.fatal or n_in_a_row == MAX_FAILURES_IN_A_ROW:
                    count = "" if answer.fatal else f"{n_in_a_row} requests in a row failed, the last one: "
                    advice = "the replies so far are stored: run the same command again to continue from them"
                    raise ServerError(f"{count}{answer.reason}; {advice}")
            else:
                n_in_a_row = 0
                self.prompt_tokens += answer.prompt_tokens
                self.completion_tokens += answer.completion_tokens
            yield answer
