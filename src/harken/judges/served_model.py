"""A judge's language model behind a server: a base model (completion endpoint) or a chat model.

Concurrency, retries, time limits and stored replies are those of `ModelClient` (harken/system/model_client.py). The
server is asked once which models it has. vLLM says that they are its own, and takes a list of texts of which a reply
must be one (`structured_outputs.choice`), so that every reply can be read. Other servers get no such list. A base model
goes on after its score, so it is stopped at the end of the line; a chat model ends its turn by itself.
"""

from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Any

from harken.config import EndpointConfig
from harken.judges.judge import Aspect
from harken.judges.prompts import MAX_NEW_TOKENS
from harken.judges.score_parsing import SCORES
from harken.system.model_client import ModelClient
from harken.system.model_messages import Failure, ListedModel, Reply, Request


class ServedJudgeModel:
    """A `TextModel`. Raises ConfigError as `ModelClient` does."""

    def __init__(self, config: EndpointConfig, cache: Path) -> None:
        self._config = config
        self._client = ModelClient(config, cache)
        self._models: Future[tuple[ListedModel, ...]] | None = None
        self._lock = Lock()

    def submit(self, text: str, aspect: Aspect) -> Future[Reply | Failure]:
        reply: Future[Reply | Failure] = Future()

        def send(models: Future[tuple[ListedModel, ...]]) -> None:
            if models.cancelled():
                reply.cancel()
                return
            request = self._request(text, aspect, takes_choice=any(model.owner == "vllm" for model in models.result()))
            self._client.submit(request).add_done_callback(lambda sent: _pass_on(sent, reply))

        self._listed_models().add_done_callback(send)
        return reply

    def close(self) -> None:
        self._client.close()

    def _listed_models(self) -> Future[tuple[ListedModel, ...]]:
        with self._lock:
            if self._models is None:
                self._models = self._client.list_models()
            return self._models

    def _request(self, text: str, aspect: Aspect, *, takes_choice: bool) -> Request:
        chat = self._config.api == "chat"
        options: dict[str, Any] = {} if chat else {"stop": ["\n"]}
        if takes_choice and aspect in SCORES:
            # After `Score:` a base model writes a space first, as the worked cases of the prompt do.
            scores = [score if chat else f" {score}" for score in SCORES[aspect]]
            options["structured_outputs"] = {"choice": scores}
        options = {name: value for name, value in options.items() if name not in self._config.extra_body}
        content = [{"role": "user", "content": text}] if chat else text
        return Request(content, MAX_NEW_TOKENS[aspect], options=options)


def _pass_on(sent: Future[Reply | Failure], reply: Future[Reply | Failure]) -> None:
    if sent.cancelled():
        reply.cancel()
    elif error := sent.exception():
        reply.set_exception(error)
    else:
        reply.set_result(sent.result())
