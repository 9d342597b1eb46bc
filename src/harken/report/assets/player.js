// Plays clips and shows the outline and the spectrogram of each over one time axis. Sound starts only when the reader
// asks. Several players of one question share one sound: `player` is the one that it belongs to, at first the first.

const sound = new Audio();
sound.preload = "metadata";
document.body.append(sound);
let player = null, players = 0;

function stopSound() {
  sound.pause();
  sound.removeAttribute("src");
  sound.load();
  player = null;
}

// Gives the sound to a player; the others keep their place on the page.
function giveSoundTo(other) {
  if (player === other) return;
  sound.pause();
  drawButton();
  player = other;
  sound.src = other.sound;
  drawPlayhead();
}

function seek(seconds) {
  if (!player) return;
  sound.currentTime = Math.min(Math.max(0, seconds), player.seconds);
  drawPlayhead();
}

function togglePlay() {
  if (!player) return;
  if (!sound.paused) return sound.pause();
  sound.play().catch((error) => {
    if (error.name === "AbortError" || !player) return;
    player.button.after(h("span", { class: "fault" }, "This browser cannot play the clip."));
  });
}

function drawPlayhead() {
  if (!player) return;
  const position = Math.min(sound.currentTime, player.seconds);
  player.head.style.left = (100 * position / player.seconds).toFixed(2) + "%";
  player.done.setAttribute("width", (240 * position / player.seconds).toFixed(1));
  player.time.textContent = `${clock(position)} / ${clock(player.seconds)} s`;
  player.picture.setAttribute("aria-valuenow", position.toFixed(1));
  player.picture.setAttribute("aria-valuetext", clock(position));
}

function drawButton() {
  if (!player) return;
  player.button.setAttribute("aria-label", sound.paused ? "Play the clip" : "Pause");
  player.button.classList.toggle("playing", !sound.paused);
  const follow = () => { drawPlayhead(); if (!sound.paused) requestAnimationFrame(follow); };
  if (!sound.paused) requestAnimationFrame(follow);
}

for (const event of ["play", "pause", "ended"]) sound.addEventListener(event, () => { drawPlayhead(); drawButton(); });
sound.addEventListener("seeked", drawPlayhead);

function drawOutline(clip, done, name) {
  const bars = [...clip.outline].map((sign, i) => {
    const half = 1 + 28 * (sign.charCodeAt(0) - 48) / 63;
    return `M${i + 0.5} ${30 - half}V${30 + half}`;
  }).join("");
  return s("svg", { class: "outline", viewBox: "0 0 240 60", preserveAspectRatio: "none", "aria-hidden": "true" },
    s("clipPath", { id: name }, done), s("path", { class: "ahead", d: bars }),
    s("path", { class: "played", d: bars, "clip-path": `url(#${name})` }));
}

function makePlayer(clip) {
  const done = s("rect", { x: 0, y: 0, width: 0, height: 60 });
  const mel = h("div", { class: "mel" });
  mel.style.maskImage = `url("${clip.mel}")`;
  const head = h("div", { class: "head" });
  const seekTo = (event) => {
    const box = picture.getBoundingClientRect();
    giveSoundTo(own);
    seek(clip.seconds * (event.clientX - box.left) / box.width);
  };
  const picture = h("div", {
    class: "picture", role: "slider", tabindex: 0, "aria-label": "Position in the clip",
    "aria-valuemin": 0, "aria-valuemax": clip.seconds.toFixed(1),
    onkeydown: (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) { giveSoundTo(own); seek(sound.currentTime + by); event.preventDefault(); event.stopPropagation(); }
    },
    onpointerdown: (event) => { picture.setPointerCapture(event.pointerId); seekTo(event); },
    onpointermove: (event) => { if (event.buttons & 1) seekTo(event); },
  }, drawOutline(clip, done, `played-${++players}`), mel, head);
  const button = h("button", { class: "play", type: "button", onclick: () => { giveSoundTo(own); togglePlay(); } },
    s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { class: "p", d: "M4 2.5v11l9.5-5.5z" }),
      s("path", { class: "b", d: "M4 2.5h3v11H4zM9.5 2.5h3v11h-3z" })));
  const time = h("span", { class: "time" });
  const own = { sound: clip.sound, seconds: clip.seconds, head, done, time, picture, button };
  time.textContent = `${clock(0)} / ${clock(clip.seconds)} s`;
  button.setAttribute("aria-label", "Play the clip");
  if (player === null) giveSoundTo(own);
  drawButton();
  return h("div", { class: "player" },
    h("div", { class: "controls" }, button, time, clip.note ? mutedText(clip.note) : null), picture);
}
