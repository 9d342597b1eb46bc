"""The client of OpenAI-compatible servers, with a real server on the loopback interface."""

import itertools
import json
import socket
import threading
import time

import pytest
from model_clients import config
from pydantic import ValidationError
from scripted_server import Received, Scripted, said, serving

from harken.errors import ConfigError
from harken.system.model_client import ModelClient
from harken.system.model_messages import Failure, Reply, Request


def test_a_chat_request_is_what_the_protocol_says_and_its_reply_comes_back():
    with serving(lambda request: said("a dog")) as server, ModelClient(config(server.url)) as client:
        messages = [{"role": "user", "content": "what?"}]
        reply = client.submit(Request(messages, 8, options={"seed": 3})).result()
    assert reply == Reply("a dog", ended=True)
    assert server.received[0].path == "/v1/chat/completions"
    assert server.received[0].body == {
        **{"model": "m", "messages": messages, "max_tokens": 8, "temperature": 0.0, "seed": 3}
    }


def test_a_completion_request_carries_a_prompt_and_says_when_the_reply_was_cut():
    with (
        serving(lambda request: said(" 0.7", "length")) as server,
        ModelClient(config(server.url, api="completion")) as client,
    ):
        reply = client.submit(Request("Score:", 4)).result()
    assert reply == Reply(" 0.7", ended=False)
    assert server.received[0].path == "/v1/completions"
    assert server.received[0].body["prompt"] == "Score:"


@pytest.mark.parametrize(
    "fault",
    [
        Scripted(b'{"error": "busy"}', status=429, headers={"retry-after": "0.01"}),
        Scripted(b"oops", status=500),
        Scripted(b"<html>gateway</html>", headers={"content-type": "text/html"}),
        Scripted(b'{"choices": []}'),
        Scripted(b'[1, 2, "three"]'),
        Scripted(b'{"choices": [{"message": {"content": null}}]}'),
        Scripted(b"[" * 100_000),
        Scripted(said("half of a body").body, cut=True),
        Scripted(said("late").body, delay_s=2.0),
    ],
    ids=["429", "500", "html", "no choices", "list", "null", "deep", "cut", "late"],
)
def test_one_fault_is_tried_again_and_counted(fault):
    replies = itertools.chain([fault], itertools.repeat(said("fine")))
    with (
        serving(lambda request: next(replies)) as server,
        ModelClient(config(server.url, timeout_s=1.0 if fault.delay_s else 10.0)) as client,
    ):
        assert client.submit(Request("q", 8)).result() == Reply("fine", ended=True)
        assert (client.n_requests, client.n_retried, client.n_failed) == (1, 1, 0)


def test_a_lasting_fault_is_a_failure_with_its_reason_after_the_allowed_attempts():
    with (
        serving(lambda request: Scripted(b"out of order", status=503)) as server,
        ModelClient(config(server.url, retries=2)) as client,
    ):
        failure = client.submit(Request("q", 8)).result()
    assert isinstance(failure, Failure)
    assert failure.reason == "status 503: 'out of order'"
    assert not failure.fatal
    assert len(server.received) == 3


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_key_or_a_wrong_model_name_is_fatal_and_not_tried_again(status):
    with (
        serving(lambda request: Scripted(b"no", status=status)) as server,
        ModelClient(config(server.url)) as client,
    ):
        failure = client.submit(Request("q", 8)).result()
    assert isinstance(failure, Failure)
    assert failure.fatal
    assert str(status) in failure.reason
    assert "'m'" in failure.reason
    assert len(server.received) == 1


def test_a_request_the_server_finds_bad_is_not_tried_again():
    with (
        serving(lambda request: Scripted(b"too long", status=400)) as server,
        ModelClient(config(server.url)) as client,
    ):
        assert client.submit(Request("q", 8)).result() == Failure("status 400: 'too long'")
    assert len(server.received) == 1


def test_a_redirect_is_not_followed_and_its_place_is_named():
    moved = Scripted(b"", status=307, headers={"location": "https://elsewhere.example/v1"})
    with serving(lambda request: moved) as server, ModelClient(config(server.url)) as client:
        failure = client.submit(Request("q", 8)).result()
    assert isinstance(failure, Failure)
    assert failure.fatal
    assert "moved to 'https://elsewhere.example/v1'" in failure.reason
    assert len(server.received) == 1


def test_a_reply_without_end_is_cut_off_and_not_asked_again():
    with (
        serving(lambda request: Scripted(b" " * (1 << 24) + b"  ")) as server,
        ModelClient(config(server.url)) as client,
    ):
        assert client.submit(Request("q", 8)).result() == Failure("a reply of more than 16 MiB")
    assert len(server.received) == 1


