// Passkeys (WebAuthn): offered where the browser has them; without, passphrases and codes do.

const SECRETS = ["attestation", "assertion", "prf"];

const bytes = (text) => Uint8Array.from(
  atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const known = (each) => ({...each, id: bytes(each.id)});

async function challenge(form, purpose) {
  const asked = new URLSearchParams({csrf: form.elements.csrf.value, purpose});
  const answer = await fetch("/passkeys/challenge", {method: "POST", body: asked});
  if (!answer.ok) throw new Error("no challenge");
  return answer.json();
}

// What comes as JSON has its bytes as text.
function read(options) {
  const found = {...options, challenge: bytes(options.challenge)};
  if (options.user) found.user = known(options.user);
  if (options.excludeCredentials) found.excludeCredentials = options.excludeCredentials.map(known);
  const input = options.extensions?.prf.eval.first;
  if (input) found.extensions = {prf: {eval: {first: bytes(input)}}};
  return found;
}

const make = (options) => navigator.credentials.create({publicKey: read(options)});
const prove = (options, more) => navigator.credentials.get({publicKey: {...read(options), ...more}});

// Written by hand: what extensions returned, a key among it, is no part of it.
function written(credential) {
  const parts = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const response = Object.fromEntries(parts
    .filter((each) => credential.response[each])
    .map((each) => [each, text(credential.response[each])]));
  return JSON.stringify({id: credential.id, rawId: credential.id, type: credential.type, response});
}

function calculated(credential) {
  const output = credential.getClientExtensionResults().prf?.results?.first;
  return output ? text(output) : "";
}

const WAYS = {
  async register(form) {
    const made = await make(JSON.parse(form.dataset.options));
    form.elements.attestation.value = written(made);
    form.elements.prf.value = calculated(made);
    if (form.elements.prf.value || !made.getClientExtensionResults().prf?.enabled) return;
    // The device can, but not while it makes one: asked for once more. Who declines has a passkey
    // that confirms only.
    try {
      const alone = {allowCredentials: [{type: "public-key", id: made.rawId}]};
      const proved = await prove(await challenge(form, "open"), alone);
      form.elements.prf.value = calculated(proved);
      if (form.elements.prf.value) form.elements.assertion.value = written(proved);
    } catch (error) {
      if (error.name !== "NotAllowedError") throw error;
    }
  },
  async confirm(form) {
    form.elements.assertion.value = written(await prove(await challenge(form, "confirm")));
  },
  async open(form) {
    const proved = await prove(await challenge(form, "open"));
    form.elements.assertion.value = written(proved);
    form.elements.prf.value = calculated(proved);
  },
};

function tell(form, error) {
  const note = form.querySelector("[data-passkey-problem]");
  const why = {NotAllowedError: "cancelled", InvalidStateError: "known"}[error.name] ?? "failed";
  note.lastElementChild.textContent = note.dataset[why];
  note.hidden = false;
}

async function answer(button) {
  const form = button.form;
  if (!form.reportValidity()) return;
  button.disabled = true;
  try {
    await WAYS[button.dataset.passkey](form);
    form.submit();
  } catch (error) {
    tell(form, error);
  }
  // Sent, or not: a page that the browser keeps for going back holds no key.
  for (const each of SECRETS) if (form.elements[each]) form.elements[each].value = "";
  button.disabled = false;
}

if (window.PublicKeyCredential) {
  for (const each of document.querySelectorAll("[data-passkey], [data-with-passkeys]")) each.hidden = false;
  for (const each of document.querySelectorAll("[data-without-passkeys]")) each.hidden = true;
  for (const button of document.querySelectorAll("[data-passkey]")) {
    button.addEventListener("click", () => answer(button));
  }
}
