"""The report and the live page in a real browser: an installed Chromium without a window, driven by Playwright."""

import contextlib
import json
import shutil
import threading
import time
from urllib.parse import urlsplit

import pytest
from hostile import hostile_run, hostile_texts
from report_runs import metric_rows, prediction, write_evaluation, write_run

from harken.config import EvaluationRecipe
from harken.data.demo_set import write_demo_set
from harken.models.tiny_checkpoint import question_texts, write_tiny
from harken.report.build import write_report
from harken.report.runs_viewer import RunsViewer
from harken.report.server import ViewServer
from harken.report.viewer import Viewer
from harken.system.json_lines import write_json_lines

pytestmark = pytest.mark.slow
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 380, "height": 800}
SIDES = ("scroll", "client")
CONTRAST = """() => {
  const parts = (colour) => [...colour.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const low = [];
  for (const element of document.querySelectorAll("body *:not(script):not(style):not(noscript)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.getClientRects().length || element.closest(".hidden, .skip")) continue;
    const style = getComputedStyle(element);
    let back = element, colour = [0, 0, 0, 0];
    while (back && colour[3] < 1) { colour = parts(getComputedStyle(back).backgroundColor); back = back.parentElement; }
    const ink = light(parts(element instanceof SVGElement ? style.fill : style.color)), paper = light(colour);
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) low.push([element.tagName, element.className.toString(), element.textContent.slice(0, 40), ratio]);
  }
  return low;
}"""

STICKS_OUT = """() => [...document.querySelectorAll("td, th, dd")]
  .filter((cell) => cell.clientWidth > 1 && cell.scrollWidth > cell.clientWidth + 1)
  .map((cell) => [cell.textContent.slice(0, 40), cell.scrollWidth, cell.clientWidth])"""

