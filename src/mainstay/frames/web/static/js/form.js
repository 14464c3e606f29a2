// What a form says while one types: the server looks at the draft, and the mistakes of what was touched are put to their
// fields. Without this script the same mistakes come when the form is saved.

const said = document.getElementById("said");
const touched = new Set();

// Names of inputs that belong to a field: a matcher and a moment have several, a list and a map many.
function isTouched(name) {
  return [...touched].some((one) => one === name || one.startsWith(`${name}.`));
}

function tell(place, texts) {
  place.replaceChildren(...texts.flatMap((one, at) => [...(at ? ["; "] : []), ...one.cloneNode(true).childNodes]));
  const field = place.closest(".field, .entry");
  const input = document.getElementById(place.id.replace(/-e$/, ""));
  field?.classList.toggle("wrong", texts.length > 0);
  if (!input?.matches("input, select, textarea")) return;
  if (texts.length) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

function show() {
  const wrong = new Map();
  for (const one of said.querySelectorAll("[data-of]")) {
    wrong.set(one.dataset.of, [...(wrong.get(one.dataset.of) ?? []), one]);
  }
  for (const place of document.querySelectorAll("[data-error]")) {
    const texts = wrong.get(place.dataset.error) ?? [];
    if (isTouched(place.dataset.error) || !texts.length) tell(place, texts);
  }
}

// Whoever presses Save is told by its answer. Mistakes that appear now would move the button away under the press.
document.addEventListener("focusout", (event) => {
  if (event.relatedTarget?.type === "submit") return;
  if (event.target.name && event.target.form?.id === "draft" && event.target.value) touched.add(event.target.name);
  if (said.querySelector("[data-of]")) show();
});
document.addEventListener("change", (event) => { if (event.target.form?.id === "draft") touched.add(event.target.name); });
document.addEventListener("htmx:afterSwap", (event) => { if (event.detail.target === said) show(); });
document.getElementById("mistakes")?.focus();
