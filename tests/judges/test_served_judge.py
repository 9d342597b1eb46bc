"""A judge behind a server: what is sent, what each kind of bad reply becomes, and that no request is sent twice."""

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_server import Received, Scripted, said, serving

from harken.config import EndpointConfig, JudgeConfig
from harken.errors import ConfigError, JudgeError
from harken.judges import FailureLimit, Verdict, count_failures, judge_answers, open_judge
from harken.system.model_messages import parse_model_list
from harken.types import Question

QUESTION = Question("q", "Which animal is heard?", ("a dog", "a cat"), 1, None)


def config(url: str, **changes) -> JudgeConfig:
    endpoint = {
        "base_url": url,
        "model": "m",
        "api": "completion",
        "retry_wait_s": 0.01,
        "timeout_s": 5.0,
        "retries": 2,
    }
    return JudgeConfig(endpoint=EndpointConfig(**{**endpoint, **changes}))


def ask(judge, *reasonings: str, aspect="quality") -> list[Verdict]:
    futures = [judge.submit(aspect, QUESTION, reasoning, "a cat") for reasoning in reasonings]
    return [future.result(timeout=30) for future in futures]


def judged(request: Received) -> str:
    """The reasoning that a request is about."""
    return request.body["prompt"].rpartition("Reasoning:\n> ")[2].removesuffix("\nScore:")


def test_a_base_model_is_asked_to_go_on_greedily_after_score(tmp_path):
    with serving(lambda request: said(" 0.73\n\nCase 6")) as server:
        judge = open_judge(config(server.url), tmp_path)
        assert ask(judge, "It purrs.") == [Verdict(0.7, "")]
        judge.close()
    (request,) = server.received
    assert request.path == "/v1/completions"
    assert request.body.keys() == {"model", "prompt", "max_tokens", "temperature", "stop"}
    assert (request.body["max_tokens"], request.body["temperature"], request.body["stop"]) == (8, 0.0, ["\n"])
    assert request.body["prompt"].endswith("Reasoning:\n> It purrs.\nScore:")


def test_a_chat_model_gets_the_same_text_as_one_user_turn(tmp_path):
    with serving(lambda request: said("1")) as server:
        for api in ("completion", "chat"):
            judge = open_judge(config(server.url, api=api), tmp_path)
            assert ask(judge, "It purrs.", aspect="consistency") == [Verdict(1.0, "")]
            judge.close()
    base, chat = server.received
    assert chat.path == "/v1/chat/completions"
    assert chat.body["messages"] == [{"role": "user", "content": base.body["prompt"]}]
    assert (base.body["max_tokens"], base.body["stop"], chat.body["max_tokens"]) == (4, ["\n"], 4)
    assert chat.body.keys() == {"model", "messages", "max_tokens", "temperature"}


@pytest.mark.parametrize(
    ("api", "binary", "tenths"),
    [
        ("completion", [" 0", " 1"], [" 0.0", " 0.1", " 0.9", " 1.0"]),
        ("chat", ["0", "1"], ["0.0", "0.1", "0.9", "1.0"]),
    ],
)
def test_a_vllm_server_is_asked_once_who_it_is_and_told_which_replies_there_are(api, binary, tenths, tmp_path):
    with serving(lambda request: said(request.body["structured_outputs"]["choice"][-1]), {"m": "vllm"}) as server:
        judge = open_judge(config(server.url, api=api), tmp_path)
        for aspect in ("consistency", "quality"):
            assert ask(judge, *"abcdef", aspect=aspect) == [Verdict(1.0, "")] * 6
        judge.close()
    assert server.listings == 1
    choices = [request.body["structured_outputs"]["choice"] for request in server.received]
    assert choices[:6] == [binary] * 6
    assert all([given[0], given[1], given[9], given[10]] == tenths and len(given) == 11 for given in choices[6:])


def test_another_server_and_fields_of_the_users_own_are_left_alone(tmp_path):
    with serving(lambda request: said("1"), {"m": "openai"}) as server:
        judge = open_judge(config(server.url), tmp_path)
        ask(judge, "a")
        judge.close()
    assert "structured_outputs" not in server.received[0].body
    own = {"stop": ["END"], "structured_outputs": {"regex": "[01]"}}
    with serving(lambda request: said("1"), {"m": "vllm"}) as server:
        judge = open_judge(config(server.url, extra_body=own), tmp_path / "own")
        ask(judge, "a")
        judge.close()
    assert own.items() <= server.received[0].body.items()


@pytest.mark.parametrize(
    "listing", [b"", b"[]", b'{"data": [{"id": 3}]}', b'{"data": {"a": 1}}', b"[" * 100_000, b"\xff"]
)
def test_a_list_of_models_that_is_none_names_no_models(listing):
    assert parse_model_list(listing) == ()


