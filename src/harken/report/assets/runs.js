// The table of many runs: sorts, filters, and chooses runs to compare. It follows the folder, as the page of a run does.

const begin = JSON.parse($("data").textContent);
const MOST_COMPARED = 6;
const table = { text: "", set: null, sort: "changed", down: true, chosen: new Set() };
let state = null;

const percentText = (bounds) => [(100 * bounds[0]).toFixed(1), `[${bounds.slice(1).map((b) => (100 * b).toFixed(0)).join(", ")}]`];
const pointsText = (bounds) => {
  const text = (value) => (value < 0 ? "−" : "+") + Math.abs(100 * value).toFixed(1);
  return [text(bounds[0]), `[${text(bounds[1])}, ${text(bounds[2])}]`];
};
const FIGURES = [["after", "accuracy, %", percentText], ["before", "before, %", percentText], ["gain", "gain", pointsText],
  ["after_without_audio", "no clip, %", percentText], ["audio_gain", "audio gain", pointsText]];

function ago(seconds) {
  if (!seconds) return "–";
  const gone = Math.max(0, Date.now() / 1000 - seconds);
  if (gone < 90) return Math.round(gone) + " s ago";
  if (gone < 5400) return Math.round(gone / 60) + " min ago";
  return gone < 129600 ? Math.round(gone / 3600) + " h ago" : Math.round(gone / 86400) + " days ago";
}

const resultOf = (row) => row.results[table.set];
const stepsOf = (row) => count(row.step) + (row.steps === null ? "" : " of " + count(row.steps));

const absent = () => h("span", { class: "muted absent" }, "–");
const settingCell = (value) => (value === undefined ? absent()
  : dataText("span", value.length > 16 ? "setting long" : "setting", value));

// The columns: key, heading, the value to sort by, and the cell's content.
function columns() {
  const figures = FIGURES.filter(([name]) => state.rows.some((row) => resultOf(row) && resultOf(row)[name]));
  return [
    ...figures.map(([name, heading, write]) => ({ key: name, heading,
      value: (row) => (resultOf(row) && resultOf(row)[name] ? resultOf(row)[name][0] : null),
      cell: (row) => {
        const bounds = resultOf(row) && resultOf(row)[name];
        if (!bounds) return absent();
        const [value, interval] = write(bounds);
        return [h("b", {}, value), " ", h("span", { class: "ci" }, interval)];
      } })),
    { key: "step", heading: "steps", value: (row) => row.step, cell: stepsOf },
    { key: "changed", heading: "last change", value: (row) => row.changed, cell: (row) => ago(row.changed) },
    ...state.keys.map((name) => ({ key: "setting " + name, heading: name, value: (row) => row.settings[name] ?? null,
      cell: (row) => settingCell(row.settings[name]) })),
  ];
}

const allColumns = () => [{ key: "name", heading: "run", value: (row) => row.name }, ...columns()];

// Numbers by size, texts by the alphabet, with numbers in them by size; what is missing stands at the end.
function sorted(rows) {
  const column = allColumns().find(({ key }) => key === table.sort) || allColumns()[0];
  const sign = table.down ? -1 : 1;
  const asNumber = (value) => (typeof value === "string" && value.trim() !== "" && isFinite(value) ? Number(value) : value);
  return [...rows].sort((a, b) => {
    const [left, right] = [asNumber(column.value(a)), asNumber(column.value(b))];
    if (left === null || right === null) return (left === null) - (right === null);
    if (typeof left === "number" && typeof right === "number") return sign * (left - right);
    return sign * String(left).localeCompare(String(right), "en", { numeric: true });
  });
}

