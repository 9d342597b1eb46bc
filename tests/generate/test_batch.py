"""Batch files of providers: requests are written, results are read, and the set equals the one made with a server."""

import json
from pathlib import Path

import pytest
from command_line import harken
from generate_cases import expected_kept, lines_of, scripted, write_captions
from scripted_server import Received, serving


def words(captions: Path, out: Path, url: str | None = None) -> list:
    """The words of the command; without a server at `url` it has no key either."""
    server = ["--endpoint", url or "http://127.0.0.1:9/v1", *(["--api-key-env", "NO_SUCH_KEY"] if url is None else [])]
    return ["generate", "questions", "--captions", captions, "--out", out, "--model", "m", *server]


def answered(requests: Path, results: Path, *, fail: int = -1) -> None:
    """Write the results of a provider for a file of requests; the request at `fail` has expired."""
    reply = scripted(lambda number, tried: 1)
    rows = []
    for place, row in enumerate(lines_of(requests)):
        assert (row["method"], row["url"]) == ("POST", "/v1/chat/completions")
        assert set(row["body"]) == {"model", "messages", "max_tokens", "temperature"}
        response = reply(Received(row["url"], {}, row["body"]))
        result = {"custom_id": row["custom_id"], "response": None, "error": {"code": "batch_expired"}}
        if place != fail and response.status == 200:
            body = json.loads(response.body) | {"usage": {"prompt_tokens": 100, "completion_tokens": 10}}
            result |= {"response": {"status_code": 200, "body": body}, "error": None}
        elif place != fail:
            result |= {"response": {"status_code": response.status, "body": {}}, "error": None}
        rows.append(json.dumps(result))
    results.write_text("\n".join(rows[::-1]))  # results come in any order


def test_batches_go_on_until_nothing_is_left_to_ask(tmp_path):
    n = 40
    captions, out = write_captions(tmp_path / "captions.jsonl", n), tmp_path / "out"
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    done = harken(*words(captions, out), "--batch-requests", first)
    assert done.code == 0, done.err
    assert f"{n} requests to send: {first}" in done.out
    assert not (out / "manifest.jsonl").exists()
    answered(first, tmp_path / "results.jsonl", fail=5)
    done = harken(*words(captions, out), "--batch-results", tmp_path / "results.jsonl", "--batch-requests", second)
    assert done.code == 0, done.err
    failed = [i for i in range(n) if i % 8 == 3 and i // 8 % 5 == 0]  # always a status of 500
    bad = [i for i in range(n) if i % 8 in (0, 1)]
    assert f"{n - len(failed) - 1} replies stored, {len(failed) + 1} results without one" in done.out
    assert "batch_expired" in done.out
    sent = lines_of(second)
    assert len([request for request in sent if len(request["body"]["messages"]) == 3]) == len(bad)
    assert len([request for request in sent if len(request["body"]["messages"]) == 1]) == len(failed) + 1
    answered(second, tmp_path / "results2.jsonl")
    third = tmp_path / "third.jsonl"
    done = harken(*words(captions, out), "--batch-results", tmp_path / "results2.jsonl", "--batch-requests", third)
    assert f"{len(failed)} requests to send" in done.out  # the ones that fail whenever they are asked
    assert not (out / "manifest.jsonl").exists()
    with serving(scripted(lambda number, tried: 1)) as server:  # what a batch never answers is asked for now
        assert harken(*words(captions, out, server.url), "--set", "endpoint.retries=0").code == 0
        assert len(server.received) == len(failed)
    assert {row["id"] for row in lines_of(out / "manifest.jsonl")} == expected_kept(n)
    card = (out / "card.md").read_text()
    replies = n - len(failed) + len(bad)
    assert f"| prompt tokens | {100 * replies} |\n| completion tokens | {10 * replies} |" in card


def test_the_manifest_is_written_when_a_batch_has_answered_all_and_equals_that_of_a_server(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 3)  # bad once, never good, good
    for number in (1, 2):
        requests, results = tmp_path / f"requests{number}.jsonl", tmp_path / f"results{number}.jsonl"
        before = ["--batch-results", tmp_path / f"results{number - 1}.jsonl"] if number > 1 else []
        assert harken(*words(captions, tmp_path / "out"), *before, "--batch-requests", requests).code == 0
        answered(requests, results)
    done = harken(
        *words(captions, tmp_path / "out"), "--batch-results", results, "--batch-requests", tmp_path / "requests3.jsonl"
    )
    assert "written: " in done.out
    assert not (tmp_path / "requests3.jsonl").exists()
    with serving(scripted(lambda number, tried: 1)) as server:
        assert harken(*words(captions, tmp_path / "live", server.url)).code == 0
    for name in ("manifest.jsonl", "rejected.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "live" / name).read_bytes()


def test_prices_make_a_cost_of_the_tokens(tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 24)
    first = tmp_path / "first.jsonl"
    price = ["--set", "prices.prompt=2.5", "--set", "prices.completion=10", "--set", "sampling.tries=1"]
    harken(*words(captions, tmp_path / "out"), *price, "--batch-requests", first)
    answered(first, tmp_path / "results.jsonl")
    with serving(scripted(lambda number, tried: 1)) as server:
        more = [*price, "--set", "endpoint.retries=0", "--batch-results", tmp_path / "results.jsonl"]
        assert harken(*words(captions, tmp_path / "out", server.url), *more).code == 0
    # 23 replies with 100 and 10 tokens: 2300 * 2.5 / 1e6 + 230 * 10 / 1e6
    assert "| cost | 0.01 |" in (tmp_path / "out" / "card.md").read_text()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"custom_id": "request-1", "response": null}', "custom_id 'request-1' is not one of harken's"),
        ('{"response": null}', "custom_id None is not one of harken's"),
    ],
)
def test_a_file_of_other_results_is_refused(line, message, tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 1)
    (tmp_path / "results.jsonl").write_text(line)
    done = harken(*words(captions, tmp_path / "out"), "--batch-results", tmp_path / "results.jsonl")
    assert (done.code, message in done.err) == (2, True)


