// The YAML editor: line numbers beside a plain textarea, marks on lines with mistakes, Tab indents by two spaces.

function number(editor) {
  const area = editor.querySelector("textarea");
  const lines = editor.querySelector(".lines");
  const wrong = new Set((editor.dataset.wrong ?? "").split(" ").filter(Boolean).map(Number));
  const count = area.value.split("\n").length;
  lines.replaceChildren(...Array.from({ length: count }, (_, at) => {
    const node = document.createElement(wrong.has(at + 1) ? "b" : "span");
    node.textContent = `${at + 1}\n`;
    return node;
  }));
  lines.scrollTop = area.scrollTop;
}

function jump(editor, line, column) {
  const area = editor.querySelector("textarea");
  const before = area.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  area.focus();
  area.setSelectionRange(before + Math.max(0, column - 1), before + Math.max(0, column - 1));
}

function start(editor) {
  if (editor.started) { number(editor); return; }
  editor.started = true;
  const area = editor.querySelector("textarea");
  const lines = editor.querySelector(".lines");
  area.addEventListener("input", () => number(editor));
  area.addEventListener("scroll", () => { lines.scrollTop = area.scrollTop; });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { area.blur(); return; }
    if (event.key !== "Tab" || event.shiftKey || area.readOnly) return;
    event.preventDefault();
    area.setRangeText("  ", area.selectionStart, area.selectionEnd, "end");
    number(editor);
  });
  new ResizeObserver(() => { lines.style.height = `${area.offsetHeight}px`; }).observe(area);
  number(editor);
}

const all = () => document.querySelectorAll(".editor").forEach(start);
document.addEventListener("click", (event) => {
  const place = event.target.closest("[data-line]");
  if (!place) return;
  event.preventDefault();
  jump(document.querySelector(".editor"), Number(place.dataset.line), Number(place.dataset.column || 1));
});
document.addEventListener("htmx:afterSettle", () => {
  const report = document.querySelector("[data-wrong-lines]");
  const editor = document.querySelector(".editor");
  if (editor) editor.dataset.wrong = report?.dataset.wrongLines ?? "";
  all();
});
all();