def test_a_judge_that_is_closed_while_the_list_is_under_way_leaves_nobody_waiting(tmp_path):
    judge = open_judge(config("http://127.0.0.1:1/v1", retry_wait_s=60.0), tmp_path)
    pending = judge.submit("quality", QUESTION, "x", "a cat")
    judge.close()
    assert pending.result(timeout=30).reason == "the judge was closed before it replied"


def test_answers_are_judged_against_their_references(tmp_path):
    def reply(request: Received) -> Scripted:
        reference, _, prediction = request.body["prompt"].rpartition("Reference:\n> ")[2].partition("\nReply:\n> ")
        return said(f" {int(reference in prediction)}\n")

    questions = [QUESTION, QUESTION, replace(QUESTION, id="h", answer=None)]
    with serving(reply) as server:
        judge = open_judge(config(server.url), tmp_path)
        verdicts = judge_answers(judge, questions, ["surely a cat", "a dog", "a cat"])
        judge.close()
    assert verdicts[:2] == [Verdict(1.0, ""), Verdict(0.0, "")]
    assert verdicts[2] == Verdict(None, "no reference: question 'h' hides its answer")
    assert len(server.received) == 2


def test_judging_answers_needs_a_prediction_for_each_question(tmp_path):
    judge = open_judge(config("http://127.0.0.1:1/v1"), tmp_path)
    with pytest.raises(ValueError, match="zip"):
        judge_answers(judge, [QUESTION], [])
    judge.close()


# Bad servers


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (said("7"), "not between 0 and 1: '7'"),
        (said(""), "empty reply"),
        (said("质量很高"), "not a number: '质量很高'"),
        (said(None), "a reply without text (finish_reason 'stop')"),
        (
            Scripted(b"<html>hello</html>"),
            "not a reply of an OpenAI-compatible completion endpoint: '<html>hello</html>'",
        ),
        (Scripted(b"{}", status=503), "status 503: '{}'"),
        (Scripted(b"prompt too long", status=400), "status 400: 'prompt too long'"),
        (Scripted(said("0.5").body, cut=True), "http://127.0.0.1"),
        (Scripted(said("0.5").body, delay_s=0.6), "no reply within 0.2 s"),
    ],
    ids=["seven", "empty", "language", "null", "html", "503", "400", "half a body", "slow"],
)
def test_a_bad_reply_is_a_verdict_without_a_score_and_with_a_reason(reply, reason, tmp_path):
    with serving(lambda request: reply) as server:
        slow = reason.startswith("no reply within")
        judge = open_judge(config(server.url, timeout_s=0.2 if slow else 10.0), tmp_path)
        (verdict,) = ask(judge, "x")
        judge.close()
    assert (verdict.score, verdict.fatal) == (None, False)
    assert verdict.reason.startswith(reason)


@pytest.mark.parametrize(("status", "said_so"), [(401, "the key was refused"), (404, "no such model or path")])
def test_a_wrong_key_or_model_stops_a_run_with_a_message_that_names_server_and_model(status, said_so, tmp_path):
    with serving(lambda request: Scripted(b"no", status=status)) as server:
        judge = open_judge(config(server.url), tmp_path)
        verdicts = ask(judge, *"abc")
        judge.close()
    assert all(verdict.fatal and verdict.score is None for verdict in verdicts)
    with pytest.raises(JudgeError) as error:
        FailureLimit(0.2).check_step(count_failures(verdicts))
    assert str(error.value) == (
        f"judge: 3 of 3 calls failed (100%, limit 20%): {server.url} (model 'm'): status {status}, {said_so}: 'no'"
    )


def test_no_server_at_all_stops_a_run_with_a_message_that_names_the_address(tmp_path):
    with serving(lambda request: said("1")) as server:
        url = server.url
    judge = open_judge(config(url, retries=1), tmp_path)
    verdicts = ask(judge, *map(str, range(20)))
    judge.close()
    assert all(verdict.score is None for verdict in verdicts)
    with pytest.raises(JudgeError, match=f"20 of 20 calls failed .*20 x {url}: cannot be reached"):
        FailureLimit(0.2).check_step(count_failures(verdicts))


def test_a_missing_key_is_an_error_before_anything_is_asked(tmp_path, monkeypatch):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(ConfigError, match="JUDGE_KEY is not set"):
        open_judge(config("http://127.0.0.1:1/v1", api_key_env="JUDGE_KEY"), tmp_path)


def faulty(share: float, fault: Scripted):
    """A server whose first reply to a share of the prompts is a fault; their content decides which."""
    seen = Counter()
    lock = threading.Lock()

    def reply(request: Received) -> Scripted:
        prompt = request.body["prompt"]
        with lock:
            seen[prompt] += 1
            first = seen[prompt] == 1
        chosen = hashlib.sha256(prompt.encode()).digest()[0] < 256 * share
        return fault if first and chosen else said(" 0.7\n")

    return reply


