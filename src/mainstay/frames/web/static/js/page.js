// What every page needs: theme switch, menu, times, copy buttons, dialogs, history tips, toasts, keys.

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const dayOnly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

function refreshTimes() {
  const now = Date.now();
  for (const node of document.querySelectorAll("time[datetime]")) {
    const at = Date.parse(node.dateTime);
    if (Number.isNaN(at)) continue;
    if (!node.title) node.title = dateTime.format(at);
    const form = node.dataset.form;
    let text = "";
    if (form === "ago" || (form === "due" && at <= now)) text = `${span(Math.max(0, now - at) / 1000)} ago`;
    else if (form === "due") text = `in ${span((at - now) / 1000)}`;
    else if (form === "for") text = span(Math.abs(now - at) / 1000);
    else if (form === "clock") text = dateTime.format(at);
    if (text && node.textContent !== text) node.textContent = text;
  }
}

const root = document.documentElement;

// From the system's theme to the other one, to the one that the system has now, and back to the system's.
function switchTheme() {
  const [same, other] = matchMedia("(prefers-color-scheme: dark)").matches ? ["dark", "light"] : ["light", "dark"];
  const next = { [other]: same, [same]: "" }[root.dataset.theme] ?? other;
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
  try { if (next) localStorage.setItem("theme", next); else localStorage.removeItem("theme"); } catch { /* not remembered then */ }
  nameTheme();
  document.dispatchEvent(new CustomEvent("mainstay:theme"));
}

function nameTheme() {
  for (const name of document.querySelectorAll("[data-theme-switch] span")) name.textContent = `Theme: ${root.dataset.theme ?? "system"}`;
}

export function toast(message, action) {
  const holder = document.querySelector(".toasts") ?? document.body.appendChild(Object.assign(document.createElement("div"), { className: "toasts" }));
  holder.setAttribute("role", "status");
  const node = Object.assign(document.createElement("div"), { className: "toast", textContent: message });
  if (action) node.append(action);
  holder.append(node);
  setTimeout(() => node.remove(), action ? 12000 : 6000);
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy)?.textContent.trim() ?? "";
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    const range = document.createRange();
    range.selectNodeContents(document.getElementById(button.dataset.copy));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    toast("Selected: press Ctrl+C to copy");
  }
}

// A form or button with data-confirm asks first, in a dialog that says what will happen.
function confirmFirst(event) {
  const submitter = event.submitter;
  const question = submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (!question || event.target.dataset.confirmed) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const dialog = document.getElementById("confirm");
  dialog.querySelector("p").textContent = question.replace(/\s+/g, " ").replace("{names}", checkedNames()).replace("{files} ", filesKeep());
  const go = dialog.querySelector('[value="yes"]');
  const dangerous = submitter?.classList.contains("danger");
  go.textContent = dangerous ? submitter.textContent.trim() : "Go ahead";
  go.className = dangerous ? "btn danger solid" : "btn primary";
  dialog.returnValue = "";
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "yes") return;
    event.target.dataset.confirmed = "1";
    event.target.requestSubmit(submitter);
    delete event.target.dataset.confirmed;
  }, { once: true });
  dialog.showModal();
}

const everything = () => document.querySelector('input[name="everything"]:checked');

function checkedNames() {
  return everything()?.parentElement.textContent.trim().toLowerCase() ?? listed(".pick input:checked");
}

function listed(boxes) {
  const names = [...document.querySelectorAll(boxes)].map((box) => box.value);
  return names.length > 12 ? `${names.slice(0, 10).join(", ")} and ${names.length - 10} more` : names.join(", ");
}

// What is deleted here and declared in a file comes back.
function filesKeep() {
  const names = listed(".pick input[data-in-file]:checked");
  if (everything()) return "Those that a file manages come back with its next apply. ";
  return names && `Managed by a file, which restores it with its next apply: ${names}. `;
}

function updateBulk() {
  const picks = [...document.querySelectorAll(".pick input")];
  const count = picks.filter((box) => box.checked).length;
  for (const button of document.querySelectorAll("[data-needs-pick]")) button.disabled = count === 0 && !everything();
  for (const node of document.querySelectorAll("[data-picked]")) node.textContent = count ? `${count} selected` : "";
  const all = document.getElementById("pick-all");
  if (all) {
    all.checked = count > 0 && count === picks.length;
    all.indeterminate = count > 0 && count < picks.length;
  }
}