def test_a_proxy_is_taken_from_the_environment_unless_it_says_otherwise(monkeypatch):
    with serving(lambda request: said("by way of the proxy")) as server:
        proxy = server.url.removesuffix("/v1")
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "direct.invalid")
        with ModelClient(config("http://far.invalid/v1")) as client:
            assert client.submit(Request("q", 8)).result() == Reply("by way of the proxy", ended=True)
        with ModelClient(config("http://direct.invalid/v1", retries=0)) as client:
            assert isinstance(client.submit(Request("q", 8)).result(), Failure)
    assert [request.path for request in server.received] == ["http://far.invalid/v1/chat/completions"]


@pytest.mark.parametrize(
    "url", ["http://", "http://[::1/v1", "https:///v1", "http://host:port/v1", "http://h:99999/v1"]
)
def test_an_address_that_names_no_server_is_refused_in_the_recipe(url):
    with pytest.raises(ValidationError, match="base_url"):
        config(url)


@pytest.mark.parametrize("response", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", b""])
def test_a_response_that_is_not_http_is_a_failure(response):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(response)

        threading.Thread(target=speak, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with ModelClient(config(url, retries=0)) as client:
            failure = client.submit(Request("q", 8)).result()
    assert isinstance(failure, Failure)
    assert url in failure.reason


def test_no_server_at_all_is_a_failure_that_names_the_address():
    with serving(lambda request: said("x")) as server:
        url = server.url
    with ModelClient(config(url, retries=1)) as client:
        failure = client.submit(Request("q", 8)).result()
    assert isinstance(failure, Failure)
    assert url in failure.reason
    assert "cannot be reached" in failure.reason


def test_the_key_comes_from_the_environment_and_appears_in_no_reason(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-very-secret")
    echo = Scripted(b"bad key sk-very-secret given", status=401)
    with serving(lambda request: echo) as server, ModelClient(config(server.url, api_key_env="SOME_KEY")) as client:
        failure = client.submit(Request("q", 8)).result()
    assert server.received[0].headers["authorization"] == "Bearer sk-very-secret"
    assert isinstance(failure, Failure)
    assert "sk-very-secret" not in failure.reason
    assert "bad key *** given" in failure.reason


def test_a_key_that_the_environment_lacks_is_named(monkeypatch):
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(ConfigError, match="SOME_KEY is not set"):
        ModelClient(config("http://127.0.0.1:1/v1", api_key_env="SOME_KEY"))


def test_no_more_requests_than_allowed_are_under_way_and_replies_keep_the_order():
    def answer(request: Received) -> Scripted:
        number = int(request.body["messages"])
        return Scripted(said(f"{number}").body, delay_s=0.02 * (number % 3))

    with serving(answer) as server, ModelClient(config(server.url, concurrency=3)) as client:
        requests = (Request(str(i), 8) for i in range(40))
        replies = [(request.content, reply) for request, reply in client.send_all(requests)]
    assert replies == [(str(i), Reply(str(i), ended=True)) for i in range(40)]
    assert server.most_at_once == 3


def test_requests_are_read_only_a_little_ahead_of_the_replies():
    read = []

    def requests():
        for i in range(200):
            read.append(i)
            yield Request(str(i), 8)

    with serving(lambda request: said("x")) as server, ModelClient(config(server.url, concurrency=2)) as client:
        replies = client.send_all(requests())
        next(replies)
        assert len(read) <= 8
        assert sum(1 for _ in replies) == 199


def test_a_rate_limit_spaces_the_requests():
    arrived = []

    def answer(request: Received) -> Scripted:
        arrived.append(time.monotonic())
        return said("x")

    with (
        serving(answer) as server,
        ModelClient(config(server.url, requests_per_minute=1200)) as client,  # one in 50 ms
    ):
        list(client.send_all(Request(str(i), 8) for i in range(6)))
    assert arrived[-1] - arrived[0] > 5 * 0.05 * 0.9


def test_half_of_a_surrogate_pair_in_a_reply_is_replaced(tmp_path):
    body = json.dumps({"choices": [{"message": {"content": "a\ud800b"}, "finish_reason": "stop"}]}).encode()
    with (
        serving(lambda request: Scripted(body)) as server,
        ModelClient(config(server.url), tmp_path / "replies.jsonl") as client,
    ):
        assert client.submit(Request("q", 8)).result() == Reply("a?b", ended=True)


def test_closing_gives_up_what_is_under_way_and_ends_the_thread():
    with serving(lambda request: Scripted(said("late").body, delay_s=0.5)) as server:
        client = ModelClient(config(server.url))
        futures = [client.submit(Request(str(i), 8)) for i in range(3)]
        time.sleep(0.1)
        before = time.monotonic()
        client.close()
        assert time.monotonic() - before < 0.4
    assert all(future.cancelled() for future in futures)
    assert "model client" not in {thread.name for thread in threading.enumerate()}
