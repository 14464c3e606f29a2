// The button that switches notifications on in this browser: [data-devices] holds the server's public key, and
// data-add the address that takes the subscription.

const REFUSED = "This browser is set to show no notifications of this site. Allow them in its settings, then try again.";
const MISSING = "serviceWorker" in navigator && "PushManager" in window ? "" : window.isSecureContext
  ? "This browser shows notifications only once the page is installed: share it, add it to the home screen, and open it there."
  : "Browsers allow notifications over HTTPS only. Open Mainstay by its https address.";

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
const same = (buffer, key) => buffer && new Uint8Array(buffer).every((byte, place) => byte === key[place]);

async function subscription(key) {
  const registration = await navigator.serviceWorker.register("/service-worker.js");
  await navigator.serviceWorker.ready;
  const known = await registration.pushManager.getSubscription();
  if (known && same(known.options.applicationServerKey, key)) return known;
  if (known) await known.unsubscribe();
  return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

async function add(place) {
  if ((await Notification.requestPermission()) !== "granted") throw new Error(REFUSED);
  const found = await subscription(bytes(place.dataset.devices));
  const reply = await fetch(place.dataset.add, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json",
      "X-CSRFToken": JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"],
    },
    body: JSON.stringify(found),
  });
  if (!reply.ok) throw new Error("The server did not take it. Load the page anew and try again.");
}

for (const place of document.querySelectorAll("[data-devices]")) {
  const button = place.querySelector("button");
  const status = place.querySelector("[role=status]");
  status.textContent = MISSING;
  button.disabled = MISSING !== "";
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await add(place);
      location.reload();
    } catch (error) {
      status.textContent = error.message;
      button.disabled = false;
    }
  });
}