// History bars: data-days holds one item a day, "u" all well, "-" no data, else text for the tip.
let tip;
function showTip(event) {
  const bars = event.target.closest?.("svg.bars[data-days]");
  if (!bars) { tip?.remove(); tip = undefined; return; }
  const days = bars.dataset.days.split("|");
  const box = bars.getBoundingClientRect();
  const index = Math.min(days.length - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * days.length)));
  const date = dayOnly.format(Number(bars.dataset.first) * 1000 + index * 86400000);
  const words = { "": "no downtime", "-": "no data" }[days[index]] ?? days[index];
  if (!tip) {
    tip = Object.assign(document.createElement("div"), { className: "tip" });
    document.body.append(tip);
  }
  tip.textContent = `${date}: ${words}`;
  const wide = tip.offsetWidth;
  tip.style.left = `${Math.min(innerWidth - wide - 8, Math.max(8, event.clientX - wide / 2))}px`;
  tip.style.top = `${box.top - tip.offsetHeight - 6}px`;
}

const PLACES = { o: "/", m: "/monitors/", h: "/heartbeats/", a: "/alerts/", r: "/resources/", c: "/channels/", j: "/journal/", s: "/health/", w: "/windows/" };
let prefix = 0;
function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, dialog, [contenteditable]")) return;
  if (prefix && Date.now() - prefix < 1200 && PLACES[event.key]) { location.href = PLACES[event.key]; return; }
  prefix = event.key === "g" ? Date.now() : 0;
  if (event.key === "/") {
    const search = document.querySelector('input[type="search"]');
    event.preventDefault();
    if (search) { search.focus(); search.select(); }
    else document.querySelector('[data-open="palette"]')?.click();
  } else if (event.key === "j" || event.key === "k") {
    const rows = [...document.querySelectorAll("[data-row]")];
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(rows.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)))]?.focus();
  } else if (event.key === "?") document.getElementById("keys")?.showModal();
}

document.addEventListener("click", (event) => {
  const at = event.target;
  if (at.closest("[data-theme-switch]")) switchTheme();
  const copier = at.closest("[data-copy]");
  if (copier) copy(copier);
  const opener = at.closest("[data-open]");
  if (opener) {
    event.preventDefault();
    document.getElementById(opener.dataset.open)?.showModal();
  }
  if (at.closest("[data-close]")) at.closest("dialog")?.close();
  const menu = at.closest("[data-menu]");
  if (menu) {
    event.preventDefault();
    const open = document.getElementById("nav").classList.toggle("open");
    menu.setAttribute("aria-expanded", String(open));
  }
});
document.addEventListener("submit", confirmFirst, true);
document.addEventListener("change", (event) => {
  if (event.target.id === "pick-all") for (const box of document.querySelectorAll(".pick input")) box.checked = event.target.checked;
  if (event.target.closest(".pick") || event.target.matches("#pick-all, [name=everything]")) updateBulk();
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});
// A search field answers while one types; its change event, when one clicks elsewhere, must not search again.
document.addEventListener("change", (event) => { if (event.target.type === "search") event.stopPropagation(); }, true);
document.addEventListener("keydown", keys);
document.addEventListener("pointermove", showTip, { passive: true });
document.addEventListener("scroll", () => { tip?.remove(); tip = undefined; }, { passive: true });
document.addEventListener("mainstay:swapped", () => { refreshTimes(); updateBulk(); });
document.addEventListener("htmx:afterSettle", () => { refreshTimes(); updateBulk(); });
function failed(event, words) {
  toast(words);
  const loading = event.detail.target?.querySelector(".loading");
  loading?.replaceWith(loading.nextElementSibling.content);
}
document.addEventListener("htmx:responseError", (event) => failed(event, "The server could not do that. Try again in a moment."));
document.addEventListener("htmx:sendError", (event) => failed(event, "The server cannot be reached."));
refreshTimes();
updateBulk();
nameTheme();
setInterval(refreshTimes, 10000);