@pytest.mark.parametrize(
    "response",
    [
        '{"status_code": 200}',
        '{"status_code": 200, "body": [1]}',
        "[]",
        '"x"',
        '{"status_code": 200, "body": {"choices": []}}',
        '{"status_code": 500, "body": {"choices": [{"message": {"content": "an error page"}}]}}',
    ],
)
def test_a_result_that_is_no_reply_leaves_its_request_to_ask(response, tmp_path):
    captions = write_captions(tmp_path / "captions.jsonl", 1)
    requests = tmp_path / "requests.jsonl"
    harken(*words(captions, tmp_path / "out"), "--batch-requests", requests)
    [row] = lines_of(requests)
    (tmp_path / "results.jsonl").write_text(f'{{"custom_id": "{row["custom_id"]}", "response": {response}}}\nbroken\n')
    again = harken(
        *words(captions, tmp_path / "out"), "--batch-results", tmp_path / "results.jsonl", "--batch-requests", requests
    )
    assert again.code == 0, again.err
    assert "0 replies stored, 2 results without one" in again.out
    assert lines_of(requests) == [row]


@pytest.mark.parametrize(
    ("limit", "sizes"), [(("--batch-max-requests", 3), [3, 3, 2]), (("--batch-max-mb", 0.009), None)]
)
def test_requests_beyond_the_limits_of_a_provider_go_to_several_files_that_are_read_together(tmp_path, limit, sizes):
    captions, out = write_captions(tmp_path / "captions.jsonl", 8), tmp_path / "out"
    (tmp_path / "send-009.jsonl").write_text("left by an earlier command")
    done = harken(*words(captions, out), "--batch-requests", tmp_path / "send.jsonl", *limit)
    assert done.code == 0, done.err
    files = sorted(tmp_path.glob("send*.jsonl"))
    assert [file.name for file in files] == [f"send-{n:03d}.jsonl" for n in range(1, len(files) + 1)]
    assert len(files) > 1
    assert sum(len(lines_of(file)) for file in files) == 8
    if sizes is not None:
        assert [len(lines_of(file)) for file in files] == sizes
    else:
        assert all(file.stat().st_size <= 9_000 for file in files)
    results = []
    for file in files:
        results += ["--batch-results", tmp_path / f"got-{file.name}"]
        answered(file, results[-1])
    done = harken(*words(captions, out), *results, "--batch-requests", tmp_path / "next.jsonl")
    assert done.code == 0, done.err
    assert [path.name for path in tmp_path.glob(".*")] == []
