"""`harken doctor --served` counts the answers in which a server and a checkpoint agree."""

import json

import pytest
from command_line import harken, refused_by
from scripted_server import Received, said, serving
from tiny_models import tiny_folder

from harken.config import EndpointConfig
from harken.evaluation.served_check import N_QUESTIONS, compare_with_server
from harken.models.loading import load_model

ENDPOINT = {"model": "m", "concurrency": 1, "retry_wait_s": 0.005, "retries": 1}


def content(request: Received) -> str:
    return json.dumps(request.body["messages"])


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    """What is sent -> what the checkpoint answers."""
    model = load_model(str(tiny_folder("qwen2_5_omni")), device="cpu")
    with serving(lambda request: said("?")) as server:
        endpoint = EndpointConfig.model_validate({**ENDPOINT, "base_url": server.url})
        agreements = compare_with_server(model, endpoint)
    pairs = [pair for audio in ("real", "none") for pair in agreements[audio].pairs]
    assert len(pairs) == len(server.received) == 2 * N_QUESTIONS
    for agreement in agreements.values():
        assert (agreement.n_equal, agreement.holds) == (0, False)
        assert agreement.first_difference == agreement.pairs[0]
    assert [len(request.body["messages"][0]["content"]) == 2 for request in server.received] == [True] * 20 + [
        False
    ] * 20
    return {content(request): pair.local for request, pair in zip(server.received, pairs, strict=True)}


def test_a_server_with_the_same_answers_agrees_and_its_only_model_needs_no_name(known):
    with serving(lambda request: said(known[content(request)]), {"m": "vllm"}) as server:
        result = harken("doctor", "--model", tiny_folder("qwen2_5_omni"), "--served", server.url)
    assert result.code == 0, result.out
    assert result.out.count("20 of 20 answers are equal") == 2
    assert {request.body["model"] for request in server.received} == {"m"}


def test_a_server_with_other_answers_fails_with_an_example(known):
    with serving(lambda request: said("[bold]something else"), {"a": "vllm", "b": "vllm"}) as server:
        words = ("doctor", "--model", tiny_folder("qwen2_5_omni"), "--served", server.url)
        unnamed = harken(*words)
        result = harken(*words, "--served-model", "b")
    assert (unnamed.code, result.code) == (1, 1)
    shown = " ".join(unnamed.out.replace("│", " ").split())
    assert "lists a, b; name the one to compare with --served-model" in shown
    assert result.out.count("0 of 20 answers are equal") == 2
    assert "[bold]something else" in " ".join(result.out.replace("│", " ").split())


def test_a_server_without_a_checkpoint_to_compare_with_is_refused():
    assert "give the checkpoint that it should serve" in refused_by("doctor", "--served", "http://127.0.0.1:1/v1")
    result = harken("doctor", "--model", tiny_folder("qwen2_5_omni"), "--served", "http://127.0.0.1:1/v1")
    assert result.code == 1
