// Follows the server of a live page: asks for the state again and again; it answers 304 where nothing has changed.

function showStatus(text, kind) {
  $("status").textContent = text;
  $("status").className = kind;
}

async function followState(everyMs, drawState) {
  let version = "";
  for (;;) {
    const reply = await fetch("state", { headers: version ? { "If-None-Match": version } : {}, cache: "no-store" })
      .catch(() => null);
    const content = reply && reply.status !== 304 ? await reply.json().catch(() => null) : null;
    if (!reply || (reply.status !== 304 && !content)) {
      showStatus("The viewer has stopped. Start harken view again.", "fault");
    } else if (reply.status === 200) {
      version = reply.headers.get("ETag");
      drawState(content);
      showStatus(content.status, "following");
    } else if (reply.status !== 304) {
      showStatus(content.error, "fault");
    } else if ($("status").className !== "following") {
      version = "";
      continue;
    }
    await new Promise((done) => setTimeout(done, everyMs));
  }
}
