// Draws one figure of the curves with uPlot: a line for each run, smoothed, with the line of the steps themselves behind
// it, and a band where the figure has one. A run is recognised by the colour and the dashes of its line. The pointer, or
// the arrow keys on a chosen chart, read values; dragging, or + and -, zooms into a range of steps, on all charts at once.

const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [1, 2]];
const FEW_POINTS = 40; // a curve of fewer points shows a dot for each point and is not smoothed
const HEIGHT = 210;
const RAW = 0, SMOOTH = 1, LOW = 2, HIGH = 3, LINES = 4; // each run has so many lines in a chart, in this order

const colours = () => {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  return { runs: [0, 1, 2, 3, 4, 5].map((run) => value("--run-" + run)), text: value("--muted"), rule: value("--rule") };
};
const faded = (colour, share) => colour + Math.round(255 * share).toString(16).padStart(2, "0");

const swatch = (run) => s("svg", { class: "swatch", viewBox: "0 0 22 8", "aria-hidden": "true" },
  s("line", { class: "series-" + (run % 6), x1: 1, x2: 21, y1: 4, y2: 4, "stroke-dasharray": DASHES[run % 6].join(" ") }));

// What tells the runs apart beside a value: nothing where there is one run.
const runMark = (runs, run) => (runs.length < 2 ? null
  : [swatch(run), h("span", { class: "hidden" }, runs[run].name + " ")]);

// The mean of the points within half a window of steps on either side of each; the points are in order of step.
function smoothed(x, y, window) {
  const sums = [0];
  y.forEach((value, i) => sums.push(sums[i] + value));
  let from = 0, to = 0;
  return x.map((step) => {
    while (x[from] < step - window / 2) from++;
    while (to < x.length && x[to] <= step + window / 2) to++;
    return (sums[to] - sums[from]) / (to - from);
  });
}

// The lines of all runs over the steps of all runs, as uPlot wants them.
function chartData(panel, runs, window) {
  const steps = [...new Set(panel.series.flatMap((series) => series.x))].sort((a, b) => a - b);
  const places = new Map(steps.map((step, i) => [step, i]));
  const empty = () => new Array(steps.length).fill(null);
  const lines = runs.map(() => Array.from({ length: LINES }, empty));
  for (const series of panel.series) {
    const smooth = window > 1 && series.x.length >= FEW_POINTS ? smoothed(series.x, series.y, window) : null;
    const own = [series.y, smooth, series.low, series.high];
    own.forEach((values, line) => values && values.forEach((value, i) => {
      lines[series.run][line][places.get(series.x[i])] = value;
    }));
  }
  return [steps, ...lines.flat()];
}

function runLines(run, panel, theme, visible, smooth) {
  const series = panel.series.find((candidate) => candidate.run === run);
  const colour = theme.runs[run % 6], points = series ? series.x.length : 0;
  const isSmooth = smooth && points >= FEW_POINTS;
  const common = { scale: "y", spanGaps: true, show: visible, points: { show: false } };
  const width = 1.75, dash = DASHES[run % 6];
  return [
    { ...common, stroke: isSmooth ? faded(colour, 0.35) : colour, width: isSmooth ? 1 : width, dash: isSmooth ? [] : dash,
      points: { show: points > 0 && points < FEW_POINTS, size: 5, fill: colour, stroke: colour } },
    { ...common, stroke: colour, width: 2, dash },
    { ...common, stroke: "transparent", width: 0 },
    { ...common, stroke: "transparent", width: 0 },
  ];
}

// Lowest and highest value to show. The axis begins at 0 unless all values lie far above it.
function extent(plot, low, high) {
  if (low === null || high === null) return [0, 1];
  if (low >= 0 && low < 0.6 * high) low = 0;
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  const margin = 0.04 * (high - low);
  return [low === 0 ? 0 : low - margin, high + margin];
}

function axes(panel, theme) {
  const font = "12px " + getComputedStyle(document.body).fontFamily;
  const common = { stroke: theme.text, font, labelFont: font, labelSize: 18, labelGap: 2, gap: 4,
    grid: { stroke: theme.rule, width: 1 }, ticks: { stroke: theme.rule, width: 1, size: 4 } };
  return [
    { ...common, label: "step", size: 26, space: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4,
      1e5, 2e5, 5e5, 1e6], values: (plot, values) => values.map(count) },
    { ...common, label: panel.unit, size: 46, space: 26, values: (plot, values) => values.map((value) => figure(value, 6)) },
  ];
}

const stepScale = (view) => (plot, low, high) => view.range || (low === high ? [low - 1, high + 1] : [low, high]);

// A value as the readout writes it: the smoothed one, and the step's own or the interval behind it.
function valueText(data, run, place) {
  const at = (line) => data[1 + LINES * run + line][place];
  if (at(RAW) === null) return "–";
  if (at(LOW) !== null) return `${figure(at(RAW))} [${figure(at(LOW))}, ${figure(at(HIGH))}]`;
  return at(SMOOTH) === null ? figure(at(RAW)) : `${figure(at(SMOOTH))} (step: ${figure(at(RAW))})`;
}

