// Right behind the menu, before it is painted: groups that were folded in this browser are folded again, except the one
// that holds this page.
{
  let folded = [];
  try { folded = [].concat(JSON.parse(localStorage.getItem("folded")) ?? []); } catch { /* storage is off, or not ours */ }
  for (const group of document.querySelectorAll("[data-fold]:not([data-here])")) group.open = !folded.includes(group.dataset.fold);
  document.getElementById("nav").addEventListener("click", (event) => {
    const group = event.target.closest("summary")?.parentElement;
    if (!group) return;
    folded = folded.filter((name) => name !== group.dataset.fold);
    if (group.open) folded.push(group.dataset.fold); // it turns after this
    try { localStorage.setItem("folded", JSON.stringify(folded)); } catch { /* not remembered then */ }
  });
}