@pytest.mark.parametrize(
    "fault", [Scripted(b"", status=500), Scripted(said("0.7").body, delay_s=2.0)], ids=["failing", "slow"]
)
def test_thirty_percent_of_failing_or_slow_calls_are_tried_again_or_else_counted(fault, tmp_path):
    texts = [f"reasoning {n}" for n in range(40)]
    counts = {}
    for retries in (2, 0):
        with serving(faulty(0.3, fault)) as server:
            judge = open_judge(config(server.url, timeout_s=1.0, retries=retries), tmp_path / str(retries))
            verdicts = ask(judge, *texts)
            judge.close()
        assert {verdict.score for verdict in verdicts} <= {0.7, None}
        counts[retries] = count_failures(verdicts)
    assert (counts[2].n_calls, counts[2].n_failed) == (40, 0)
    assert 8 <= counts[0].n_failed <= 20
    assert FailureLimit(0.5).check_step(counts[0])[0].startswith("judge: ")
    with pytest.raises(JudgeError, match=f"{counts[0].n_failed} of 40 calls failed"):
        FailureLimit(0.15).check_step(counts[0])


# Nothing twice


def test_a_stored_reply_is_not_asked_again_on_another_day_or_port_readable_or_not(tmp_path):
    texts = [f"reasoning {n}" for n in range(10)]

    def reply(request: Received) -> Scripted:
        return said(" 0.7\n" if int(judged(request).split()[1]) % 2 else "what?")

    with serving(reply) as server:
        judge = open_judge(config(server.url), tmp_path)
        first = ask(judge, *texts)
        judge.close()
    assert first == [Verdict(0.7, "") if n % 2 else Verdict(None, "not a number: 'what?'") for n in range(10)]
    with serving(reply) as server:
        judge = open_judge(config(server.url), tmp_path)
        assert ask(judge, *reversed(texts)) == first[::-1]
        judge.close()
    assert server.received == []


def test_a_failure_is_asked_again_another_time(tmp_path):
    with serving(lambda request: Scripted(b"", status=500)) as server:
        judge = open_judge(config(server.url), tmp_path)
        assert ask(judge, "x")[0].score is None
        judge.close()
    with serving(lambda request: said("0.4")) as server:
        judge = open_judge(config(server.url), tmp_path)
        assert ask(judge, "x") == [Verdict(0.4, "")]
        judge.close()


def test_equal_texts_under_way_together_are_asked_once(tmp_path):
    with serving(lambda request: Scripted(said("0.4").body, delay_s=0.1)) as server:
        judge = open_judge(config(server.url), tmp_path)
        assert ask(judge, *["same"] * 8) == [Verdict(0.4, "")] * 8
        assert ask(judge, "same") == [Verdict(0.4, "")]
        judge.close()
    assert len(server.received) == 1


def test_killed_and_asked_again_no_stored_judgement_is_asked_twice(tmp_path):
    arrived: list[str] = []

    def reply(request: Received) -> Scripted:
        arrived.append(judged(request))
        return Scripted(said(f" 0.{len(judged(request)) % 10}").body, delay_s=0.01)

    with serving(reply) as server:
        driver = [
            sys.executable,
            str(Path(__file__).parents[1] / "helpers" / "judge_killed.py"),
            server.url,
            str(tmp_path),
            "60",
            "25",
        ]
        assert subprocess.run(driver, check=False, timeout=60).returncode == -9
        stored = sum(1 for line in (tmp_path / "replies.jsonl").read_bytes().splitlines(True) if line.endswith(b"\n"))
        before = -1
        while before < len(arrived):  # what the dead process had sent arrives
            before = len(arrived)
            time.sleep(0.5)
        judge = open_judge(config(server.url), tmp_path)
        verdicts = ask(judge, *(f"reasoning {n}" for n in range(60)))
        judge.close()
    assert verdicts == [Verdict(0.1 if n < 10 else 0.2, "") for n in range(60)]
    assert 25 <= stored < 60
    assert len(arrived) - before == 60 - stored
    assert set(arrived) == {f"reasoning {n}" for n in range(60)}
    keys = [json.loads(line)["key"] for line in (tmp_path / "replies.jsonl").read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 60


def test_judging_does_not_hold_up_who_asks_and_closing_does_not_leave_them_waiting(tmp_path):
    with serving(lambda request: Scripted(said("0.4").body, delay_s=1.0)) as server:
        judge = open_judge(config(server.url, concurrency=2), tmp_path)
        began = time.monotonic()
        futures = [judge.submit("quality", QUESTION, f"reasoning {n}", "") for n in range(6)]
        assert time.monotonic() - began < 0.5
        time.sleep(0.1)
        judge.close()
        assert [future.result(timeout=1) for future in futures] == [
            Verdict(None, "the judge was closed before it replied")
        ] * 6
        assert time.monotonic() - began < 0.9