// The last point of a run at or before a place; runs may be measured at different steps.
function nearestPlace(data, run, place) {
  const values = data[1 + LINES * run + RAW];
  for (let away = 0; away < values.length; away++) {
    if (values[place - away] !== null && values[place - away] !== undefined) return place - away;
    if (values[place + away] !== null && values[place + away] !== undefined) return place + away;
  }
  return place;
}

// One chart. `view` holds what all charts share: the range of steps, the smoothing, and the runs that are hidden.
class Chart {
  constructor(panel, runs, view) {
    this.view = view;
    this.head = h("p", { class: "readout" });
    this.place = h("div", { class: "plot-area", tabindex: 0, role: "img", onkeydown: (event) => this.onKey(event),
      onfocus: () => this.head.setAttribute("aria-live", "polite"), onblur: () => this.head.removeAttribute("aria-live") });
    this.element = h("figure", { class: "panel", "data-key": panel.key }, h("figcaption", { class: "t" }, panel.title),
      this.head, this.place);
    this.plot = null;
    this.update(panel, runs);
  }

  update(panel, runs) {
    this.panel = panel;
    this.runs = runs;
    const words = panel.series.map((series) => `${runs[series.run].name} from ${figure(series.y[0])} to ` +
      `${figure(series.last)} in ${count(series.x.length)} ${series.x.length === 1 ? "point" : "points"}`).join("; ");
    this.place.setAttribute("aria-label", `${panel.title}, ${panel.unit}, by step: ${words}`);
    if (this.plot) this.draw();
    else this.showLast();
  }

  // Draws, or draws anew: after new steps, another width, another smoothing, other colours.
  draw() {
    const { panel, runs, view } = this, theme = colours();
    const at = this.plot ? this.plot.cursor.idx : null;
    if (this.plot) this.plot.destroy();
    this.data = chartData(panel, runs, view.window);
    const lines = runs.map((_, run) => runLines(run, panel, theme, !view.hidden.has(run), view.window > 1));
    const bands = runs.map((_, run) => ({ series: [1 + LINES * run + HIGH, 1 + LINES * run + LOW],
      fill: faded(theme.runs[run % 6], 0.18) }));
    this.plot = new uPlot({
      width: Math.max(200, this.place.clientWidth), height: HEIGHT, legend: { show: false }, padding: [8, 12, 0, 0],
      scales: { x: { time: false, range: stepScale(view) }, y: { range: extent } },
      series: [{}, ...lines.flat()], bands, axes: axes(panel, theme),
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
      hooks: { setCursor: [() => this.showCursor()], setSelect: [(plot) => this.onSelect(plot)] },
    }, this.data, this.place);
    this.plot.over.addEventListener("dblclick", () => view.zoom(null));
    this.showLast();
    if (at !== null && at !== undefined && this.place === document.activeElement) this.moveTo(at);
  }

  onSelect(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    const range = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, width: 0 }, false);
    this.view.zoom(range);
  }

  readout(texts, where) {
    const values = texts.map(({ run, text }) => h("span", { class: "value" }, runMark(this.runs, run), text));
    this.head.replaceChildren(mutedText(where), ...values);
  }

  shownSeries() { return this.panel.series.filter((series) => !this.view.hidden.has(series.run)); }

  showLast() {
    this.readout(this.shownSeries().map((series) => ({ run: series.run, text: figure(series.last) })), "last");
  }

  showCursor() {
    const place = this.plot && this.plot.cursor.idx;
    if (place === null || place === undefined) return this.plot && this.showLast();
    const texts = this.shownSeries().map(({ run }) =>
      ({ run, text: valueText(this.data, run, nearestPlace(this.data, run, place)) }));
    this.readout(texts, "step " + count(this.data[0][place]));
  }

  moveTo(place) {
    const steps = this.data[0], last = steps.length - 1;
    const [low, high] = [this.plot.scales.x.min, this.plot.scales.x.max];
    place = Math.min(Math.max(place, 0), last);
    while (place < last && steps[place] < low) place++;
    while (place > 0 && steps[place] > high) place--;
    this.plot.setCursor({ left: this.plot.valToPos(steps[place], "x"), top: HEIGHT / 3 });
  }

  onKey(event) {
    if (!this.plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = this.data[0], at = this.plot.cursor.idx ?? steps.length - 1;
    const far = Math.max(1, Math.round(steps.length / 20));
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - far, PageDown: at + far, Home: 0, End: steps.length - 1 };
    if (event.key in moves) this.moveTo(moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoomBy(0.5, steps[at]);
    else if (event.key === "-") this.zoomBy(2, steps[at]);
    else if (event.key === "Escape" || event.key === "0") this.view.zoom(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  zoomBy(factor, middle) {
    const { min, max } = this.plot.scales.x, steps = this.data[0];
    const half = factor * (max - min) / 2;
    const range = [Math.max(steps[0], middle - half), Math.min(steps[steps.length - 1], middle + half)];
    this.view.zoom(factor > 1 && range[0] === steps[0] && range[1] === steps[steps.length - 1] ? null : range);
  }
}
