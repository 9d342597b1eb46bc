"""The report is one file that loads nothing from elsewhere, executes no text, and says what it leaves out."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from hostile import hostile_run, hostile_texts
from report_runs import prediction, sampled, write_clips, write_demo, write_evaluation, write_run
from typer.testing import CliRunner

from harken.cli.app import app
from harken.errors import DataError
from harken.report import build, embedded_clips
from harken.report.build import write_report
from harken.report.page import page_script, page_style, script_json, security_policy
from harken.report.questions import LONGEST_LABEL, LONGEST_PART, LONGEST_TEXT
from harken.system.shown_text import cut


class Page(HTMLParser):
    """Elements, texts and data blocks of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.blocks: dict[str, str] = {}
        self.styles: list[str] = []
        self._inside = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = (tag, dict(attrs)) if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside and self._inside[0] == "style":
            self.styles.append(data)
        elif self._inside:
            self.blocks[self._inside[1].get("id") or "script"] = data
        else:
            self.text.append(data)

    def data(self):
        return json.loads(self.blocks["data"])


KNOWN = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "script",
        "body",
        "header",
        "main",
        "nav",
        "section",
        "article",
    ),
    *(
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "a",
        "b",
        "div",
        "span",
        "ul",
        "dl",
        "dt",
        "dd",
        "details",
        "summary",
        "pre",
        "code",
    ),
    *("kbd", "noscript", "table", "thead", "tbody", "tr", "th", "td", "svg", "line", "circle", "rect"),
}


def report_of(tmp_path, *runs, **options) -> tuple[str, Page]:
    write_report(runs, tmp_path / "report.html", **options)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    return html, Page(html)


def test_the_report_holds_run_tables_curves_questions_and_clips(tmp_path):
    html, page = report_of(tmp_path, write_demo(tmp_path))
    text = " ".join(" ".join(page.text).split())
    for words in ("grpo", "2 × GPU X", "0123abcd", "40 of 40", "62.5", "+12.5", "audio gain", "speech hard"):
        assert words in text
    data = page.data()
    assert {"reward/mean", "reward/accuracy", "loss/kl", "policy/entropy", "completion/think", "time/step_s"} == {
        panel["key"] for panel in data["panels"]
    }
    assert len(data["questions"]) == 10
    assert data["note"] == "This file holds all 10 questions and all 10 clips."
    for item in data["questions"]:
        clip = json.loads(page.blocks[f"clip-{item['sound']}"])
        assert clip["seconds"] == 0.5
        assert clip["sound"].startswith("data:audio/mpeg;base64,")
        assert base64.b64decode(clip["mel"].partition(",")[2]).startswith(b"\x89PNG")
    assert "harken compare" not in html


def test_nothing_in_the_page_is_loaded_from_elsewhere(tmp_path):
    _, page = report_of(tmp_path, write_demo(tmp_path))
    outside = [
        (tag, name, value)
        for tag, attrs in page.elements
        for name, value in attrs.items()
        if name in ("src", "href", "srcset", "action", "data", "poster")
        and not (value or "").startswith(("#", "data:"))
    ]
    assert outside == []
    code = page.blocks["script"] + "".join(page.styles)
    assert re.findall(r"https?://[^\"'` ]+", code) == [
        "https://github.com/leeoniya/uPlot",  # the comment that names the plotting library
        "http://www.w3.org/2000/svg",
    ]
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "@import"):
        assert word not in code, word


def test_the_policy_allows_the_one_script_and_the_one_style_sheet_by_their_hash(tmp_path):
    html, page = report_of(tmp_path, write_demo(tmp_path))
    (rules,) = [
        attrs["content"] for tag, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    for directive, content in (("script-src", page.blocks["script"]), ("style-src", "".join(page.styles))):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in rules
    assert "default-src 'none'" in rules
    assert "connect-src 'none'" in rules
    assert "unsafe" not in rules
    assert [attrs for tag, attrs in page.elements if "style" in attrs] == []
    assert "connect-src 'self'" in security_policy(live=True)
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_json_in_a_script_element_cannot_end_it_and_reads_back():
    value = ["</script><!--<script>", "a\u2028b\u2029c", "\ud800", "\x00", "&lt;", "ß漢𝕊"]
    text = script_json(value)
    assert re.fullmatch(r"[ -;=?-~]*", text)  # ASCII without < and >
    assert json.loads(text) == value
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json(float("nan"))


def test_hostile_texts_are_shown_as_they_are_and_make_no_element(tmp_path):
    texts = hostile_texts()
    assert len(texts) == 200
    assert sum(len(text) >= 500_000 for text in texts) >= 5
    html, page = report_of(tmp_path, hostile_run(tmp_path / "run", texts))
    assert {tag for tag, _ in page.elements} <= KNOWN
    assert [attrs for _, attrs in page.elements if any(name.startswith("on") for name in attrs)] == []
    assert [attrs.get("type") for tag, attrs in page.elements if tag == "script"] == ["application/json", None]
    items = page.data()["questions"]
    assert len(items) == 400
    for name, longest, texts_shown in (
        ("text", LONGEST_TEXT, {item["text"] for item in items}),
        ("choice", LONGEST_LABEL, {item["choices"][0] for item in items}),
        (
            "completion",
            LONGEST_TEXT,
            {row["text"] for item in items for group in item["groups"] for row in group["rows"]},
        ),
        (
            "judge",
            LONGEST_PART,
            {name for item in items for group in item["groups"] for row in group["rows"] for name in row["judged"]},
        ),
    ):
        extra = {"quality"} if name == "judge" else set()
        assert texts_shown == extra | {cut(text if name != "judge" else text[:2000], longest) for text in texts}, name
    assert all(item["sound"] is None for item in items)
    assert "\ud800" not in html


def test_a_large_run_is_sampled_and_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "TEXT_BUDGET", 4000)
    monkeypatch.setattr(embedded_clips, "SOUND_BUDGET", 10_000)
    _, page = report_of(tmp_path, write_demo(tmp_path))
    data = page.data()
    listed, embedded = len(data["questions"]), sum(name.startswith("clip-") for name in page.blocks)
    assert 0 < embedded < listed < 10
    assert data["note"] == (
        f"This file holds {listed} of 10 questions, spread evenly over outcomes, tasks and difficulties, "
        f"and {embedded} of 10 clips. Tables and curves are of all questions and steps."
    )
    silent = [item for item in data["questions"] if item["sound"] is None]
    assert {item["silent"] for item in silent} == {"This clip was left out because the file would become too large."}


