// The section of the curves: its controls, and the charts by section. A figure that never changes is one line of text.

const WINDOWS = [1, 5, 10, 20, 50, 100, 200, 500];
const charts = new Map(); // key of the panel -> Chart
let drawnLayout = null, curveData = null;

const view = {
  range: null, window: 1, chosen: false, hidden: new Set(), // `chosen`: the reader has set the smoothing
  zoom(range) {
    view.range = range && range[1] - range[0] > 1e-9 ? range : null;
    redrawCharts();
    drawRange();
  },
};

const longestRun = () =>
  Math.max(0, ...curveData.panels.flatMap((panel) => panel.series.map((series) => series.x.length)));

function redrawCharts() {
  for (const chart of charts.values()) if (chart.plot) chart.draw();
}

// Charts are drawn when they come near the screen, and all of them for printing.
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const chart = charts.get(entry.target.dataset.key);
    if (entry.isIntersecting && chart && !chart.plot) chart.draw();
  }
}, { rootMargin: "400px" });
const resized = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const chart = charts.get(entry.target.dataset.key);
    const width = chart && chart.place.clientWidth;
    if (chart && chart.plot && width > 0 && Math.abs(chart.plot.width - width) > 1) chart.draw();
  }
});
addEventListener("beforeprint", () => charts.forEach((chart) => chart.plot || chart.draw()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);

function constantLine(panel, runs) {
  const text = (series) => {
    const interval = series.interval ? ` [${figure(series.low[0])}, ${figure(series.high[0])}]` : "";
    const where = series.x.length === 1 ? `at step ${count(series.x[0])}` : `at all ${count(series.x.length)} steps`;
    return h("span", { class: "value" }, runMark(runs, series.run), h("b", {}, figure(series.last) + interval),
      mutedText(where));
  };
  return h("p", { class: "constant", "data-key": panel.key }, h("span", { class: "t" }, panel.title),
    panel.unit === "value" ? null : mutedText(panel.unit), panel.series.map(text));
}

function smoothingSelect() {
  const onchange = (event) => { view.window = Number(event.target.value); view.chosen = true; redrawCharts(); };
  const name = (window) => (window === 1 ? "none" : `mean of ${window} steps`);
  return h("label", {}, h("span", {}, "smoothing"), h("select", { id: "smoothing", onchange },
    WINDOWS.map((window) => h("option", { value: window, selected: window === view.window }, name(window)))));
}

function rangeInputs() {
  const onchange = () => {
    const [low, high] = ["from-step", "to-step"].map((id) => $(id).value);
    const steps = curveData.panels.flatMap((panel) => panel.series.flatMap((series) => [series.x[0], series.x.at(-1)]));
    const range = [low === "" ? Math.min(...steps) : Number(low), high === "" ? Math.max(...steps) : Number(high)];
    view.zoom(low === "" && high === "" ? null : range);
  };
  const input = (id, label) => h("label", {}, h("span", {}, label),
    h("input", { id, type: "number", class: "step", inputmode: "numeric", onchange }));
  return [input("from-step", "from step"), input("to-step", "to step"),
    h("button", { type: "button", class: "chip", id: "whole-run", onclick: () => view.zoom(null) }, "whole run")];
}

function drawRange() {
  $("from-step").value = view.range ? Math.ceil(view.range[0]) : "";
  $("to-step").value = view.range ? Math.floor(view.range[1]) : "";
  $("whole-run").disabled = !view.range;
}

function runChips(runs) {
  if (runs.length < 2) return null;
  const chip = (run, i) => h("button", { type: "button", class: "chip run-chip", "aria-pressed": String(!view.hidden.has(i)),
    onclick: (event) => {
      if (!view.hidden.delete(i)) view.hidden.add(i);
      event.currentTarget.setAttribute("aria-pressed", String(!view.hidden.has(i)));
      for (const chart of charts.values()) { if (chart.plot) chart.draw(); else chart.showLast(); }
    } }, swatch(i), dataText("span", "", run.name));
  return h("div", { class: "chips", id: "legend", role: "group", "aria-label": "Runs that are shown" }, runs.map(chip));
}

// About a thirtieth of the run, until the reader chooses.
function chooseWindow() {
  if (!view.chosen) view.window = WINDOWS.filter((window) => window <= Math.max(1, longestRun() / 30)).at(-1);
  if ($("smoothing")) $("smoothing").value = view.window;
}

function drawControls(data) {
  $("curve-controls").replaceChildren(...[smoothingSelect(), ...rangeInputs(), runChips(data.runs)].filter(Boolean));
  drawRange();
}

// What decides which elements there are; new steps alone change none of them.
const layoutOf = (data) => JSON.stringify([data.runs.map((run) => run.name),
  data.panels.map((panel) => [panel.key, panel.constant, panel.series.length])]);

function drawSection(data, name) {
  const own = data.panels.filter((panel) => panel.section === name);
  const changing = own.filter((panel) => !panel.constant), constant = own.filter((panel) => panel.constant);
  for (const panel of changing) charts.set(panel.key, new Chart(panel, data.runs, view));
  const content = [h("div", { class: "panels" }, changing.map((panel) => charts.get(panel.key).element)),
    h("div", { class: "constants", "data-section": name }, constant.map((panel) => constantLine(panel, data.runs)))];
  if (name !== data.sections.at(-1)) return h("div", {}, h("h3", {}, name), content);
  return h("details", { "data-section": name }, h("summary", {}, `${name} (${own.length})`), content);
}

function drawCurves(data) {
  curveData = data;
  chooseWindow();
  const layout = layoutOf(data);
  if (layout === drawnLayout) {
    for (const panel of data.panels) {
      if (charts.has(panel.key)) charts.get(panel.key).update(panel, data.runs);
      else document.querySelector(`.constant[data-key="${CSS.escape(panel.key)}"]`)
        .replaceWith(constantLine(panel, data.runs));
    }
    return;
  }
  drawnLayout = layout;
  seen.disconnect();
  resized.disconnect();
  charts.forEach((chart) => chart.plot && chart.plot.destroy());
  charts.clear();
  const opened = document.querySelector("#panels details[open]");
  const sections = data.sections.filter((name) => data.panels.some((panel) => panel.section === name));
  drawControls(data);
  $("curve-controls").hidden = !sections.length;
  $("panels").classList.toggle("several", data.runs.length > 1);
  $("panels").replaceChildren(...sections.map((name) => drawSection(data, name)));
  const folded = document.querySelector("#panels details");
  if (opened && folded) folded.open = true;
  for (const chart of charts.values()) { seen.observe(chart.element); resized.observe(chart.element); }
  if (!sections.length) $("panels").replaceChildren(h("p", { class: "muted" }, "The run has logged no step yet."));
}
