// Passkeys (WebAuthn): offered where the browser can; without it or a script, codes and passphrases do.

const bytes = (text) => Uint8Array.from(
  atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

async function challenge(form, purpose) {
  const asked = new URLSearchParams({csrf: form.elements.csrf.value, purpose});
  const answer = await fetch("/passkeys/challenge", {method: "POST", body: asked});
  if (!answer.ok) throw new Error("busy");
  return answer.json();
}

async function made(options) {
  const credential = await navigator.credentials.create({publicKey: {
    ...options,
    challenge: bytes(options.challenge),
    user: {...options.user, id: bytes(options.user.id)},
    excludeCredentials: options.excludeCredentials.map((each) => ({...each, id: bytes(each.id)})),
  }});
  return credential;
}

async function proved(options) {
  return navigator.credentials.get({publicKey: {...options, challenge: bytes(options.challenge)}});
}

// Written by hand: what extensions returned, a key among it, is no part of it.
function written(credential) {
  const given = credential.response;
  const parts = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const response = Object.fromEntries(
    parts.filter((each) => given[each]).map((each) => [each, text(given[each])]));
  return JSON.stringify({id: credential.id, rawId: credential.id, type: credential.type, response});
}

const WAYS = {
  async register(form) {
    form.elements.attestation.value = written(await made(JSON.parse(form.dataset.options)));
  },
  async confirm(form) {
    form.elements.assertion.value = written(await proved(await challenge(form, "confirm")));
  },
};

function told(form, error) {
  const note = form.querySelector("[data-passkey-problem]");
  const why = {NotAllowedError: "cancelled", InvalidStateError: "known"}[error.name] ?? "failed";
  note.lastElementChild.textContent = note.dataset[why];
  note.hidden = false;
}

if (window.PublicKeyCredential) {
  for (const button of document.querySelectorAll("[data-passkey]")) {
    const form = button.form;
    for (const each of [button, ...form.querySelectorAll("[data-with-passkeys]")]) each.hidden = false;
    button.addEventListener("click", async () => {
      if (!form.reportValidity()) return;
      button.disabled = true;
      try {
        await WAYS[button.dataset.passkey](form);
        form.submit();
      } catch (error) {
        told(form, error);
      }
      button.disabled = false;
    });
  }
  for (const each of document.querySelectorAll("[data-without-passkeys]")) each.hidden = true;
}