def test_clips_come_from_where_each_set_says_and_from_elsewhere_when_moved(tmp_path):
    run = write_demo(tmp_path)
    write_clips(tmp_path / "other", ["audio/test_0.wav"], seconds=1.0)
    other = {"file": str(tmp_path / "other" / "q.json"), "model": "m"}
    write_evaluation(run, "more", [prediction("test_0", correct=True)], **other)
    _, page = report_of(tmp_path, run)
    seconds = {
        item["set"]: json.loads(page.blocks[f"clip-{item['sound']}"])["seconds"]
        for item in page.data()["questions"]
        if item["id"] == "test_0"
    }
    assert seconds == {"test.json": 0.5, "q.json": 1.0}
    (tmp_path / "data").rename(tmp_path / "moved")
    _, page = report_of(tmp_path, run)
    silent = next(item for item in page.data()["questions"] if item["set"] == "training")
    assert silent["silent"] == f"no files called '{silent['clip']}' in the audio folders"
    _, page = report_of(tmp_path, run, audio_roots=[tmp_path / "moved"])
    assert all(item["sound"] is not None for item in page.data()["questions"] if item["set"] == "training")


def test_a_long_clip_is_cut_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_clips, "LONGEST_CLIP_S", 1)
    run = write_run(tmp_path / "run", data=str(tmp_path / "q.json"), rollouts={1: [sampled("a", 0, correct=True)]})
    write_clips(tmp_path, ["audio/a.wav"], seconds=3.0)
    _, page = report_of(tmp_path, run)
    clip = json.loads(page.blocks["clip-0"])
    assert (clip["seconds"], clip["note"]) == (1.0, "the first 1 s of 3 s")


def test_several_runs_are_overlaid_and_a_run_given_twice_counts_once(tmp_path):
    runs = [write_demo(tmp_path / name) for name in ("s0", "s1")]
    _, page = report_of(tmp_path, *runs, runs[0])
    data = page.data()
    assert [run["name"] for run in data["runs"]] == ["s0/grpo", "s1/grpo"]
    assert [series["run"] for series in data["panels"][0]["series"]] == [0, 1]
    assert "over the runs" in " ".join(page.text)
    (item,) = [item for item in data["questions"] if item["id"] == "test_4"]
    assert [answer["run"] for answer in item["answers"]] == [0] * 4 + [1] * 4


def test_a_run_without_steps_or_evaluations_has_a_page_too(tmp_path):
    _, page = report_of(tmp_path, write_run(tmp_path / "run"))
    assert page.data()["questions"] == []
    assert page.data()["panels"] == []
    assert "The run folder holds no evaluation yet" in " ".join(page.text)


def test_the_same_runs_give_the_same_file(tmp_path):
    run = write_demo(tmp_path)
    assert report_of(tmp_path, run)[0] == report_of(tmp_path, run)[0]


def test_the_command_writes_into_the_run_folder_and_names_what_is_no_run(tmp_path):
    run = write_demo(tmp_path)
    done = CliRunner().invoke(app, ["report", str(run)])
    assert done.exit_code == 0, done.output
    assert "report.html" in done.output
    assert (run / "report.html").stat().st_size > 50_000
    done = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert isinstance(done.exception, DataError)
    assert "no config.yaml; give the folder of a run" in str(done.exception)


def test_no_name_is_defined_twice_in_the_pages_one_script():
    """The scripts share one scope, where a second function of one name silently takes the place of the first."""
    names = re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", page_script(), re.MULTILINE)
    assert len(names) > 40
    assert {name for name in names if names.count(name) > 1} == set()


def test_the_plotting_library_is_the_published_file_with_its_licence():
    """uPlot 1.6.32 of npm; its archive has the integrity sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXI..."""
    hashes = {
        "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
        "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
        "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    }
    folder = files("harken.report") / "assets" / "uplot"
    assert {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in hashes} == hashes
    assert "The MIT License" in (folder / "LICENSE").read_text()
    assert "uPlot (v1.6.32)" in page_script()


@pytest.mark.parametrize("scheme", [0, 1])
def test_the_colours_of_charts_can_be_told_from_their_background(scheme):
    """WCAG 2: 4.5 for text, 3 for lines. Charts are drawn on a canvas, where a browser's styles cannot be asked."""
    blocks = re.findall(r":root \{(.*?)\}", page_style(), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[scheme]))

    def light(name):
        parts = [int(colours[name][at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(name):
        high, low = sorted((light(name), light("card")), reverse=True)
        return (high + 0.05) / (low + 0.05)

    assert contrast("muted") >= 4.5
    assert min(contrast(f"run-{run}") for run in range(6)) >= 3