function passes(row) {
  const words = table.text.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [row.name, ...Object.entries(row.settings).map(([name, value]) => name + "=" + value)].join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

function sortBy(key) {
  table.down = table.sort === key ? !table.down : key !== "name";
  table.sort = key;
  drawTable();
}

function headCell({ key, heading }) {
  const order = table.sort === key ? (table.down ? "descending" : "ascending") : "none";
  return h("th", { scope: "col", "aria-sort": order }, h("button", { type: "button", class: "sort", "data-sort": key,
    onclick: () => { sortBy(key); document.querySelector(`[data-sort="${CSS.escape(key)}"]`).focus(); } },
  dataText("span", "", heading), order === "none" ? null : table.down ? " ↓" : " ↑"));
}

function runRow(row, shownColumns) {
  const tick = h("input", { type: "checkbox", "data-choose": row.key, "aria-label": "Choose " + row.name, checked: table.chosen.has(row.key),
    onchange: (event) => {
      if (event.currentTarget.checked) table.chosen.add(row.key); else table.chosen.delete(row.key);
      drawCompare();
    } });
  const name = row.fault ? dataText("span", "", row.name)
    : h("a", { href: `view/${row.key}/` }, dataText("span", "", row.name));
  const notes = row.fault ? dataText("p", "fault", row.fault) : row.result ? dataText("p", "muted", row.result) : null;
  return h("tr", {}, h("th", { scope: "row", class: "run-name" }, h("label", {}, row.fault ? null : tick, name), notes),
    shownColumns.map((column) => h("td", { "data-name": column.heading }, column.cell(row))));
}

function drawTable() {
  const shown = sorted(state.rows.filter(passes)), shownColumns = columns();
  $("count").textContent = `${count(shown.length)} of ${count(state.rows.length)} runs` + (state.note ? "; " + state.note : "");
  $("runs").replaceChildren(shown.length
    ? h("table", { class: "figures runs" }, h("thead", {}, h("tr", {}, allColumns().map(headCell))),
      h("tbody", {}, shown.map((row) => runRow(row, shownColumns))))
    : h("p", { class: "muted" }, state.rows.length ? "No run passes the filter." : "There is no run in this folder."));
  $("sort").value = table.sort;
  drawCompare();
}

function drawCompare() {
  const known = new Set(state.rows.map((row) => row.key));
  const keys = [...table.chosen].filter((key) => known.has(key));
  const link = $("compare"), ready = keys.length >= 2 && keys.length <= MOST_COMPARED;
  link.textContent = keys.length < 2 ? "compare: choose two runs" : `compare ${keys.length} runs` +
    (ready ? "" : `: ${MOST_COMPARED} at most`);
  if (ready) link.setAttribute("href", `view/${keys.join("+")}/`); else link.removeAttribute("href");
}

function drawRunControls() {
  const sets = h("select", { id: "set", onchange: (event) => { table.set = event.target.value; drawTable(); } },
    state.sets.map((name) => h("option", { value: name, selected: name === table.set }, name)));
  $("run-controls").replaceChildren(...[
    h("label", { class: "search" }, h("span", {}, "filter: words of a name or of setting=value"),
      h("input", { id: "search", type: "search", value: table.text, autocomplete: "off", spellcheck: "false",
        oninput: (event) => { table.text = event.target.value; drawTable(); } })),
    state.sets.length > 1 ? h("label", {}, h("span", {}, "result on"), sets) : null,
    h("label", {}, h("span", {}, "sort by"), h("select", { id: "sort", onchange: (event) => sortBy(event.target.value) },
      allColumns().map(({ key, heading }) => h("option", { value: key }, heading)))),
    h("a", { id: "compare", class: "chip" }),
  ].filter(Boolean));
}

function drawRuns(fresh) {
  const before = state && JSON.stringify([state.sets, state.keys]);
  state = fresh;
  if (!state.sets.includes(table.set)) table.set = state.sets[0] ?? null;
  if (before !== JSON.stringify([state.sets, state.keys])) drawRunControls();
  const { sort, choose } = document.activeElement ? document.activeElement.dataset : {};
  drawTable();
  const again = sort ? `[data-sort="${CSS.escape(sort)}"]` : choose ? `[data-choose="${choose}"]` : null;
  if (again && document.querySelector(again)) document.querySelector(again).focus();
}

followState(begin.every_ms, drawRuns);
