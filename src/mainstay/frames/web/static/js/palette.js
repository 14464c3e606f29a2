// The command palette: Ctrl-K or Cmd-K opens it; what is typed is searched as /search does, without leaving the page.

const dialog = document.getElementById("palette");
const form = dialog.querySelector("form");
const field = dialog.querySelector("input");
const list = document.getElementById("palette-finds");
const status = dialog.querySelector('[role="status"]');
const PAUSE = 150; // milliseconds without a key before it asks
let asking;
let timer;

const options = () => [...list.querySelectorAll('[role="option"]')];
const active = () => list.querySelector('[aria-selected="true"]');

function choose(option) {
  active()?.setAttribute("aria-selected", "false");
  if (!option) return field.removeAttribute("aria-activedescendant");
  option.setAttribute("aria-selected", "true");
  field.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

function show(nodes, words) {
  list.replaceChildren(...nodes);
  options().forEach((option, at) => { option.id = `palette-find-${at}`; });
  list.querySelectorAll("section").forEach((group, at) => {
    group.querySelector("h3").id = `palette-group-${at}`;
    group.setAttribute("aria-labelledby", `palette-group-${at}`);
  });
  const count = options().length;
  field.setAttribute("aria-expanded", String(count > 0));
  status.textContent = count ? `${count} found` : words;
  status.classList.toggle("hush", count > 0);
  choose(options()[0]);
}

async function ask() {
  asking?.abort();
  const text = field.value.trim();
  if (!text) return show([], "");
  const own = asking = new AbortController();
  try {
    const headers = { "HX-Request": "true" };
    const answer = await fetch(`/search?q=${encodeURIComponent(text)}`, { headers, signal: own.signal });
    if (answer.status === 401) return location.assign(answer.headers.get("HX-Redirect") ?? "/");
    if (!answer.ok) return show([], "The server could not do that. Try again in a moment.");
    const body = new DOMParser().parseFromString(await answer.text(), "text/html").body;
    const groups = [...body.querySelectorAll("section")];
    if (asking === own) show(groups, body.textContent.trim());
  } catch (error) {
    if (error.name !== "AbortError") show([], "The server cannot be reached.");
  }
}

// What was found belongs to the text before: until the answer to this one, Enter leads to the page of the search.
field.addEventListener("input", () => {
  choose(undefined);
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE);
});

field.addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  const all = options();
  const at = all.indexOf(active());
  const next = { ArrowDown: (at + 1) % all.length, ArrowUp: (at <= 0 ? all.length : at) - 1, Home: 0, End: all.length - 1 }[event.key];
  if (next !== undefined && all.length) {
    event.preventDefault();
    choose(all[next]);
  } else if (event.key === "Enter" && active()) {
    event.preventDefault();
    active().click();
  }
});

form.addEventListener("submit", (event) => { if (!field.value.trim()) event.preventDefault(); });
list.addEventListener("click", (event) => { if (event.target.closest("a") && !event.ctrlKey && !event.metaKey) dialog.close(); });
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("close", () => {
  clearTimeout(timer);
  asking?.abort();
  form.reset();
  show([], "");
});

document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "k") return;
  event.preventDefault();
  if (dialog.open) dialog.close();
  else if (!document.querySelector("dialog:modal")) dialog.showModal();
});
