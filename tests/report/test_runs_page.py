"""The page over many runs: which folders are runs, what its table holds, what differs, and what its server answers."""

import json

import pytest
from page_requests import request, serving
from report_runs import metric_rows, prediction, write_demo, write_evaluation, write_run

from harken.errors import DataError
from harken.report.build import report_page
from harken.report.find_runs import find_runs, is_run, run_key
from harken.report.run import read_run
from harken.report.runs_viewer import RunsViewer
from harken.report.server import serve
from harken.report.settings import differing_keys, flatten
from harken.system.files import write_text


def rows_of(root):
    table = json.loads(RunsViewer(root, []).state()[0])
    return table, {row["name"]: row for row in table["rows"]}


def two_runs(folder):
    """Two runs that differ in beta, evaluated on the same four questions: one has 3 right, the other 1."""
    for name, beta, right in (("a", 0.04, 3), ("b", 0.0, 1)):
        run = write_run(folder / name, model="base", metrics=metric_rows(5), grpo={"steps": 40, "beta": beta})
        write_evaluation(run, "test", [prediction(str(i), correct=i < right) for i in range(4)], model=name)
    return folder


def test_runs_are_found_below_a_folder_and_nothing_else_is_a_run(tmp_path):
    write_demo(tmp_path / "one")
    write_run(tmp_path / "deep" / "er" / "run")
    write_run(tmp_path / "deep" / "er" / "run" / "checkpoints" / "old")  # inside a run none is looked for
    write_run(tmp_path / ".hidden")
    (tmp_path / "link").symlink_to(tmp_path / "one" / "grpo")
    assert [path.relative_to(tmp_path).as_posix() for path in find_runs(tmp_path)] == [
        "deep/er/run",
        "one/grpo",
        "one/sft",
    ]
    assert not is_run(tmp_path / "one" / "grpo" / "eval" / "test")  # an evaluation has settings too


def test_the_table_has_the_result_of_each_run_and_the_settings_that_differ(tmp_path):
    table, rows = rows_of(two_runs(tmp_path))
    assert table["keys"] == ["grpo.beta"]
    assert table["sets"] == ["test.json"]
    assert [rows[name]["settings"] for name in "ab"] == [{"grpo.beta": "0.04"}, {"grpo.beta": "0.0"}]
    assert [rows[name]["results"]["test.json"]["after"][0] for name in "ab"] == [0.75, 0.25]
    assert rows["a"]["results"]["test.json"]["before"] is None
    assert (rows["a"]["step"], rows["a"]["steps"]) == (5, 40)


def test_before_is_taken_from_a_run_of_the_same_folder(tmp_path):
    write_demo(tmp_path / "demo")
    _, rows = rows_of(tmp_path)
    assert rows["demo/grpo"]["results"]["test.json"]["gain"][0] == pytest.approx(1 / 8)
    _, alone = rows_of(tmp_path / "demo" / "grpo")  # the run that it started from lies outside
    assert alone["."]["results"]["test.json"]["gain"] is None


def test_sets_of_one_name_are_told_apart_and_the_commonest_stands_first(tmp_path):
    for name, ids in (("a", "12"), ("b", "3"), ("c", "3")):
        run = write_run(tmp_path / name, model="base", metrics=metric_rows(1))
        write_evaluation(run, "test", [prediction(i, correct=True) for i in ids], model=name)
    table, rows = rows_of(tmp_path)
    assert table["sets"] == ["test.json", "test.json (2)"]
    assert [set(rows[name]["results"]) for name in "abc"] == [{"test.json (2)"}, {"test.json"}, {"test.json"}]


def test_a_damaged_run_is_a_row_that_says_so(tmp_path):
    two_runs(tmp_path)
    write_text(tmp_path / "b" / "metrics.jsonl", "oops\n")
    table, rows = rows_of(tmp_path)
    assert "metrics.jsonl:1: not JSON" in rows["b"]["fault"]
    assert rows["a"]["results"]
    assert table["keys"] == []  # what cannot be read differs in nothing


