"""A judge's language model behind an OpenAI-compatible server: a base model (completion endpoint) or a chat model.

Concurrency, retries, time limits and stored replies are those of `Endpoint` (harken/system/model_server.py). No stop
sequence is sent, because servers treat it differently; a reply has at most 8 tokens and its first line is read.
"""

from concurrent.futures import Future
from pathlib import Path

from harken.config import EndpointConfig
from harken.judges.prompts import MAX_NEW_TOKENS
from harken.system.model_server import Endpoint, Failure, Reply, Request


class ServedModel:
    """A `TextModel`. Raises ConfigError as `Endpoint` does."""

    def __init__(self, config: EndpointConfig, cache: Path) -> None:
        self._chat = config.api == "chat"
        self._endpoint = Endpoint(config, cache)

    def submit(self, text: str) -> Future[Reply | Failure]:
        content = [{"role": "user", "content": text}] if self._chat else text
        return self._endpoint.submit(Request(content, MAX_NEW_TOKENS))

    def close(self) -> None:
        self._endpoint.close()
