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
        prompt_tokens, completion_tokens: as the server counts them; 0 when it does not report them.
    """

    text: str
    ended: bool
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply.

    Attributes:
        fatal: True when every other request would fail in the same way: the key, the model's name or the address is
            wrong.
    """

    reason: str
    fatal: bool = False


def request_body(config: EndpointConfig, request: Request) -> dict[str, Any]:
    """The JSON body of a request."""
    return {
        "model": config.model,
        "messages" if config.api == "chat" else "prompt": request.content,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
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
        text = choice["message"]["content"] if api == "chat" else choice["text"]
        ended = choice.get("finish_reason") != "length"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        beginning = short_repr(content[:200].decode("utf-8", errors="replace"))
        return Failure(f"not a reply of an OpenAI-compatible {api} endpoint: {beginning}")
    if not isinstance(text, str):
        return Failure(f"a reply without text: {short_repr(text)}")
    text = text.encode("utf-8", errors="replace").decode("utf-8")  # half surrogate pairs become "?"
    return Reply(text, ended, _token_count(body, "prompt_tokens"), _token_count(body, "completion_tokens"))


def _token_count(body: dict[str, Any], name: str) -> int:
    usage = body.get("usage")
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and 0 <= count < 2**53 else 0
