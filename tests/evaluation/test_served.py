"""Evaluation of a served model, with a real server on the loopback interface."""

import base64
import hashlib
import io
import itertools
import json
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import harken
from scripted_server import Received, Scripted, said, serving
from small_evaluations import SECONDS, recipe, results_of, rows_of, write_set

from harken.data.audio import load_waveform
from harken.errors import HarkenError, ServerError
from harken.evaluation.evaluate import evaluate
from harken.evaluation.listening import evaluate_listening
from harken.evaluation.served_model import MAX_FAILURES_IN_A_ROW, MIN_SAMPLES


def served(file: Path, url: str, **changes):
    endpoint = {"base_url": url, "model": "omni", "retry_wait_s": 0.005, "timeout_s": 5.0}
    return recipe(file, endpoint={**endpoint, **changes.pop("endpoint", {})}, **changes)


def parts_of(request: Received) -> tuple[np.ndarray | None, str]:
    """(the clip as the server decodes it, the text of the prompt)."""
    (message,) = request.body["messages"]
    assert message["role"] == "user"
    if isinstance(message["content"], str):
        return None, message["content"]
    audio, text = message["content"]  # the clip first
    assert (audio["type"], text["type"], audio["input_audio"]["format"]) == ("input_audio", "text", "wav")
    with soundfile.SoundFile(io.BytesIO(base64.b64decode(audio["input_audio"]["data"], validate=True))) as wav:
        assert (wav.samplerate, wav.channels, wav.subtype, wav.format) == (16_000, 1, "PCM_16", "WAV")
        return wav.read(dtype="float32"), text["text"]


def test_a_system_turn_goes_out_before_the_question(file, tmp_path):
    with serving(lambda request: said("one")) as server:
        evaluate(served(file, server.url, prompt={"system": "Be brief."}), tmp_path / "out")
    assert len(server.received) == 14
    for request in server.received:
        system, user = request.body["messages"]
        assert system == {"role": "system", "content": "Be brief."}
        assert user["role"] == "user"


def number_of(request: Received) -> int:
    return int(parts_of(request)[1].partition("?")[0].rpartition(" ")[2])


def by_content(request: Received) -> Scripted:
    """A reply that depends on the whole request."""
    digest = hashlib.sha256(json.dumps(request.body, sort_keys=True).encode()).digest()
    return said(("one", "Two.", "three", "no idea")[digest[0] % 4])


def test_a_question_goes_out_as_a_wav_before_its_text_and_one_without_a_clip_as_text_alone(file, tmp_path):
    with serving(by_content) as server:
        summary = evaluate(served(file, server.url), tmp_path / "out")
    assert len(server.received) == 14
    for request in server.received:
        i, (clip, text) = number_of(request), parts_of(request)
        assert text.endswith("Please choose the answer from the following options: ['one', 'two', 'three']")
        assert {key: request.body[key] for key in ("model", "max_tokens", "temperature")} == {
            **{"model": "omni", "max_tokens": 3, "temperature": 0.0}
        }
        assert "top_p" not in request.body
        if i % 5 == 4:
            assert clip is None
        else:
            assert clip is not None
            samples = int(SECONDS[i % 7] * 16_000)
            assert len(clip) == max(samples, MIN_SAMPLES)  # padded with silence, as for a local model
            assert np.abs(clip[:samples] - load_waveform(tmp_path / f"{i % 7}.wav")).max() <= 2**-15
            assert not clip[samples:].any()
    rows = rows_of(tmp_path / "out" / "predictions.jsonl")
    assert [row["id"] for row in rows] == [f"q{i}" for i in range(14)]
    assert {row["tokens"] for row in rows} == {None}
    assert (summary["model"], summary["n_failed"], summary["n"]) == ("omni", 0, 14)
    assert summary["accuracy"]["all"]["mean"] == sum(row["completion"] == "Two." for row in rows) / 14


FAULTS = (
    Scripted(b'{"error": "busy"}', status=429, headers={"retry-after": "0.005"}),
    Scripted(b"oops", status=500),
    Scripted(b"<html>\x00\xff gateway [bold]", headers={"content-type": "text/html"}),
    Scripted(said("half of a body").body, cut=True),
)


def faulty(always: set[int]):
    """A server that fails 30 % of the calls, chosen by question and attempt, and some questions always."""
    attempts: Counter[str] = Counter()
    lock, faults = threading.Lock(), itertools.cycle(FAULTS)

    def reply(request: Received) -> Scripted:
        content = hashlib.sha256(json.dumps(request.body, sort_keys=True).encode()).hexdigest()
        with lock:
            attempts[content] += 1
            draw = hashlib.sha256(f"{content} {attempts[content]}".encode()).digest()[0]
            fault = next(faults)
        return fault if draw < 0.3 * 256 or number_of(request) in always else by_content(request)

    return reply


