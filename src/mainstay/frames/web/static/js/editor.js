// The YAML editor: a plain textarea with line numbers and colours behind it, suggestions from the schema at its caret,
// and Ctrl+Enter. Tab indents, or takes a suggestion; after Escape it leaves, as it does everywhere else.

import { offers, paint, place } from "./yaml.js";

const PAINTED = 100_000; // characters up to which colours are worth their time
const editor = document.querySelector(".editor");
const area = editor.querySelector("textarea");
const lines = editor.querySelector(".lines");
const paper = editor.querySelector(".paint");
const list = editor.querySelector(".offers");
const told = editor.querySelector("[role=status]");
let schema;
let offered = [];
let chosen = -1;
let leaving = false;
let planned = "";

function span(kind, text) {
  if (!kind) return text;
  return Object.assign(document.createElement("span"), { className: `y-${kind}`, textContent: text });
}

function draw() {
  const wrong = new Set((editor.dataset.wrong ?? "").split(" ").filter(Boolean).map(Number));
  const written = area.value.split("\n");
  lines.replaceChildren(...written.map((_, at) => Object.assign(document.createElement(wrong.has(at + 1) ? "b" : "span"), { textContent: `${at + 1}\n` })));
  const painted = area.value.length <= PAINTED;
  editor.classList.toggle("painted", painted);
  paper.replaceChildren(...(painted ? written.flatMap((line) => [...paint(line).map(([kind, text]) => span(kind, text)), "\n"]) : []));
  follow();
}

function follow() {
  lines.scrollTop = area.scrollTop;
  paper.scrollTop = area.scrollTop;
  paper.scrollLeft = area.scrollLeft;
  if (!list.hidden) stand();
}

// What is typed goes in as if by hand, so that it can be undone.
function type(text, from = area.selectionStart, to = area.selectionEnd) {
  area.setSelectionRange(from, to);
  if (!document.execCommand("insertText", false, text)) area.setRangeText(text, from, to, "end");
  draw();
}

// Suggestions

async function load() {
  if (schema) return;
  schema = {};
  try {
    const answer = await fetch(editor.dataset.schema, { credentials: "same-origin" });
    if (answer.ok) schema = await answer.json();
  } catch { /* one writes without suggestions, then */ }
}

function suggest(asked) {
  const where = place(area.value, area.selectionStart);
  const found = schema?.$defs && where.path && (asked || where.prefix) ? offers(schema, where) : [];
  offered = found.map((one) => ({ ...one, flow: where.flow, prefix: where.prefix }));
  chosen = asked && offered.length ? 0 : -1;
  list.replaceChildren(...offered.map((one, at) => {
    const item = Object.assign(document.createElement("li"), { id: `offer-${at}`, role: "option", className: "offer" });
    item.append(Object.assign(document.createElement("b"), { textContent: one.text }), Object.assign(document.createElement("span"), { textContent: one.about }));
    item.addEventListener("pointerdown", (event) => { event.preventDefault(); take(at); });
    return item;
  }));
  list.hidden = !offered.length;
  told.textContent = offered.length ? `${offered.length} ${offered.length === 1 ? "suggestion" : "suggestions"}` : asked ? "No suggestion" : "";
  if (!list.hidden) stand();
  point();
}

function point() {
  [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
  list.children[chosen]?.scrollIntoView({ block: "nearest" });
  if (chosen < 0) area.removeAttribute("aria-activedescendant");
  else area.setAttribute("aria-activedescendant", `offer-${chosen}`);
}

// Below the line of the caret, or above it where there is no room below.
function stand() {
  const before = area.value.slice(0, area.selectionStart).split("\n");
  const style = getComputedStyle(area);
  const high = parseFloat(style.lineHeight);
  const wide = paper.firstElementChild?.getBoundingClientRect().width / (paper.firstElementChild?.textContent.length || 1) || 8;
  const top = area.offsetTop + parseFloat(style.paddingTop) + before.length * high - area.scrollTop;
  list.style.top = `${top}px`;
  const left = area.offsetLeft + parseFloat(style.paddingLeft) + (before.at(-1).length - (offered[0]?.prefix.length ?? 0)) * wide - area.scrollLeft;
  list.style.left = `${Math.max(0, Math.min(left, editor.clientWidth - list.offsetWidth - 8))}px`;
}

function close() {
  list.hidden = true;
  offered = [];
  chosen = -1;
  told.textContent = "";
  point();
}

function take(at) {
  const one = offered[at];
  const column = area.value.slice(0, area.selectionStart).split("\n").at(-1).length - one.prefix.length;
  const behind = !one.key ? "" : one.nested && !one.flow ? `:\n${" ".repeat(column + 2)}` : ": ";
  const from = area.selectionStart - one.prefix.length;
  close();
  type(one.text + behind, from, area.selectionEnd);
}

// Keys

function pressed(event) {
  const open = !list.hidden;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); save(); }
  else if (event.key === " " && event.ctrlKey) { event.preventDefault(); load().then(() => suggest(true)); }
  else if (event.key === "Escape") {
    if (open) { event.preventDefault(); close(); } else { leaving = true; return; }
  } else if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    chosen = (chosen + (event.key === "ArrowDown" ? 1 : -1) + offered.length) % offered.length;
    point();
  } else if (open && event.key === "Enter" && chosen >= 0) { event.preventDefault(); take(chosen); }
  else if (event.key === "Enter") { event.preventDefault(); close(); newLine(); }
  else if (event.key === "Tab" && !event.shiftKey && !leaving && !area.readOnly) {
    event.preventDefault();
    if (open) take(Math.max(0, chosen)); else type("  ");
  }
  if (event.key !== "Shift") leaving = false;
}

// A new line begins where the one before did, and further in behind a key without a value.
function newLine() {
  const line = area.value.slice(0, area.selectionStart).split("\n").at(-1);
  const [indent] = /^\s*/.exec(line);
  type(`\n${indent}${/:\s*$/.test(line) ? "  " : ""}`);
}

// Shows what changes; once that is shown, and nothing was typed since, applies it.
function save() {
  const button = document.querySelector('#outcome [hx-post="/resources/apply"]');
  if (button && planned === area.value) button.click();
  else document.querySelector('[hx-post="/resources/plan"]').click();
}

function jump(line, column) {
  const before = area.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  area.focus();
  area.setSelectionRange(before + Math.max(0, column - 1), before + Math.max(0, column - 1));
}

area.addEventListener("input", (event) => { draw(); if (event.inputType?.startsWith("insertText")) suggest(false); else close(); });
area.addEventListener("scroll", follow);
area.addEventListener("blur", close);
area.addEventListener("click", close);
area.addEventListener("keydown", pressed);
new ResizeObserver(() => { lines.style.height = `${area.offsetHeight}px`; }).observe(area);
document.addEventListener("click", (event) => {
  const at = event.target.closest("[data-line]");
  if (!at) return;
  event.preventDefault();
  jump(Number(at.dataset.line), Number(at.dataset.column || 1));
});
document.addEventListener("htmx:afterSettle", () => {
  editor.dataset.wrong = document.querySelector("[data-wrong-lines]")?.dataset.wrongLines ?? "";
  planned = area.value;
  draw();
});
load();
draw();
