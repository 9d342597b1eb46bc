"""The live page's server, tested over real connections."""

import io
import json
import socket
from urllib.parse import quote

import pytest
import soundfile
from page_requests import request, serving
from report_runs import metric_rows, prediction, sampled, write_clips, write_demo, write_evaluation, write_run

from harken.errors import DataError, HarkenError
from harken.report.server import ViewServer
from harken.report.viewer import Viewer
from harken.system.files import write_text
from harken.system.json_lines import write_json_lines


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    with serving(Viewer([write_demo(folder)], [folder / "data"])) as server:
        yield server


def test_it_listens_on_the_loopback_interface_alone(demo):
    assert demo.server_address[0] == "127.0.0.1"
    assert demo.socket.family == socket.AF_INET


def test_page_and_state_hold_the_run_and_the_page_may_load_from_its_server_alone(demo):
    status, headers, body = request(demo, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    rules = headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in rules
    assert "unsafe" not in rules
    assert rules.removesuffix("; frame-ancestors 'none'").replace("'", "&#39;").encode() in body
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    status, headers, body = request(demo, "/state")
    state = json.loads(body)
    assert status == 200
    assert state["status"] == "step 40, 3 kept rollouts, 2 evaluations"
    assert len(state["questions"]) == 10
    assert "62.5" in state["summary"]
    assert request(demo, "/state", If_None_Match=headers["ETag"])[0] == 304
    assert request(demo, "/", "HEAD")[2] == b""


def test_new_steps_rollouts_and_evaluations_appear_while_the_run_goes_on(tmp_path):
    run = write_run(tmp_path / "run", metrics=metric_rows(2))
    with serving(Viewer([run], [])) as server:
        _, headers, body = request(server, "/state")
        assert json.loads(body)["panels"][0]["series"][0]["x"] == [1, 2]
        with (run / "metrics.jsonl").open("a") as file:
            file.write('{"step": 3, "reward/mean": 0.5}\n{"step": 4, "rewa')  # training is writing the fourth
        status, headers, body = request(server, "/state", If_None_Match=headers["ETag"])
        assert status == 200
        assert json.loads(body)["panels"][0]["series"][0]["x"] == [1, 2, 3]
        write_json_lines(run / "rollouts" / "step_000003.jsonl", [sampled("a", 0, correct=True)])
        assert [item["id"] for item in json.loads(request(server, "/state")[2])["questions"]] == ["a"]
        write_evaluation(run, "test", [prediction("t", correct=True)], model="m")
        assert [item["id"] for item in json.loads(request(server, "/state")[2])["questions"]] == ["a", "t"]


def test_a_file_that_breaks_meanwhile_is_reported_and_the_page_goes_on(tmp_path):
    run = write_run(tmp_path / "run", metrics=metric_rows(2))
    with serving(Viewer([run], [])) as server:
        write_text(run / "metrics.jsonl", "oops\n")
        status, _, body = request(server, "/state")
        assert (status, "metrics.jsonl:1: not JSON" in json.loads(body)["error"]) == (500, True)
        write_json_lines(run / "metrics.jsonl", metric_rows(5))
        assert request(server, "/state")[0] == 200


def test_a_clip_has_a_picture_and_a_sound_of_which_any_range_can_be_requested(demo):
    _, _, body = request(demo, f"/clip/{quote('audio/test_3.wav', safe='')}")
    clip = json.loads(body)
    assert (clip["seconds"], len(clip["outline"])) == (0.5, 240)
    status, headers, whole = request(demo, "/" + clip["sound"])
    assert (status, headers["Content-Type"], headers["Accept-Ranges"]) == (200, "audio/wav", "bytes")
    samples, rate = soundfile.read(io.BytesIO(whole))
    assert (rate, len(samples)) == (16_000, 8000)
    n = len(whole)
    for wanted, expected in (
        ("bytes=0-", (0, n - 1)),
        ("bytes=0-99", (0, 99)),
        ("bytes=100-199", (100, 199)),
        (f"bytes={n - 1}-", (n - 1, n - 1)),
        (f"bytes=5-{10 * n}", (5, n - 1)),
        ("bytes=-10", (n - 10, n - 1)),
        (f"bytes=-{10 * n}", (0, n - 1)),
    ):
        status, headers, part = request(demo, "/" + clip["sound"], Range=wanted)
        first, last = expected
        assert (status, headers["Content-Range"]) == (206, f"bytes {first}-{last}/{n}"), wanted
        assert part == whole[first : last + 1]
        assert int(headers["Content-Length"]) == len(part)
    for wanted in (f"bytes={n}-", "bytes=10-5", "bytes=-0"):
        status, headers, body = request(demo, "/" + clip["sound"], Range=wanted)
        assert (status, headers["Content-Range"], body) == (416, f"bytes */{n}", b"")
    for wanted in ("bytes=0-1,5-6", "items=0-1", "bytes=-", "bytes=a-b", "bytes=" + "9" * 400 + "-"):
        assert request(demo, "/" + clip["sound"], Range=wanted)[2] == whole


OUTSIDE = [
    "../secret.wav",
    "../../etc/passwd",
    "/etc/passwd",
    "audio/../../secret.wav",
    "audio/link.wav",
    "linked/secret.wav",
]
OUTSIDE += [
    "./audio/test_0.wav",
    "audio//test_0.wav",
    "audio\\test_0.wav",
    "notes.txt",
    "audio/unnamed.wav",
    "audio/test_0.wav\0",
]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A run whose rows name every place outside; the files are there."""
    tmp_path = tmp_path_factory.mktemp("guarded")
    rows = [sampled(str(i), 0, correct=True, clip=name) for i, name in enumerate([*OUTSIDE, "audio/test_0.wav"])]
    rows = [row for row in rows if row["clip"] != "audio/unnamed.wav"]
    run = write_run(tmp_path / "run", rollouts={1: rows})
    write_clips(tmp_path, ["secret.wav", "root/audio/test_0.wav", "root/audio/unnamed.wav"])
    (tmp_path / "root" / "notes.txt").write_text("a secret")
    (tmp_path / "root" / "audio" / "link.wav").symlink_to(tmp_path / "secret.wav")
    (tmp_path / "root" / "linked").symlink_to(tmp_path)
    with serving(Viewer([run], [tmp_path / "root"])) as server:
        yield server


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize(
    "encode", [str, quote, lambda text: quote(text, safe=""), lambda text: quote(quote(text, safe=""), safe="")]
)
def test_no_path_leads_out_of_the_folders_that_were_given(guarded, name, encode):
    for place in ("/sound/", "/clip/", "/", "/sound//", "//", "/sound/../", "/sound/%2e%2e/", "/run/", "/static/"):
        path = place + encode(name)
        if any(sign in path for sign in "\0 "):
            continue  # no request line can hold it as it is
        status, _, body = request(guarded, path)
        assert status == 404 or (status == 200 and set(json.loads(body)) == {"fault"}), path
        assert b"RIFF" not in body
        assert b"a secret" not in body
        assert b"root:" not in body


def test_the_run_names_what_is_served_and_a_clip_it_names_is(guarded):
    assert request(guarded, "/sound/audio%2Ftest_0.wav")[0] == 200
    assert request(guarded, "/sound/audio/test_0.wav")[0] == 200
    assert request(guarded, "/sound/audio/unnamed.wav")[0] == 404


@pytest.mark.parametrize(
    "path", ["/config.yaml", "/run/config.yaml", "/metrics.jsonl", "/state?x", "/state/", "/../state", "/index.html"]
)
def test_the_run_folder_is_not_served_as_files(demo, path):
    assert request(demo, path)[0] == 404


def test_absolute_request_targets_are_no_page(demo):
    assert request(demo, f"http://127.0.0.1:{demo.server_port}/state")[0] == 404
    assert request(demo, "http://evil.example/")[0] == 404


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost",
        "127.0.0.1.evil.example:{port}",
        "",
        "0.0.0.0:{port}",
        "[::1]:{port}",
    ],
)
def test_other_host_names_are_refused(demo, host):
    for path in ("/", "/state", "/clip/audio%2Ftest_0.wav", "/sound/audio%2Ftest_0.wav"):
        status, _, body = request(demo, path, Host=host.format(port=demo.server_port))
        assert (status, set(json.loads(body))) == (403, {"error"})


def test_two_host_names_or_none_are_refused(demo):
    for hosts in (b"", b"Host: 127.0.0.1:%d\r\nHost: evil.example\r\n" % demo.server_port):
        with socket.create_connection(("127.0.0.1", demo.server_port), timeout=10) as raw:
            raw.sendall(b"GET /state HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
            assert raw.makefile("rb").readline().split()[1] == b"403"


def test_localhost_is_this_machine(demo):
    assert request(demo, "/state", Host=f"localhost:{demo.server_port}")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "odd"},
    ],
)
def test_requests_of_other_sites_are_refused(demo, headers):
    for path in ("/", "/state", "/sound/audio%2Ftest_0.wav"):
        status, reply, _ = request(demo, path, **headers)
        assert status == 403
        assert "Access-Control-Allow-Origin" not in reply


def test_the_pages_own_requests_are_answered(demo):
    own = {"Origin": f"http://127.0.0.1:{demo.server_port}", "Sec_Fetch_Site": "same-origin"}
    assert request(demo, "/state", **own)[0] == 200
    assert request(demo, "/", Sec_Fetch_Site="none")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_nothing_can_be_written(demo, method):
    assert request(demo, "/state", method)[0] == 501


def test_no_audio_folder_given_means_no_sound(tmp_path):
    with serving(Viewer([write_demo(tmp_path)], [])) as server:
        assert json.loads(request(server, "/clip/audio%2Ftest_0.wav")[2]) == {
            "fault": "no files called 'audio/test_0.wav' in the audio folders"
        }
        assert request(server, "/sound/audio%2Ftest_0.wav")[0] == 404


def test_a_folder_that_is_no_run_and_a_port_that_is_taken_are_errors(tmp_path, demo):
    with pytest.raises(DataError, match=r"no config\.yaml"):
        Viewer([tmp_path], [])
    with pytest.raises(HarkenError, match=f"port {demo.server_port}: .* choose another --port"):
        ViewServer(demo.viewer, demo.server_port)
