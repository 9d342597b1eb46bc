"""Requests to a language model behind an OpenAI-compatible server, and what comes back.

Builds the body of a request and reads the body of a response. A server may answer anything, so a response is read
strictly: it is either a `Reply` or a `Failure` with its reason, and never an exception.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from harken.config import EndpointConfig
from harken.errors import short_repr


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a language model.

    Attributes:
        content: chat messages for the chat endpoint, a text for the completion endpoint.
        options: further fields of the request's body, such as stop or seed.
        variant: distinguishes requests of equal content that each need a reply of their own, such as the samples of
            one question. It is not sent to the server.
    """

    content: str | list[dict[str, Any]]
    max_tokens: int
    temperature: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote.

    Attributes:
        ended: False when the reply was cut at max_tokens.
        reasoning: what the server returned apart from the reply as the model's reasoning; "" where there is none.
        prompt_tokens, completion_tokens: as the server counts them; 0 when it does not report them.
    """

    text: str
    ended: bool
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning: str = ""

    @property
    def whole_text(self) -> str:
        """The reply as the model wrote it: its reasoning in `<think>` tags, which stay open where it was cut there."""
        if not self.reasoning:
            return self.text
        closing = "</think>" if self.text or self.ended else ""
        return f"<think>{self.reasoning}{closing}{self.text}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply.

    Attributes:
        repeatable: False where the same request would fail again.
        fatal: True when every other request would fail in the same way: the key, the model's name or the address is
            wrong.
    """

    reason: str
    fatal: bool = False
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that a server lists: the name to ask for, and whose it is ("vllm" on a vLLM server, "" where it is not
    said)."""

    name: str
    owner: str


def request_body(config: EndpointConfig, request: Request) -> dict[str, Any]:
    """The JSON body of a request."""
    return {
        "model": config.model,
        "messages" if config.api == "chat" else "prompt": request.content,
        config.max_tokens_key: request.max_tokens,
        "temperature": request.temperature,
        **config.extra_body,
        **request.options,
    }


def parse_response(api: str, content: bytes) -> Reply | Failure:
    """Read the body of a successful response.

    Args:
        api: "chat" or "completion", the endpoint that the request went to.
    """
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        message = choice["message"] if api == "chat" else {"content": choice["text"]}
        finish_reason = choice.get("finish_reason")
        text, reasoning = _text(message["content"]), _text(message.get("reasoning_content", message.get("reasoning")))
        refusal = _text(message.get("refusal"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        beginning = short_repr(content[:1000].decode("utf-8", errors="replace"), 300)
        return Failure(f"not a reply of an OpenAI-compatible {api} endpoint: {beginning}")
    if text is None:
        text = refusal or ("" if reasoning else None)  # a refusal is what the model answers
    if text is None:
        return _no_text(finish_reason)
    counts = _token_count(body, "prompt_tokens"), _token_count(body, "completion_tokens")
    return Reply(text, finish_reason != "length", *counts, reasoning or "")


def parse_model_list(content: bytes) -> tuple[ListedModel, ...]:
    """Read the body of a reply to GET /models; () for anything that is no list of models."""
    try:
        entries = [entry for entry in json.loads(content)["data"] if isinstance(entry.get("id"), str)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()
    return tuple(
        ListedModel(entry["id"], owner if isinstance(owner := entry.get("owned_by"), str) else "") for entry in entries
    )


def _no_text(finish_reason: object) -> Failure:
    if finish_reason == "length":
        return Failure(
            "the token limit was reached before the model wrote an answer (content null, finish_reason length): raise "
            "max_completion_tokens",
            repeatable=False,
        )
    if finish_reason == "content_filter":
        return Failure("the server's content filter held the answer back", repeatable=False)
    return Failure(f"a reply without text (finish_reason {short_repr(finish_reason)})")


def _text(content: object) -> str | None:
    """The text of a message: a text, or a list of parts that are joined; None for null. Raises TypeError."""
    if content is None:
        return None
    if isinstance(content, list):
        content = "".join(part if isinstance(part, str) else part.get("text") or "" for part in content)
    if not isinstance(content, str):
        raise TypeError("the content of a message is text or a list of parts")
    return content.encode("utf-8", errors="replace").decode("utf-8")  # half surrogate pairs become "?"


def _token_count(body: dict[str, Any], name: str) -> int:
    usage = body.get("usage")
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and 0 <= count < 2**53 else 0
