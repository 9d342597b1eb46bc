// The question browser: filters, search and the list of questions; question.js draws the chosen question.

const MARKS = {
  gained: ["wrong → right", "With the clip, the answer was wrong before and is right after"],
  lost: ["right → wrong", "With the clip, the answer was right before and is wrong after"],
  audio: ["changed by audio", "The same model chooses differently without the clip"],
  unreadable: ["unreadable", "Some completion names no choice, or several"],
  judge: ["judge failed", "The judge gave no score for some completion"],
};
const LIST_PAGE = 200; // rows that are added to the list at once

let all = [], runs = [], shown = [], current = null, limit = LIST_PAGE, clipOf = null;
const filters = { text: "", set: "", task: "", difficulty: "", marks: new Set(), sound: false };

const key = (item) => item.set + "\n" + item.id + "\n" + item.text;
const kindOf = (item) => [item.set, item.task, item.difficulty, ...item.marks].join("\n");

function searchable(item) {
  item.lower ??= [item.id, item.clip, item.text, ...item.choices, ...item.answers.map((answer) => answer.text),
    ...item.groups.flatMap((group) => group.rows.map((row) => row.text))]
    .join("\n").toLowerCase();
  return item.lower;
}

function passes(item) {
  return ["set", "task", "difficulty"].every((name) => !filters[name] || item[name] === filters[name])
    && (!filters.sound || item.sound !== null)
    && [...filters.marks].every((name) => item.marks.includes(name))
    && (!filters.text || searchable(item).includes(filters.text));
}

function filterSelect(name, label) {
  const values = [...new Set(all.map((item) => item[name]))].filter((value) => value).sort();
  if (values.length < 2 && !filters[name]) return null;
  const options = values.map((value) => h("option", { value, selected: filters[name] === value }, value));
  const onchange = (event) => { filters[name] = event.target.value; applyFilters(); };
  return h("label", {}, h("span", {}, label),
    h("select", { "data-filter": name, onchange }, h("option", { value: "" }, "all"), options));
}

function filterChip(name, [label, title], pressed, toggle) {
  const onclick = (event) => {
    event.currentTarget.setAttribute("aria-pressed", String(toggle()));
    applyFilters();
  };
  return h("button",
    { type: "button", class: "chip", title, "data-mark": name, "aria-pressed": String(pressed), onclick }, label);
}

function drawFilters() {
  const toggleMark = (name) => () => {
    if (!filters.marks.delete(name)) filters.marks.add(name);
    return filters.marks.has(name);
  };
  const present = ([name]) => filters.marks.has(name) || all.some((item) => item.marks.includes(name));
  const oninput = (event) => { filters.text = event.target.value.toLowerCase(); applyFilters(); };
  $("filters").replaceChildren(
    h("label", { class: "search" }, h("span", {}, "search"),
      h("input",
        { id: "search", type: "search", value: filters.text, autocomplete: "off", spellcheck: "false", oninput })),
    ...[["set", "questions"], ["task", "task"], ["difficulty", "difficulty"]]
      .map(([name, label]) => filterSelect(name, label)).filter(Boolean),
    h("div", { class: "chips", role: "group", "aria-label": "Only questions that are" },
      Object.entries(MARKS).filter(present)
        .map(([name, words]) => filterChip(name, words, filters.marks.has(name), toggleMark(name))),
      filterChip("sound", ["with sound", "The clip can be played here"], filters.sound,
        () => (filters.sound = !filters.sound))));
}

function applyFilters() {
  limit = LIST_PAGE;
  filterAndDraw();
}

function filterAndDraw() {
  shown = all.filter(passes);
  if (!shown.some((item) => key(item) === current)) current = shown.length ? key(shown[0]) : null;
  drawList();
  drawQuestion();
}

// The first run's answers with the clip, before → after; of a training question, how many of the newest group were right.
function outcome(item) {
  const signs = item.answers.filter((answer) => answer.audio === "real" && answer.run === item.answers[0].run)
    .map((answer) => (answer.correct === null ? "?" : answer.correct ? "✓" : "✗"));
  if (signs.length) return signs.join(" → ");
  if (!item.groups.length) return "";
  const { step, rows } = item.groups[item.groups.length - 1];
  return `step ${count(step)}: ${rows.filter((row) => row.correct).length} of ${rows.length} right`;
}

function drawList() {
  $("count").textContent = `${count(shown.length)} of ${count(all.length)} questions match the filters`;
  const rows = shown.slice(0, limit).map((item, i) => h("li",
    { role: "option", id: "q-" + i, "aria-selected": String(key(item) === current), onclick: () => choose(i) },
    dataText("span", "line", item.text || item.id),
    h("span", { class: "muted meta" }, h("span", { class: "signs" }, outcome(item)),
      dataText("span", "", [item.task, item.difficulty].filter(Boolean).join(" · ")))));
  if (shown.length > limit) {
    const onclick = () => { limit += LIST_PAGE; drawList(); };
    rows.push(h("li", { class: "more", onclick }, `Show more (${count(shown.length - limit)} left)`));
  }
  $("questions").replaceChildren(...rows);
  markCurrent();
}

function markCurrent() {
  const list = $("questions");
  for (const row of list.querySelectorAll("[aria-selected=true]")) row.setAttribute("aria-selected", "false");
  const row = $("q-" + shown.findIndex((item) => key(item) === current));
  list.setAttribute("aria-activedescendant", row ? row.id : "");
  if (!row) return;
  row.setAttribute("aria-selected", "true");
  const above = row.offsetTop - list.offsetTop;
  const hidden = above < list.scrollTop || above + row.offsetHeight > list.scrollTop + list.clientHeight;
  if (hidden) list.scrollTop = above - list.clientHeight / 3;
}

function choose(place) {
  if (place < 0 || place >= shown.length) return;
  current = key(shown[place]);
  while (place >= limit) { limit += LIST_PAGE; drawList(); }
  markCurrent();
  drawQuestion();
}

const move = (by) => choose(shown.findIndex((item) => key(item) === current) + by);

function onKey(event) {
  const typing = event.target.closest("input, select, textarea");
  if (event.key === "Escape" && typing) return event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = $("listen").getBoundingClientRect();
  const inView = box.top < 0.6 * innerHeight && box.bottom > 0;
  if (event.key === "/") { $("listen").scrollIntoView(); $("search").focus(); }
  else if (!inView) return;
  else if (event.key === "ArrowDown" || event.key === "ArrowRight") move(1);
  else if (event.key === "ArrowUp" || event.key === "ArrowLeft") move(-1);
  else if (event.key === " " && !event.target.closest("button, summary, a")) togglePlay();
  else return;
  event.preventDefault();
}

function drawQuestions(data) {
  const kindsBefore = new Set(all.map(kindOf));
  all = data.questions;
  runs = data.runs;
  $("note").textContent = data.note;
  if (!$("search") || new Set(all.map(kindOf)).size !== kindsBefore.size) {
    const typing = document.activeElement === $("search");
    drawFilters();
    if (typing) $("search").focus();
  }
  filterAndDraw();
}
