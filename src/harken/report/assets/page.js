// Draws the page from its data; the live page follows its server.

const start = JSON.parse($("data").textContent);

clipOf = start.live
  ? async (name) => (await fetch("clip/" + encodeURIComponent(name.replace(/\p{Surrogate}/gu, "?")))).json()
  : async (index) => JSON.parse($("clip-" + index).textContent);

function draw(data) {
  drawCurves(data);
  drawQuestions(data);
}

function drawState(state) {
  const opened = new Set([...document.querySelectorAll("#summary details[open]")].map((node) => node.dataset.key));
  // The template has escaped every text of the summary, and a DOMParser runs no script.
  $("summary").replaceChildren(...new DOMParser().parseFromString(state.summary, "text/html").body.children);
  document.querySelectorAll("#summary details").forEach((node) => { node.open = opened.has(node.dataset.key); });
  draw(state);
}

addEventListener("keydown", onKey);
draw(start);
if (start.live) followState(start.every_ms, drawState);