def test_only_a_run_that_has_changed_is_read_again(tmp_path, monkeypatch):
    viewer = RunsViewer(two_runs(tmp_path), [])
    first = viewer.state()[0]
    read = []
    monkeypatch.setattr("harken.report.runs_viewer.read_row", lambda run, *rest: read.append(run.name) or {})
    assert viewer.state()[0] == first
    assert read == []
    with (tmp_path / "b" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6}\n')
    with pytest.raises(KeyError):
        viewer.state()
    assert read == ["b"]


def test_settings_are_flat_and_a_key_that_an_older_run_lacks_does_not_differ():
    runs = [
        flatten({"seed": 1, "model": {"path": "m", "lora": None}, "new": 3}),
        flatten({"seed": 1, "model": {"path": "m", "lora": {"rank": 4}}}),
    ]
    assert runs[1] == {"seed": "1", "model.path": "m", "model.lora.rank": "4"}
    assert differing_keys(runs) == ["model.lora.rank"]
    assert differing_keys([{"a": "1"}, {"a": "2"}]) == ["a"]


def test_two_runs_are_compared_pair_by_pair_with_the_settings_that_differ(tmp_path):
    runs = [read_run(tmp_path / name) for name in "ab" if two_runs(tmp_path)]
    page = report_page(runs)
    assert "The two runs compared" in page
    assert "-50.0 [" in page  # 1 of 4 instead of 3 of 4
    assert "grpo.beta" in page
    assert "mean over the runs" not in page  # they are not one recipe with two seeds
    assert "runs compared" not in report_page(runs[:1])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    write_demo(folder / "demo")
    write_run(folder / "</script><b>", metrics=metric_rows(2))
    with serving(RunsViewer(folder, [folder / "demo" / "data"])) as server:
        yield server


def test_the_server_has_the_table_the_page_of_a_run_and_one_page_for_several(site):
    status, headers, body = request(site, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    rules = headers["Content-Security-Policy"].removesuffix("; frame-ancestors 'none'")
    assert rules.replace("'", "&#39;").encode() in body
    assert len(json.loads(request(site, "/state")[2])["rows"]) == 3
    first, second = run_key("demo/grpo"), run_key("demo/sft")
    for keys, names in ((first, 1), (f"{first}+{second}", 2)):
        assert b"All runs" in request(site, f"/view/{keys}/")[2]
        state = json.loads(request(site, f"/view/{keys}/state")[2])
        assert len(state["runs"]) == names
    clip = json.loads(request(site, f"/view/{first}/clip/audio%2Ftest_3.wav")[2])
    assert request(site, f"/view/{first}/{clip['sound']}")[2].startswith(b"RIFF")


@pytest.mark.parametrize(
    "path",
    [
        "/view/",
        "/view//",
        "/view/0123456789ab/",
        "/view/../state",
        "/view/demo/",
        "/clip/audio%2Ftest_3.wav",
        "/sound/audio%2Ftest_3.wav",
        "/view/%2e%2e/state",
    ],
)
def test_what_is_no_run_of_the_folder_is_no_page(site, path):
    assert request(site, path)[0] == 404


def test_the_page_of_a_run_that_broke_meanwhile_says_so_and_the_table_goes_on(tmp_path):
    two_runs(tmp_path)
    with serving(RunsViewer(tmp_path, [])) as server:
        write_text(tmp_path / "b" / "metrics.jsonl", "oops\n")
        status, _, body = request(server, f"/view/{run_key('b')}/")
        assert (status, "not JSON" in json.loads(body)["error"]) == (500, True)
        assert request(server, "/state")[0] == 200


def test_a_hostile_name_of_a_run_is_data(site):
    state = request(site, "/state")[2]
    assert b"<" not in state
    assert "</script><b>" in {row["name"] for row in json.loads(state)["rows"]}
    page = request(site, f"/view/{run_key('</script><b>')}/")[2].decode()
    assert "<b>" not in page.partition("<script")[0]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no config\.yaml, and no run below it"):
        serve(tmp_path, [], 0, print)
    with pytest.raises(DataError, match="no such folder"):
        serve(tmp_path / "none", [], 0, print)
