// Shows what the server pushes, also while no page is open. It keeps no pages: what it showed later would be old.
// A push is JSON: title, body, tag (of the alert), firing, open and acknowledge (addresses; perhaps empty).

const ICON = "/static/icon-192.png";

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

function show(title, said, more = {}) {
  return self.registration.showNotification(title, {
    body: said.body,
    tag: said.tag,
    renotify: Boolean(said.tag),
    icon: ICON,
    badge: ICON,
    data: said,
    ...more,
  });
}

self.addEventListener("push", (event) => {
  const said = event.data?.json() ?? { title: "Mainstay", body: "", tag: "", open: "/alerts/" };
  const actions = said.acknowledge ? [{ action: "acknowledge", title: "Acknowledge" }] : [];
  if (said.open) actions.push({ action: "open", title: "Open" });
  event.waitUntil(show(said.title, said, { actions, requireInteraction: said.firing === true }));
});

async function acknowledge(said) {
  // The signed link is the permission; no cookie of whoever is signed in goes along.
  const reply = await fetch(new URL(said.acknowledge).pathname, { method: "POST", credentials: "omit" }).catch(() => null);
  if (reply?.ok) return show(`Acknowledged: ${said.title}`, { ...said, acknowledge: "" }, { silent: true, renotify: false });
  return show(`Not acknowledged: ${said.title}`, { ...said, body: "Open it and try again." });
}

async function open(address) {
  const path = new URL(address || "/alerts/", self.location.origin).pathname;
  for (const page of await self.clients.matchAll({ type: "window" })) {
    if (new URL(page.url).pathname === path) return page.focus();
  }
  return self.clients.openWindow(path);
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const said = event.notification.data ?? {};
  event.waitUntil(event.action === "acknowledge" ? acknowledge(said) : open(said.open));
});
