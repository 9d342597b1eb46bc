"""Whatever a server answers is a reply or a failure with its cause."""

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from scripted_server import Received, Scripted, said, serving

from harken.config import EndpointConfig
from harken.errors import ConfigError
from harken.system.model_client import ModelClient
from harken.system.model_messages import Failure, Reply, Request, parse_response

HELLO = Request([{"role": "user", "content": "hello"}], max_tokens=5)


def chat(finish_reason: str = "stop", **message) -> bytes:
    return json.dumps(
        {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": finish_reason}]}
    ).encode()


def parsed(finish_reason: str = "stop", **message) -> Reply | Failure:
    return parse_response("chat", chat(finish_reason, **message))


def test_a_list_of_parts_is_joined():
    parts = [{"type": "text", "text": "The answer "}, {"type": "image"}, "is ", {"type": "text", "text": "B."}]
    assert parsed(content=parts) == Reply("The answer is B.", True)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_is_kept_apart_and_stands_in_tags_in_the_whole_text(key):
    reply = parsed(content="B", **{key: "It meows."})
    assert isinstance(reply, Reply)
    assert (reply.text, reply.reasoning, reply.whole_text) == ("B", "It meows.", "<think>It meows.</think>B")


def test_reasoning_that_reaches_the_token_limit_stays_open():
    reply = parsed("length", content=None, reasoning="It may be a")
    assert isinstance(reply, Reply)
    assert (reply.ended, reply.whole_text) == (False, "<think>It may be a")


def test_a_refusal_keeps_its_text():
    assert parsed(content=None, refusal="I cannot help with that.") == Reply("I cannot help with that.", True)


def test_an_answer_that_the_token_limit_prevented_says_so_and_is_not_repeated():
    failure = parsed("length", content=None)
    assert isinstance(failure, Failure)
    assert "token limit was reached" in failure.reason
    assert not failure.repeatable


@pytest.mark.parametrize(
    "content", [{"text": "B"}, 7, [["B"]], [{"text": 7}, 3], {"a": {"b": []}}, True, [None]], ids=str
)
def test_content_of_any_other_kind_is_a_failure(content):
    assert isinstance(parsed(content=content), Failure)


def client(url: str, **changes) -> ModelClient:
    return ModelClient(EndpointConfig(base_url=url, model="m", timeout_s=5.0, **changes))


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after-ms": "300"},
        {"retry-after": "0.3"},
        {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=86_400), usegmt=True)},
    ],
    ids=["milliseconds", "seconds", "date"],
)
def test_the_wait_that_a_server_asks_for_is_obeyed(headers, monkeypatch):
    monkeypatch.setattr("harken.system.model_client.MAX_WAIT_S", 0.3)  # a date of tomorrow is cut to it
    replies = iter([Scripted(b"busy", status=429, headers=headers), said("B")])
    with serving(lambda request: next(replies)) as server, client(server.url, retry_wait_s=0.0) as model:
        started = time.monotonic()
        assert model.submit(HELLO).result() == Reply("B", True)
        assert time.monotonic() - started >= 0.29


def test_a_used_up_quota_is_final():
    body = b'{"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}'
    with serving(lambda request: Scripted(body, status=429)) as server, client(server.url) as model:
        failure = model.submit(HELLO).result()
        assert len(server.received) == 1
    assert isinstance(failure, Failure)
    assert failure.fatal
    assert "exceeded your current quota" in failure.reason


def test_further_fields_and_headers_reach_the_server_and_a_secret_header_reaches_no_message(monkeypatch):
    monkeypatch.setenv("PROXY_TOKEN", "s3cret-token")
    received: list[Received] = []

    def reply(request: Received) -> Scripted:
        received.append(request)
        return Scripted(f"refused {request.headers['x-token']}".encode(), status=400)

    changes = {"extra_body": {"top_k": 1}, "extra_headers": {"X-Token": "env:PROXY_TOKEN", "X-Team": "sound"}}
    with serving(reply) as server, client(server.url, max_tokens_key="max_completion_tokens", **changes) as model:
        failure = model.submit(HELLO).result()
    assert received[0].body | {"messages": 0} == {
        **{"model": "m", "messages": 0, "max_completion_tokens": 5, "temperature": 0.0, "top_k": 1}
    }
    assert (received[0].headers["x-token"], received[0].headers["x-team"]) == ("s3cret-token", "sound")
    assert isinstance(failure, Failure)
    assert "s3cret" not in failure.reason


def test_a_missing_variable_and_a_field_that_harken_sets_are_errors(monkeypatch):
    monkeypatch.delenv("PROXY_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="PROXY_TOKEN is not set"):
        client("http://127.0.0.1:1/v1", extra_headers={"X-Token": "env:PROXY_TOKEN"})
    with pytest.raises(ValueError, match="max_tokens is set by harken itself"):
        EndpointConfig(base_url="http://127.0.0.1:1/v1", model="m", extra_body={"max_tokens": 3})
