// Small comforts; every page works without them.
"use strict";

// Printing needs a script, so its buttons are hidden where there is none.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// After an error, the reader begins at the summary (UI-19).
document.getElementById("error-summary")?.focus();

// The vault locks itself when idle: say so two minutes before (UI-21, WCAG 2.2.1).
const warning = document.getElementById("idle-warning");
if (warning) {
  const left = Date.parse(warning.dataset.ends) - Date.now() - 120_000;
  setTimeout(() => { warning.hidden = false; }, Math.max(left, 0));
}
