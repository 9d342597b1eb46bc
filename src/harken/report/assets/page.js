// Draws the page from its data. The live page then asks its server for changes, which answers 304 where there are none.

const start = JSON.parse($("data").textContent);

clipOf = start.live
  ? async (name) => (await fetch("/clip/" + encodeURIComponent(name.replace(/\p{Surrogate}/gu, "?")))).json()
  : async (index) => JSON.parse($("clip-" + index).textContent);

function draw(data) {
  drawCurves(data);
  drawQuestions(data);
}

function showStatus(text, kind) {
  $("status").textContent = text;
  $("status").className = kind;
}

function drawState(state) {
  const opened = new Set([...document.querySelectorAll("#summary details[open]")].map((node) => node.dataset.key));
  // The template has escaped every text of the summary, and a DOMParser runs no script.
  $("summary").replaceChildren(...new DOMParser().parseFromString(state.summary, "text/html").body.children);
  document.querySelectorAll("#summary details").forEach((node) => { node.open = opened.has(node.dataset.key); });
  draw(state);
  showStatus(state.status, "following");
}

async function follow() {
  let version = "";
  for (;;) {
    try {
      const reply = await fetch("/state", { headers: version ? { "If-None-Match": version } : {}, cache: "no-store" });
      if (reply.status === 200) {
        const state = await reply.json();
        version = reply.headers.get("ETag");
        drawState(state);
      } else if (reply.status !== 304) {
        showStatus((await reply.json()).error, "fault");
      } else if ($("status").className !== "following") {
        version = "";
        continue;
      }
    } catch {
      showStatus("The viewer has stopped. Start harken view again.", "fault");
    }
    await new Promise((done) => setTimeout(done, start.every_ms));
  }
}

addEventListener("keydown", onKey);
draw(start);
if (start.live) follow();