def test_a_server_that_fails_a_third_of_the_calls_leaves_every_item_answered_or_failed_with_its_reason(file, tmp_path):
    file = write_set(tmp_path, n=100)
    with serving(by_content) as server:
        evaluate(served(file, server.url), tmp_path / "well")
    always = {7, 31, 64}
    with serving(faulty(always)) as server:
        summary = evaluate(served(file, server.url, endpoint={"retries": 8}), tmp_path / "out")
    well, rows = (rows_of(tmp_path / name / "predictions.jsonl") for name in ("well", "out"))
    assert len(server.received) > 130  # 30 % of the calls failed and were made again
    assert (summary["n"], summary["accuracy"]["all"]["n"], summary["n_failed"]) == (100, 100, 3)
    assert summary["reasons"]["failed"] == 3
    for i, (row, undisturbed) in enumerate(zip(rows, well, strict=True)):
        if i in always:
            assert row["reason"].startswith(("failed: status", "failed: not a reply", "failed: http")), row
            assert (row["completion"], row["choice"], row["correct"]) == ("", None, False)
        else:
            assert row == undisturbed
    # the same command asks again for what failed, and for nothing else
    with serving(by_content) as server:
        summary = evaluate(served(file, server.url, endpoint={"concurrency": 2}), tmp_path / "out")
    assert sorted(map(number_of, server.received)) == sorted(always)
    assert summary["n_failed"] == 0
    assert rows_of(tmp_path / "out" / "predictions.jsonl") == well
    with pytest.raises(HarkenError, match="holds an evaluation already"):
        evaluate(served(file, server.url), tmp_path / "out")


@pytest.mark.parametrize("status", [401, 404])
def test_a_refused_key_or_name_stops_with_one_error_and_what_was_answered_stays(status, file, tmp_path):
    def refusing(request: Received) -> Scripted:
        return by_content(request) if number_of(request) < 4 else Scripted(b"no, sk-secret", status=status)

    with (
        serving(refusing) as server,
        pytest.raises(HarkenError, match=rf"{status}.*The answers so far are kept.*the same command again"),
    ):
        evaluate(served(file, server.url, endpoint={"concurrency": 1}), tmp_path / "out")
    assert len(server.received) <= 8  # the four answered, and four that may be under way
    assert not (tmp_path / "out" / "summary.json").exists()
    with serving(by_content) as server:
        evaluate(served(file, server.url), tmp_path / "out")
        evaluate(served(file, server.url), tmp_path / "whole")
    assert sorted(map(number_of, server.received)) == sorted([*range(4, 14), *range(14)])
    assert rows_of(tmp_path / "out" / "predictions.jsonl") == rows_of(tmp_path / "whole" / "predictions.jsonl")


def test_samples_are_asked_one_by_one_with_their_temperature_and_choice_orders_are_shown(file, tmp_path):
    numbers = itertools.count()
    with serving(lambda request: said(("one", "two")[next(numbers) % 2])) as server:
        plan = served(file, server.url, samples=3, temperature=0.8, top_p=0.9, limit=4, endpoint={"concurrency": 1})
        summary = evaluate(plan, tmp_path / "samples")
        assert len(server.received) == 12
        assert {(request.body["temperature"], request.body["top_p"]) for request in server.received} == {(0.8, 0.9)}
        assert 0 < summary["samples"]["average"]["mean"] < 1
        assert len(rows_of(tmp_path / "samples" / "trials.jsonl")) == 12
    with serving(by_content) as server:
        evaluate(served(file, server.url, permute=3, limit=4), tmp_path / "orders")
    assert len({parts_of(request)[1] for request in server.received}) == 12


def test_listening_asks_a_served_model_in_five_ways(file, tmp_path):
    with serving(by_content) as server:
        figures = evaluate_listening(served(file, server.url), tmp_path / "out")
        n_requests = len(server.received)
        assert evaluate_listening(served(file, server.url), tmp_path / "out") == figures
    assert len(server.received) == n_requests
    assert figures["audio_gain"]["n"] == 14
    clips = Counter(parts_of(request)[0] is None for request in server.received)
    assert clips == {True: 2 + 12, False: 4 * 12}  # q4 and q9 have no clip: one request stands for all five
    silent = [request for request in server.received if (clip := parts_of(request)[0]) is not None and not clip.any()]
    assert len(silent) == 12
    assert (tmp_path / "out" / "replies.jsonl").exists()


