// Draws the curves: one panel for each figure, one line for each run. A run is recognised by the colour and the dashes
// of its line, and by its place in the readout, where runs stand in the order of the legend.

const WIDTH = 340, HEIGHT = 150, LEFT = 44, RIGHT = 16, TOP = 8, BOTTOM = 20;
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "4 2", "1 2"];
const FEW_POINTS = 40; // a curve of fewer points also shows a dot for each point

const seriesClass = (run) => "series series-" + (run % 6);

function ticks(low, high, wanted) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const values = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + 1e-9 * step; value += step)
    values.push(Number(value.toPrecision(12)));
  return values;
}

// Lowest and highest value to show. The axis begins at 0 unless all values lie far above it.
function extent(allSeries) {
  const values = allSeries.flatMap((series) => [...series.y, ...(series.low || []), ...(series.high || [])]);
  let low = Math.min(...values), high = Math.max(...values);
  if (low >= 0 && low < 0.6 * high) low = 0;
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) / 2, high + (Math.abs(high) || 1) / 2];
  return [low, high];
}

const swatch = (run) => s("svg", { class: "swatch", viewBox: "0 0 22 8", "aria-hidden": "true" },
  s("line", { class: seriesClass(run), x1: 1, x2: 21, y1: 4, y2: 4, "stroke-dasharray": DASHES[run % 6] }));

const readout = (runs, values) => values.map(({ run, text }) => h("span", { class: "value" },
  runs.length > 1 ? swatch(run) : null, h("span", { class: "hidden" }, runs[run].name + " "), text));

function drawSeries(series, x, y) {
  const points = (values) => values.map((value, i) => x(series.x[i]).toFixed(1) + "," + y(value).toFixed(1));
  const kind = seriesClass(series.run);
  return [
    series.low && s("polygon", { class: "band " + kind,
      points: [...points(series.high), ...points(series.low).reverse()].join(" ") }),
    s("polyline", { class: "line " + kind, "stroke-dasharray": DASHES[series.run % 6],
      points: points(series.y).join(" ") }),
    series.x.length < FEW_POINTS && series.x.map((step, i) =>
      s("circle", { class: "dot " + kind, cx: x(step), cy: y(series.y[i]), r: 2 })),
  ];
}

function chart(panel, runs) {
  const lastStep = Math.max(...panel.series.map((series) => series.x[series.x.length - 1]));
  const firstStep = Math.min(...panel.series.map((series) => series.x[0]));
  const [low, high] = extent(panel.series);
  const fraction = (step) => lastStep === firstStep ? 0.5 : (step - firstStep) / (lastStep - firstStep);
  const x = (step) => LEFT + (WIDTH - LEFT - RIGHT) * fraction(step);
  const y = (value) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low);

  const head = h("p", { class: "readout" });
  const showLast = () => head.replaceChildren(
    ...readout(runs, panel.series.map((series) => ({ run: series.run, text: figure(series.last) }))));
  showLast();
  const cursor = s("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
  const inWords = panel.series.map((series) =>
    `${runs[series.run].name} from ${figure(series.y[0])} to ${figure(series.last)}`).join("; ");
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": panel.title + ": " + inWords },
    ticks(low, high, 4).map((value) => [
      s("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
      s("text", { x: LEFT - 6, y: y(value) + 3.5, "text-anchor": "end" }, figure(value))]),
    ticks(firstStep, lastStep, 4).filter(Number.isInteger).map((step) =>
      s("text", { x: x(step), y: HEIGHT - 5, "text-anchor": "middle" }, count(step))),
    panel.series.map((series) => drawSeries(series, x, y)),
    cursor);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const pointer = (event.clientX - box.left) / box.width * WIDTH;
    const distance = (step) => Math.abs(x(step) - pointer);
    const nearest = (series) =>
      series.x.reduce((best, step, i) => distance(step) < distance(series.x[best]) ? i : best, 0);
    const longest = panel.series.reduce((a, b) => (a.x.length >= b.x.length ? a : b));
    const step = longest.x[nearest(longest)];
    fill(cursor, { x1: x(step), x2: x(step), visibility: "visible" }, []);
    const values = panel.series.map((series) => ({ run: series.run, text: figure(series.y[nearest(series)]) }));
    head.replaceChildren(mutedText("step " + count(step)), ...readout(runs, values));
  });
  svg.addEventListener("pointerleave", () => { cursor.setAttribute("visibility", "hidden"); showLast(); });
  return h("figure", { class: "panel", "data-key": panel.key }, h("figcaption", { class: "t" }, panel.title), head, svg);
}

function drawCurves(data) {
  const opened = [...document.querySelectorAll("#panels details[open]")].map((node) => node.dataset.section);
  const names = data.runs.map((run, i) => h("span", { class: "value" }, swatch(i), dataText("span", "", run.name)));
  $("legend").replaceChildren(...(data.runs.length > 1 ? names : []));
  const sections = data.sections
    .map((name) => [name, data.panels.filter((panel) => panel.section === name)])
    .filter(([, panels]) => panels.length);
  $("panels").replaceChildren(...sections.map(([name, panels]) => {
    const grid = h("div", { class: "panels" }, panels.map((panel) => chart(panel, data.runs)));
    if (name !== data.sections[data.sections.length - 1]) return h("div", {}, h("h3", {}, name), grid);
    return h("details", { "data-section": name, open: opened.includes(name) },
      h("summary", {}, `${name} (${panels.length})`), grid);
  }));
  if (!sections.length) $("panels").replaceChildren(h("p", { class: "muted" }, "The run has logged no step yet."));
}
