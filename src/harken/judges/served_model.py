"""A judge model behind an OpenAI-compatible server: a base model at its completion endpoint, or a chat model.

Concurrency, attempts, time limits and the replies kept on disk are the endpoint's (harken/system/model_server.py).
Not taken: a stop sequence, which servers treat differently; a reply of 8 tokens is cut when it is read.
"""

from concurrent.futures import Future
from pathlib import Path

from harken.config import EndpointConfig
from harken.judges.prompts import MAX_NEW_TOKENS
from harken.system.model_server import Endpoint, Failure, Reply, Request


class ServedModel:
    """Raises ConfigError as `Endpoint` does."""

    def __init__(self, config: EndpointConfig, cache: Path) -> None:
        self._chat = config.api == "chat"
        self._endpoint = Endpoint(config, cache)

    def ask(self, text: str) -> Future[Reply | Failure]:
        content = [{"role": "user", "content": text}] if self._chat else text
        return self._endpoint.submit(Request(content, MAX_NEW_TOKENS))

    def close(self) -> None:
        self._endpoint.close()
