"""Replies on disk: no request is sent twice, and a killed process loses at most the reply that it was writing."""

import itertools

import pytest
from model_clients import config
from scripted_server import Scripted, said, serving

from harken.errors import DataError
from harken.system.model_client import ModelClient
from harken.system.model_messages import Failure, Reply, Request


def test_a_stored_reply_is_not_asked_again_but_another_variant_or_option_is(tmp_path):
    cache = tmp_path / "replies.jsonl"
    numbers = itertools.count()
    with serving(lambda request: said(str(next(numbers)))) as server:
        for _ in range(2):
            with ModelClient(config(server.url), cache) as client:
                first = client.submit(Request("q", 8)).result()
                assert first == Reply("0", ended=True)
        with ModelClient(config(server.url), cache) as client:
            assert client.submit(Request("q", 8)).result() == first
            assert client.n_cached == 1
            others = [
                Request("q", 8, variant="2"),
                Request("q", 8, temperature=1.0),
                Request("r", 8),
                Request("q", 8, options={"stop": "x"}),
            ]
            assert {client.submit(other).result() for other in others} == {
                Reply(str(i), ended=True) for i in range(1, 5)
            }
    assert len(server.received) == 5


def test_a_failure_is_not_stored(tmp_path):
    replies = itertools.chain([Scripted(b"", status=500)], itertools.repeat(said("fine")))
    with serving(lambda request: next(replies)) as server:
        with ModelClient(config(server.url, retries=0), tmp_path / "replies.jsonl") as client:
            assert isinstance(client.submit(Request("q", 8)).result(), Failure)
        with ModelClient(config(server.url, retries=0), tmp_path / "replies.jsonl") as client:
            assert client.submit(Request("q", 8)).result() == Reply("fine", ended=True)


def test_a_half_written_line_is_cut_off_and_its_request_asked_again(tmp_path):
    cache = tmp_path / "replies.jsonl"
    with serving(lambda request: said(str(request.body["messages"]))) as server:
        with ModelClient(config(server.url), cache) as client:
            list(client.send_all([Request("a", 8), Request("b", 8)]))
        whole = cache.read_bytes()
        cache.write_bytes(whole[:-5])
        with ModelClient(config(server.url), cache) as client:
            list(client.send_all([Request("a", 8), Request("b", 8)]))
            assert client.n_cached == 1
    assert sorted(cache.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_cache_file_that_is_something_else_is_refused(tmp_path):
    (tmp_path / "replies.jsonl").write_text('{"key": "k", "text": "t", "ended": true}\n{"a": 1}\n')
    with pytest.raises(DataError, match=r"replies\.jsonl:2: key .key. is missing; no stored reply"):
        ModelClient(config("http://127.0.0.1:1/v1"), tmp_path / "replies.jsonl")
