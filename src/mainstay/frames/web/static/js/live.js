// Live updates: the server says which topics changed; regions that show them are fetched again and swapped
// in place. Scroll, focus, typed text, ticked boxes and open details stay as they are.

const root = document.documentElement;
const topics = new Set((document.body.dataset.topics ?? "").split(" ").filter(Boolean));
const mark = document.getElementById("link");
let source;
let lastEvent = 0;
let waiting = 0;
let fetching = false;
let again = false;

function rememberState(region) {
  const folds = [...region.querySelectorAll("details[id]")].map((node) => [node.id, node.open]);
  const ticked = [...region.querySelectorAll('input[type="checkbox"]:checked')].map((node) => node.value);
  const focus = region.contains(document.activeElement) ? (document.activeElement.id || document.activeElement.getAttribute("href")) : null;
  return () => {
    for (const [id, open] of folds) document.getElementById(id)?.toggleAttribute("open", open);
    for (const box of region.querySelectorAll('input[type="checkbox"]')) if (ticked.includes(box.value)) box.checked = true;
    if (focus) (document.getElementById(focus) ?? region.querySelector(`[href="${CSS.escape(focus)}"]`))?.focus({ preventScroll: true });
  };
}

// Rows that carry data-key are replaced one by one, so that an unchanged row is never touched.
function swapRows(now, next) {
  const keys = (node) => [...node.children].map((child) => child.dataset.key);
  const [old, fresh] = [keys(now), keys(next)];
  if (old.some((key) => !key) || old.length !== fresh.length || old.some((key, at) => key !== fresh[at])) return false;
  [...next.children].forEach((row, at) => {
    const known = now.children[at];
    if (known.dataset.html === row.outerHTML) return;
    const html = row.outerHTML;
    const state = known.dataset.state;
    known.replaceWith(row);
    row.dataset.html = html;
    if (state !== row.dataset.state) row.classList.add("fresh");
  });
  return true;
}

const originals = new WeakMap();
for (const region of document.querySelectorAll("[data-live]")) originals.set(region, region.innerHTML);

function swap(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const region of document.querySelectorAll("[data-live]")) {
    const next = page.getElementById(region.id);
    if (!next || originals.get(region) === next.innerHTML) continue;
    originals.set(region, next.innerHTML);
    if (region.contains(document.activeElement) && document.activeElement.matches("input:not([type=checkbox]), textarea, select")) continue;
    const restore = rememberState(region);
    const list = region.querySelector(":scope > [data-rows]");
    const nextList = next.querySelector(":scope > [data-rows]");
    if (!(list && nextList && region.children.length === 1 && swapRows(list, nextList))) region.innerHTML = next.innerHTML;
    window.htmx?.process(region);
    restore();
  }
  const title = page.querySelector("title")?.textContent;
  if (title) document.title = title;
  document.dispatchEvent(new CustomEvent("mainstay:swapped"));
}

async function refresh() {
  if (fetching) { again = true; return; }
  if (document.hidden) { again = true; return; }
  fetching = true;
  again = false;
  try {
    const answer = await fetch(location.href, { headers: { "X-Mainstay-Live": "1" }, credentials: "same-origin" });
    if (answer.redirected && new URL(answer.url).pathname !== location.pathname) location.reload();
    else if (answer.ok) swap(await answer.text());
  } catch { /* the event source notices a lost server and says so */ }
  fetching = false;
  if (again) schedule();
}

function schedule() {
  if (waiting) return;
  waiting = setTimeout(() => { waiting = 0; refresh(); }, Math.max(150, 2000 - (Date.now() - lastEvent)));
  lastEvent = Date.now();
}

let lost = 0;
function say(text) {
  if (!mark) return;
  mark.hidden = !text;
  mark.lastElementChild.textContent = text;
}

function connect() {
  source = new EventSource("/live");
  source.onopen = () => {
    if (lost) schedule();
    lost = 0;
    clearTimeout(connect.timer);
    say("");
    root.dataset.link = "live";
  };
  source.onmessage = (message) => {
    const news = JSON.parse(message.data);
    if (!topics.size || news.topics.some((topic) => topics.has(topic))) schedule();
  };
  source.onerror = () => {
    lost += 1;
    root.dataset.link = "lost";
    clearTimeout(connect.timer);
    connect.timer = setTimeout(() => say("Reconnecting: what you see may be out of date"), 2500);
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, Math.min(30000, 1000 * 2 ** lost));
  };
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && again) schedule(); });
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", (event) => { if (event.persisted) { connect(); schedule(); } });
if (document.querySelector("[data-live]")) connect();
