"""`harken generate questions` when its server refuses, fails or is gone."""

from generate_cases import (
    clip_number,
    lines_of,
    notes,
    question,
    write_captions,
)
from question_generation import generate
from scripted_server import Scripted, said, serving


def test_the_key_is_sent_and_is_in_no_file_and_on_no_screen(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-very-secret")
    captions = write_captions(tmp_path / "captions.jsonl", 8)
    refuse = Scripted(b"sk-very-secret is a fine key but no", status=422)
    with serving(
        lambda request: refuse if clip_number(request) % 2 else said(question(clip_number(request)))
    ) as server:
        done = generate(captions, tmp_path / "out", server.url, "--api-key-env", "SOME_KEY")
    assert done.code == 0
    assert all(request.headers["authorization"] == "Bearer sk-very-secret" for request in server.received)
    assert len(lines_of(tmp_path / "out" / "rejected.jsonl")) == 4
    texts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any("very-secret" in text for text in (*texts, done.out, done.err))


def test_a_refused_key_stops_at_once_and_says_what_to_do(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 100)
    with serving(lambda request: Scripted(b"no", status=401)) as server:
        done = generate(captions, tmp_path / "out", server.url, "--concurrency", "2")
    assert done.code == 2
    assert "status 401, the key was refused" in done.err
    assert "run the same command again to continue from them" in done.err
    assert len(server.received) < 20
    assert not (tmp_path / "out" / "manifest.jsonl").exists()


def test_a_server_that_is_gone_stops_the_whole_and_the_same_command_goes_on(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 100)
    gone = True

    def reply(request):
        return (
            Scripted(b"", status=503) if gone and clip_number(request) >= 40 else said(question(clip_number(request)))
        )

    words = ("--set", "endpoint.retries=0", "--concurrency", "4")
    with serving(reply) as server:
        done = generate(captions, tmp_path / "out", server.url, *words)
        assert done.code == 2
        assert "32 requests in a row failed, the last one: status 503" in done.err
        assert len(server.received) < 100
        n_before = len(server.received)
        n_stored = len(lines_of(tmp_path / "out" / "replies.jsonl"))
        gone = False
        assert generate(captions, tmp_path / "out", server.url, *words).code == 0
    asked_twice = [clip_number(request) for request in server.received[n_before:]]
    assert sorted(asked_twice) == list(range(n_stored, 100))


def test_failures_that_are_not_in_a_row_stop_nothing(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 80)

    def reply(request):
        return Scripted(b"", status=503) if clip_number(request) % 2 else said(question(clip_number(request)))

    with serving(reply) as server:
        assert generate(captions, tmp_path / "out", server.url, "--set", "endpoint.retries=0").code == 0
    assert [row["reason"] for row in lines_of(tmp_path / "out" / "rejected.jsonl")] == ["no reply: status 503: ''"] * 40


def test_replies_that_came_are_not_asked_for_again_and_failed_ones_are(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 16)
    failing = {3, 7}

    def reply(request):
        return Scripted(b"", status=500) if clip_number(request) in failing else said(question(clip_number(request)))

    with serving(reply) as server:
        assert generate(captions, tmp_path / "out", server.url).code == 0
        assert {row["id"] for row in lines_of(tmp_path / "out" / "rejected.jsonl")} == {"c0003", "c0007"}
        n = len(server.received)
        failing.clear()
        assert generate(captions, tmp_path / "out", server.url).code == 0
    assert sorted(clip_number(request) for request in server.received[n:]) == [3, 7]
    assert len(lines_of(tmp_path / "out" / "manifest.jsonl")) == 16
    assert notes(server.received[0])["A2"] == "dog, bell"


def test_a_server_that_is_not_there_is_found_with_one_request(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 8)
    done = generate(captions, tmp_path / "out", "http://127.0.0.1:9/v1", "--set", "endpoint.retries=9")
    assert done.code == 2
    assert "endpoint.base_url: http://127.0.0.1:9/v1: cannot be reached" in done.err
    assert not (tmp_path / "out" / "manifest.jsonl").exists()
