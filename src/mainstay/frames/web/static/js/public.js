// The public status page looks again every minute, without losing the reader's place.

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [now, then] = [document.querySelector("main"), next.querySelector("main")];
    if (then && now.innerHTML !== then.innerHTML) {
      now.innerHTML = then.innerHTML;
      document.title = next.title;
      document.dispatchEvent(new CustomEvent("mainstay:swapped"));
    }
  } catch { /* offline: what is shown says when it was updated */ }
}
setInterval(look, 60000);
document.addEventListener("visibilitychange", look);
