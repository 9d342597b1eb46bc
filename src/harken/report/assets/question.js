// Draws one question: choices, clip, the greedy answers of the evaluations, and the completions sampled in training.

let drawn = null; // what is on the screen: { content, key, sounds, place }

// What the model heard in each audio mode; src/harken/data/audio_modes.py describes them.
const HEARD = { real: "the clip", none: "no clip", silence: "silence", noise: "noise", shuffled: "another clip" };

const verdict = (completion) => completion.correct === null || completion.correct === undefined
  ? mutedText("answer hidden")
  : completion.correct ? h("span", { class: "right" }, "✓ right") : h("span", { class: "wrong" }, "✗ wrong");
const choiceOf = (completion) => completion.choice === null
  ? h("span", { class: "muted" }, "unreadable: ", dataText("bdi", "", completion.why))
  : dataText("div", "label", completion.choice);
const textCell = (completion, ...more) => h("td", { class: "completion", "data-name": "completion" },
  completion.text ? dataText("div", "words", completion.text) : mutedText("empty"),
  completion.ended ? null : mutedText("cut at the maximum length"), more);
const headRow = (names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name))));

// What a judge found of an answer; undefined where none was asked, null where its call failed.
function judgement(answer) {
  if (answer.judge === undefined) return null;
  const words = answer.judge === null ? "failed" : answer.judge ? "right" : "wrong";
  return h("div", { class: "muted" }, `a judge: ${words}`, answer.judge_reason
    ? [" · ", dataText("bdi", "", answer.judge_reason)] : null);
}

function answersTable(item) {
  const several = runs.length > 1;
  return h("table", { class: "answers" },
    headRow([...(several ? ["run"] : []), "model", "heard", "completion", "choice", ""]),
    h("tbody", {}, item.answers.map((answer) => h("tr", {},
      several && h("td", { class: "name", "data-name": "run" }, dataText("span", "", runs[answer.run].name)),
      h("td", { "data-name": "model" }, answer.when),
      h("td", { "data-name": "heard" }, HEARD[answer.audio] || answer.audio),
      textCell(answer, judgement(answer)),
      h("td", { "data-name": "choice" }, choiceOf(answer)),
      h("td", { "data-name": "" }, verdict(answer))))));
}

function advantageBar(value) {
  if (value === null) return "–";
  const bar = h("span", { class: "bar " + (value < 0 ? "minus" : "plus") });
  bar.style.width = Math.min(100, 36 * Math.abs(value)).toFixed(0) + "%";
  return h("span", { class: "advantage" }, h("span", {}, signed(value)), h("span", { class: "track" }, bar));
}

function groupTable(group) {
  const parts = [...new Set(group.rows.flatMap((row) => Object.keys(row.rewards)))];
  const partCell = (row, part) => h("td", { class: "n", "data-name": part },
    row.rewards[part] === null ? h("span", { class: "wrong" }, "judge failed") : figure(row.rewards[part]));
  const judgeScores = (row) => Object.entries(row.judged).map(([name, score]) => h("div", { class: "muted" },
    "judge, ", dataText("bdi", "", name), ": ", score === null ? h("span", { class: "wrong" }, "failed") : figure(score)));
  return h("table", { class: "answers group" },
    headRow(["", "completion", "choice", ...parts.map((part) => dataText("div", "label", part)), "reward",
      "advantage"]),
    h("tbody", {}, group.rows.map((row) => h("tr", {},
      h("td", { "data-name": "" }, verdict(row)),
      textCell(row, judgeScores(row)),
      h("td", { "data-name": "choice" }, choiceOf(row)),
      parts.map((part) => partCell(row, part)),
      h("td", { class: "n", "data-name": "reward" }, figure(row.reward)),
      h("td", { class: "n", "data-name": "advantage" }, advantageBar(row.advantage))))));
}

function groupsView(item) {
  const view = h("div", {});
  const buttons = item.groups.map((group, i) => h("button",
    { type: "button", class: "chip", "aria-pressed": "false", onclick: () => open(i) },
    "step " + count(group.step), runs.length > 1 ? dataText("span", "", " · " + runs[group.run].name) : null));
  const open = (place) => {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(i === place)));
    view.replaceChildren(groupTable(item.groups[place]));
  };
  open(item.groups.length - 1);
  const size = item.groups[0].rows.length;
  const title = `Sampled in training: groups of ${size} ${size === 1 ? "completion" : "completions"}`;
  return h("div", {}, h("h4", {}, title), h("div", { class: "chips" }, buttons), view);
}

function choicesList(item) {
  const right = () => h("span", { class: "right" }, " ✓ answer");
  return h("ol", { class: "choices" }, item.choices.map((choice) =>
    h("li", { class: choice === item.answer ? "answer" : "" }, dataText("span", "", choice),
      choice === item.answer ? right() : null)));
}

function drawQuestion() {
  const item = shown.find((candidate) => key(candidate) === current);
  if (!item) {
    stopSound();
    drawn = null;
    const reason = all.length ? "No question passes these filters." : "The run holds no question yet.";
    return $("question").replaceChildren(h("p", { class: "muted" }, reason));
  }
  const content = JSON.stringify({ ...item, lower: null });
  if (drawn && drawn.content === content) return;
  const sounds = JSON.stringify(clipsOf(item).map((clip) => clip.sound));
  const samePlayer = drawn && drawn.key === key(item) && drawn.sounds === sounds;
  const place = samePlayer ? drawn.place : h("div", { class: "place" });
  drawn = { content, key: key(item), sounds, place };
  const labels = [item.set, item.task, item.difficulty, item.id].filter(Boolean);
  const turn = (sign, by, label) =>
    h("button", { type: "button", class: "chip", onclick: () => move(by), "aria-label": label }, sign);
  $("question").replaceChildren(
    h("div", { class: "heading" },
      h("p", { class: "muted labels" }, labels.map((label) => dataText("span", "", label))),
      h("p", { class: "turn" }, turn("←", -1, "Previous question"), turn("→", 1, "Next question"))),
    dataText("h3", "question-text", item.text || "The run folder does not hold the text of this question."),
    place, choicesList(item));
  if (item.answers.length)
    $("question").append(h("h4", {}, "Answers in evaluation (greedy decoding)"), answersTable(item));
  if (item.groups.length) $("question").append(groupsView(item));
  if (!samePlayer) drawClips(item, place);
}

const clipsOf = (item) => [item, ...(item.more_clips || [])];

// One player for each clip of the question, in the order in which the model hears them.
async function drawClips(item, place) {
  stopSound();
  place.replaceChildren(h("p", { class: "muted" }, "…"));
  const clips = clipsOf(item);
  const loaded = await Promise.all(clips.map((clip) => (clip.sound === null ? null : clipOf(clip.sound))));
  if (!drawn || drawn.place !== place) return; // another question was chosen meanwhile
  place.replaceChildren(...clips.flatMap((clip, i) => [
    clips.length > 1 ? dataText("p", "muted", `clip ${i + 1} of ${clips.length}: ${clip.clip}`) : null,
    loaded[i] === null
      ? h("p", { class: "muted" }, clip.clip ? dataText("span", "", clip.silent) : "This question has no clip.")
      : loaded[i].fault ? dataText("p", "muted", loaded[i].fault) : makePlayer(loaded[i]),
  ]).filter(Boolean));
}
