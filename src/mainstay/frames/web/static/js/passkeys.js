// Passkeys and security keys: hands the server's challenge to the browser, and the browser's answer to a form.
// <form data-passkey="add|use|fetch">: `add` registers, `use` answers a challenge that the page holds in #js_data,
// `fetch` asks the form's address for one first. A button with data-passkey-go starts it.

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const described = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

const REASONS = {
  NotAllowedError: "It was cancelled or took too long. Try again.",
  InvalidStateError: "This one is registered here already.",
  NotSupportedError: "This device has no passkey that would do.",
  SecurityError: "Passkeys need this site under its own name: an address of numbers or another name than usual will not do.",
};

function challenge() {
  return JSON.parse(document.getElementById("js_data").textContent);
}

async function create(form) {
  const { publicKey } = challenge().creation_options;
  const alone = form.elements.passwordless?.checked ?? false;
  const selection = { ...publicKey.authenticatorSelection, residentKey: alone ? "required" : "discouraged", requireResidentKey: alone };
  if (alone) selection.userVerification = "required";
  const made = await navigator.credentials.create({
    publicKey: {
      ...publicKey,
      challenge: bytes(publicKey.challenge),
      user: { ...publicKey.user, id: bytes(publicKey.user.id) },
      excludeCredentials: described(publicKey.excludeCredentials),
      authenticatorSelection: selection,
    },
  });
  return answer(made, {
    attestationObject: text(made.response.attestationObject),
    transports: made.response.getTransports?.() ?? [],
  });
}

async function use({ publicKey }) {
  const found = await navigator.credentials.get({
    publicKey: { ...publicKey, challenge: bytes(publicKey.challenge), allowCredentials: described(publicKey.allowCredentials) },
  });
  const { authenticatorData, signature, userHandle } = found.response;
  return answer(found, {
    authenticatorData: text(authenticatorData),
    signature: text(signature),
    userHandle: userHandle ? text(userHandle) : null,
  });
}

function answer(credential, response) {
  return {
    type: credential.type,
    id: credential.id,
    rawId: text(credential.rawId),
    authenticatorAttachment: credential.authenticatorAttachment ?? null,
    response: { clientDataJSON: text(credential.response.clientDataJSON), ...response },
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

async function fetchChallenge(form) {
  const reply = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!reply.ok) throw new Error(reply.status === 429 ? "Too many attempts. Wait a few minutes." : "The server did not answer.");
  return (await reply.json()).request_options;
}

const WAYS = {
  add: create,
  use: () => use(challenge().request_options),
  fetch: async (form) => use(await fetchChallenge(form)),
};

async function run(form, button) {
  const shown = form.querySelector("[data-passkey-error]");
  shown.hidden = true;
  button.disabled = true;
  try {
    const made = await WAYS[form.dataset.passkey](form);
    form.elements.credential.value = JSON.stringify(made);
    // A choice made beside another way in counts for this way, too.
    const choice = document.querySelector("input[type=checkbox][name=remember]");
    if (choice?.checked && form.elements.remember) form.elements.remember.value = "on";
    form.submit();
  } catch (error) {
    shown.textContent = REASONS[error.name] ?? error.message;
    shown.hidden = false;
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) {
    for (const node of form.querySelectorAll("[data-passkey-missing]")) node.hidden = false;
    continue;
  }
  const button = form.querySelector("[data-passkey-go]");
  form.hidden = false;
  button.disabled = false;
  form.addEventListener("submit", (event) => { event.preventDefault(); run(form, button); });
}