WALK = """async (n) => {
  const seen = [];
  for (let i = 0; i < n; i++) {
    const article = document.getElementById("question").getBoundingClientRect();
    const row = document.querySelector("#questions [aria-selected=true]").offsetHeight;
    const title = document.querySelector(".labels").textContent.slice(0, 200);
    seen.push([title, [document.documentElement.scrollWidth, article.right, article.height, row]]);
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    await new Promise((done) => setTimeout(done));
  }
  return seen;
}"""


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install -e '.[browser]'"
    )
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def until(page, condition):
    """Wait for a condition. Playwright's own waiting evaluates strings in the page, which the page's policy forbids."""
    limit = time.monotonic() + 15
    while not page.evaluate(condition):
        assert time.monotonic() < limit, condition
        time.sleep(0.01)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A real run on built-in sounds: warm start, GRPO, evaluations before and after, with and without the clip."""
    from small_runs import quiet_console, small_recipe

    from harken.evaluation.evaluate import evaluate
    from harken.grpo.loop import train
    from harken.training.sft import sft

    folder = tmp_path_factory.mktemp("real")
    data = folder / "data"
    write_demo_set(data, seed=0, n_train=40, n_test=12)
    write_tiny("qwen2_5_omni", folder / "tiny", question_texts([data / "train.json"]), 0)
    start = sft(small_recipe(folder / "tiny", data / "train.json"), folder / "sft", quiet_console())
    end = train(small_recipe(start, data / "train.json"), folder / "grpo", quiet_console())
    for name, checkpoint in (("sft", start), ("grpo", end)):
        for audio in ("real", "none"):
            source = {"file": data / "test.json", "audio": audio}
            values = {"model": str(checkpoint), "data": source, "max_completion_tokens": 4}
            evaluate(EvaluationRecipe.model_validate(values), folder / name / "eval" / f"test-{audio}")
    return folder / "grpo"


class Watched:
    """A page whose errors and requests are kept."""

    def __init__(self, browser, url, viewport, scheme="light", drawn="#questions li"):
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        self.page = self.context.new_page()
        self.errors, self.requests = [], []
        self.page.on(
            "console", lambda line: self.errors.append(line.text) if line.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.errors.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.url = url
        self.page.goto(url)
        self.page.wait_for_selector(drawn)

    def count(self):
        return int(self.page.inner_text("#count").split()[0].replace(",", ""))

    def requests_elsewhere(self):
        own = urlsplit(self.url)
        return [url for url in self.requests if urlsplit(url)[:2] != own[:2] and not url.startswith("data:")]


@contextlib.contextmanager
def watching(browser, url, viewport=WIDE, scheme="light", drawn="#questions li"):
    watched = Watched(browser, url, viewport, scheme, drawn)
    try:
        yield watched
        assert watched.errors == []
        assert watched.requests_elsewhere() == []
    finally:
        watched.context.close()


@contextlib.contextmanager
def viewed(run, roots):
    with served(Viewer([run], roots)) as address:
        yield address


@contextlib.contextmanager
def served(viewer):
    with ViewServer(viewer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server.url
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", params=["report", "live"])
def url(request, run):
    if request.param == "report":
        write_report([run], run.parent / "report.html")
        yield (run.parent / "report.html").as_uri()
    else:
        with viewed(run, [run.parent / "data"]) as address:
            yield address


def test_charts_are_read_zoomed_and_smoothed_with_pointer_and_keyboard(chromium, tmp_path):
    run = write_run(tmp_path / "run", metrics=metric_rows(300))
    write_evaluation(run, "test", [prediction("1", correct=True)], model="m")
    write_report([run], tmp_path / "report.html")
    with watching(chromium, (tmp_path / "report.html").as_uri()) as watched:
        page = watched.page
        reward = "[data-key='reward/mean'] "
        page.locator(reward).scroll_into_view_if_needed()
        page.wait_for_selector(reward + "canvas")
        box = page.locator(reward + ".u-over").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
        assert "step 150" in page.inner_text(reward + ".readout")
        assert "(step: 0.5)" in page.inner_text(reward + ".readout")
        page.mouse.down()
        page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 40, steps=4)
        page.mouse.up()
        low, high = (int(page.input_value(name)) for name in ("#from-step", "#to-step"))
        assert max(abs(low - 150), abs(high - 225)) <= 1  # a pixel is a step
        page.focus(reward + ".plot-area")
        page.keyboard.press("0")
        assert page.input_value("#from-step") == ""
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        assert "step 2" in page.inner_text(reward + ".readout")
        page.keyboard.press("+")
        assert (page.input_value("#from-step"), page.input_value("#to-step")) == ("1", "76")
        page.keyboard.press("Escape")
        page.select_option("#smoothing", "1")
        page.focus(reward + ".plot-area")
        page.keyboard.press("End")
        assert "step 300" in page.inner_text(reward + ".readout")
        assert "(step:" not in page.inner_text(reward + ".readout")
        assert page.inner_text(".constant[data-key='time/step_s']").split() == [
            *("Time", "of", "a", "step", "s", "0.5", "at", "all", "300", "steps"),
        ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW])
def test_the_page_over_many_runs_sorts_filters_and_compares(chromium, tmp_path, viewport, scheme):
    hostile = "</script><img src=x onerror=__obeyed=1>"
    for name, right in (("a", 3), ("b", 1), (hostile, 2)):
        model = f"/a/folder/whose/name/is/{'long-' * 12}/{right}"
        run = write_run(tmp_path / "runs" / name, model=model, metrics=metric_rows(5), name=name, seed=right)
        write_evaluation(run, "test", [prediction(str(i), correct=i < right) for i in range(4)], model=name)
    names = "[...document.querySelectorAll('.run-name a')].map((link) => link.textContent).join(' | ')"
    with (
        served(RunsViewer(tmp_path / "runs", [])) as address,
        watching(chromium, address, viewport, scheme, ".runs") as watched,
    ):
        page = watched.page
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        assert page.evaluate(STICKS_OUT) == []
        assert page.evaluate(CONTRAST) == []
        page.select_option("#sort", "after")
        assert page.evaluate(names) == f"a | {hostile} | b"
        if viewport is WIDE:
            page.focus("[data-sort=after]")
            page.keyboard.press("Enter")
            assert page.evaluate(names) == f"b | {hostile} | a"
            assert page.evaluate("document.activeElement.dataset.sort") == "after"
            assert page.locator("[aria-sort=ascending]").inner_text() == "accuracy, % ↑"
        page.fill("#search", "seed=3")
        assert page.evaluate(names) == "a"
        page.fill("#search", "")
        for name in ("a", "b"):
            page.check(f'input[aria-label="Choose {name}"]')
        page.focus("#compare")
        page.keyboard.press("Enter")
        page.wait_for_selector("#comparison")
        assert "−50.0" in page.inner_text("#comparison").replace("-", "−")
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
        assert page.evaluate("window.__obeyed") is None
        page.click("nav a >> nth=0")
        page.wait_for_selector(".runs")


def test_sound_plays_from_the_keyboard_and_seeks(chromium, url):
    with watching(chromium, url) as watched:
        page = watched.page
        page.evaluate("document.getElementById('listen').scrollIntoView()")
        page.wait_for_selector(".picture")
        until(page, "document.querySelector('audio').duration > 0")
        page.keyboard.press("Space")
        until(page, "document.querySelector('audio').currentTime > 0.05")
        until(page, "document.querySelector('audio').ended || document.querySelector('.play.playing')")
        until(page, "document.querySelector('audio').paused")
        duration = page.evaluate("document.querySelector('audio').duration")
        assert abs(float(page.inner_text(".time").split()[2]) - duration) < 0.1
        box = page.locator(".picture").bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
        until(page, f"Math.abs(document.querySelector('audio').currentTime - {duration / 2}) < 0.05")
        page.keyboard.press("ArrowLeft")  # the picture has the focus: a second back, to the beginning
        until(page, "document.querySelector('audio').currentTime === 0")


def test_arrows_go_through_questions_filters_and_search_change_the_list(chromium, url):
    with watching(chromium, url) as watched:
        page = watched.page
        whole = watched.count()
        assert whole >= 12
        page.evaluate("document.getElementById('listen').scrollIntoView()")
        selected = "[...document.querySelectorAll('#questions li')].findIndex((row) => row.ariaSelected === 'true')"
        assert page.evaluate(selected) == 0
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        assert page.evaluate(selected) == 1
        page.select_option("[data-filter=set]", "test.json")
        assert watched.count() == 12
        page.select_option("[data-filter=task]", "music")
        assert 0 < watched.count() < 12
        page.select_option("[data-filter=task]", "")
        page.select_option("[data-filter=set]", "")
        for chip in page.locator("[data-mark]").all():
            chip.click()
            assert watched.count() <= whole
            chip.click()
            assert watched.count() == whole
        page.keyboard.press("/")
        page.keyboard.type("demo-test-00003")
        assert watched.count() == 1
        assert "demo-test-00003" in page.inner_text("#question")
        page.fill("#search", "no question says this")
        assert watched.count() == 0
        assert "No question passes" in page.inner_text("#question")
        page.fill("#search", "")
        page.select_option("[data-filter=set]", "training")
        assert "groups of" in page.inner_text("#question")


def test_the_page_fits_reads_and_has_contrast_at_every_size_and_scheme(chromium, url, tmp_path):
    for scheme in ("light", "dark"):
        for viewport in (WIDE, NARROW):
            with watching(chromium, url, viewport, scheme) as watched:
                page = watched.page
                page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
                page.wait_for_selector(".picture")
                assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
                assert page.evaluate(STICKS_OUT) == []
                assert page.evaluate(CONTRAST) == []
                for panel in page.locator(".panel").all():
                    panel.scroll_into_view_if_needed()  # charts are drawn when they come near the screen
                until(page, "[...document.querySelectorAll('.panel')].every((panel) => panel.querySelector('canvas'))")
                assert page.evaluate("document.querySelectorAll('.panel canvas, .constant').length") >= 15
                shot = tmp_path / f"{scheme}_{viewport['width']}.png"
                page.screenshot(path=shot, full_page=True)
                assert shot.stat().st_size > 50_000


def test_no_column_of_accuracy_is_cut_off_at_any_width(chromium, url):
    with watching(chromium, url, WIDE) as watched:
        for width in (1440, 1200, 1000, 900, 800, 710, 700, 380):
            watched.page.set_viewport_size({"width": width, "height": 800})
            held = [
                watched.page.evaluate(f"document.querySelector('.accuracy').parentElement.{side}Width")
                for side in SIDES
            ]
            assert held[0] == held[1], width


def test_new_steps_appear_without_a_reload(chromium, run, tmp_path):
    copy = tmp_path / "goes-on"
    shutil.copytree(run, copy)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    write_json_lines(copy / "metrics.jsonl", rows[:3])
    for step in (4, 5, 6):
        (copy / "rollouts" / f"step_{step:06d}.jsonl").unlink()
    with viewed(copy, [run.parent / "data"]) as address, watching(chromium, address) as watched:
        page = watched.page
        page.evaluate("window.same = true")
        until(page, "document.getElementById('status').textContent.startsWith('step 3')")
        before = watched.count()
        title = page.inner_text(".question-text")
        entropy = page.locator("[data-key='policy/entropy'] .plot-area")
        assert entropy.get_attribute("aria-label").endswith(" in 3 points")
        write_json_lines(copy / "metrics.jsonl", rows)
        for step in (4, 5, 6):
            name = f"step_{step:06d}.jsonl"
            shutil.copy(run / "rollouts" / name, copy / "rollouts" / name)
        until(page, "document.getElementById('status').textContent.startsWith('step 6')")
        assert entropy.get_attribute("aria-label").endswith(" in 6 points")
        assert watched.count() > before
        assert page.inner_text(".question-text") == title  # what is being read stays
        assert page.evaluate("window.same") is True


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("viewport", [WIDE, NARROW])
def test_hostile_texts_are_not_obeyed_and_break_no_layout(chromium, tmp_path, live, viewport):
    run = hostile_run(tmp_path / "run", hostile_texts())
    with contextlib.ExitStack() as stack:
        if live:
            address = stack.enter_context(viewed(run, [tmp_path]))
        else:
            write_report([run], tmp_path / "report.html")
            address = (tmp_path / "report.html").as_uri()
        watched = stack.enter_context(watching(chromium, address, viewport))
        page = watched.page
        page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
        page.evaluate("document.getElementById('listen').scrollIntoView()")
        assert watched.count() == 400
        seen = page.evaluate(WALK, 400)
        for title, (wide, right, tall, row) in seen:
            assert wide == viewport["width"], title
            assert right <= viewport["width"], title
            assert tall < 4000, title
            assert row < 100, title
        assert len({title for title, _ in seen}) > 150
        assert page.evaluate("window.__obeyed") is None
        assert (
            page.evaluate("document.querySelectorAll('main img, main iframe, main form, main video, main base').length")
            == 0
        )
        assert page.url == address
