// The calendar of on-call: a person who is dragged onto a shift opens its override, filled in.

const palette = document.querySelector(".oncall-palette");

palette?.addEventListener("dragstart", (event) => {
  const person = event.target.closest("[data-person]")?.dataset.person;
  if (person) event.dataTransfer.setData("text/plain", person);
});

for (const entry of document.querySelectorAll("[data-drop]")) {
  entry.addEventListener("dragover", (event) => { event.preventDefault(); entry.classList.add("over"); });
  entry.addEventListener("dragleave", () => entry.classList.remove("over"));
  entry.addEventListener("drop", (event) => {
    event.preventDefault();
    const person = event.dataTransfer.getData("text/plain");
    const known = [...document.querySelectorAll("[data-person]")].some((one) => one.dataset.person === person);
    if (!known) return;
    const target = new URL(entry.href);
    target.searchParams.set("add", person);
    location.assign(target);
  });
}
