"use strict";
// Makes elements from values. Every text becomes a text node; no text is parsed as HTML, except the summary of the live
// page, which the server's template has escaped (see page.js).

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  const present = (child) => child !== null && child !== undefined && child !== false;
  element.append(...children.flat(Infinity).filter(present));
  return element;
}

const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

// A text of a model or a data file. It has its own writing direction, which does not affect the text around it.
const dataText = (tag, className, text) => h(tag, { class: "t " + (className || ""), dir: "auto" }, text);
const mutedText = (text) => h("span", { class: "muted" }, text);

const $ = (id) => document.getElementById(id);
const count = (n) => n.toLocaleString("en");

function figure(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1).replace("e+", "e");
  return String(Number(value.toPrecision(digits)));
}

const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(2);

// 4.2 or 1:04.2
function clock(seconds) {
  const rest = (seconds % 60).toFixed(1);
  return seconds < 60 ? rest : Math.floor(seconds / 60) + ":" + rest.padStart(4, "0");
}
