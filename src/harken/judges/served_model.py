"""A judge's language model behind an OpenAI-compatible server: a base model (completion endpoint) or a chat model.

Concurrency, retries, time limits and stored replies are those of `ModelClient` (harken/system/model_client.py). No stop
sequence is sent, because servers treat it differently; a reply has at most 8 tokens and its first line is read.
"""

from concurrent.futures import Future
from pathlib import Path

from harken.config import EndpointConfig
from harken.judges.prompts import MAX_NEW_TOKENS
from harken.system.model_client import ModelClient
from harken.system.model_messages import Failure, Reply, Request


class ServedJudgeModel:
    """A `TextModel`. Raises ConfigError as `ModelClient` does."""

    def __init__(self, config: EndpointConfig, cache: Path) -> None:
        self._chat = config.api == "chat"
        self._client = ModelClient(config, cache)

    def submit(self, text: str) -> Future[Reply | Failure]:
        content = [{"role": "user", "content": text}] if self._chat else text
        return self._client.submit(Request(content, MAX_NEW_TOKENS))

    def close(self) -> None:
        self._client.close()