def test_choices_beyond_the_letters_and_missing_clips_are_counted_and_not_asked(file, tmp_path):
    records = json.loads(file.read_text())
    records[0]["choices"] = [f"choice {i}" for i in range(30)]
    records[0]["answer"] = "choice 3"
    file.write_text(json.dumps(records))
    (tmp_path / "3.wav").unlink()
    with serving(by_content) as server:
        plan = served(file, server.url, allow_missing=True, prompt__choices="letters")
        summary = evaluate(plan, tmp_path / "out")
    assert len(server.received) == 11
    assert (summary["n"], summary["n_rejected"], summary["reasons"]["not asked"]) == (14, 2, 1)


def test_a_stopped_evaluation_of_a_served_model_ends_with_the_bytes_of_one_that_was_not(file, tmp_path):
    with serving(by_content) as server:
        evaluate(served(file, server.url), tmp_path / "whole")

        class KilledError(BaseException):
            pass

        def stop(done: int, total: int) -> None:
            if done == 5:
                raise KilledError

        with pytest.raises(KilledError):
            evaluate(served(file, server.url), tmp_path / "stopped", stop)
        replies = tmp_path / "stopped" / "replies.jsonl"
        replies.write_bytes(replies.read_bytes()[:-7])
        evaluate(served(file, server.url), tmp_path / "stopped")
    expected, actual = results_of(tmp_path / "whole"), results_of(tmp_path / "stopped")
    assert actual.keys() == expected.keys()
    assert {name for name in actual if actual[name] != expected[name]} <= {"replies.jsonl"}  # in order of arrival


def test_causes_of_failures_are_counted_whole_and_alike_but_for_numbers(file, tmp_path):
    words = "the encoder refused the clip " + "because " * 30

    def reply(request: Received) -> Scripted:
        number = number_of(request)
        if number % 3:
            return by_content(request)
        return Scripted(f"{words}(request {number:04d})".encode(), status=422)

    with serving(reply) as server:
        summary = evaluate(served(file, server.url), tmp_path / "out")
    (cause,) = summary["failures"]
    assert (cause["n"], summary["n_failed"], summary["n_requests"]) == (5, 5, 14)
    assert words in cause["reason"]


def test_a_server_that_is_gone_ends_the_evaluation_and_the_same_command_goes_on(tmp_path):
    file = write_set(tmp_path, n=60)
    answered: set[int] = set()

    def dying(request: Received) -> Scripted:
        if len(answered) >= 15:
            return Scripted(b"out of memory", status=500)
        answered.add(number_of(request))
        return by_content(request)

    settings = {"endpoint": {"retries": 0, "concurrency": 1}}
    with (
        serving(dying) as server,
        pytest.raises(ServerError, match=f"{MAX_FAILURES_IN_A_ROW} requests in a row failed.*out of memory"),
    ):
        evaluate(served(file, server.url, **settings), tmp_path / "out")
    with serving(by_content) as server:
        summary = evaluate(served(file, server.url, **settings), tmp_path / "out")
    assert (summary["n"], summary["n_failed"]) == (60, 0)
    assert answered.isdisjoint(map(number_of, server.received))


def test_reasoning_that_a_server_returns_apart_counts_as_thinking(file, tmp_path):
    def thinking(request: Received) -> Scripted:
        message = {"role": "assistant", "content": "<answer>two</answer>", "reasoning_content": "I count two."}
        return Scripted(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())

    with serving(thinking) as server:
        evaluate(served(file, server.url, prompt={"style": "adaptive"}), tmp_path / "out")
    rows = rows_of(tmp_path / "out" / "predictions.jsonl")
    assert {(row["form"], row["reasoning"], row["choice"]) for row in rows} == {("think", "I count two.", "two")}


def test_too_many_failures_are_an_error_of_the_command_that_says_why_also_when_quiet(file, tmp_path):
    words = ("evaluate", "--quiet", "--data", file, "--served-model", "omni", "--set", "endpoint.retries=0")
    with serving(lambda request: Scripted(b"no audio encoder here", status=400)) as server:
        done = harken(*words, "--endpoint", server.url, "--out", tmp_path / "out")
        allowed = harken(*words, "--endpoint", server.url, "--out", tmp_path / "other", "--max-failed", 1)
    assert done.code == 2
    assert "14 of 14 requests failed" in done.err
    assert "14 x status 400: 'no audio encoder here'" in done.err
    assert len(rows_of(tmp_path / "out" / "predictions.jsonl")) == 14  # the answers are written all the same
    assert allowed.code == 0
    assert "14 x status 400" in allowed.err
