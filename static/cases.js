// Review worked by keyboard: single keys press what the page shows, and never while somebody types.
"use strict";

(function () {
  const OFF = "keys-off";
  const CHOICES = { f: "fraud", l: "legitimate", u: "unsure" };

  function typing(target) {
    if (target.closest("textarea, select, [contenteditable]")) return true;
    const input = target.closest("input");
    return Boolean(input) && !["radio", "checkbox", "button", "submit"].includes(input.type);
  }

  // The list: the case before or behind the one that has the focus.
  function move(step) {
    const rows = [...document.querySelectorAll("a[data-row]")];
    if (!rows.length) return false;
    const at = rows.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step));
    rows[next].focus();
    return true;
  }

  // A case: what it was is chosen, and Enter sends it.
  function choose(resolution) {
    const form = document.querySelector("form[data-resolve]");
    const radio = form && form.querySelector(`input[type=radio][value="${resolution}"]`);
    if (!radio) return false;
    radio.checked = true;
    form.querySelector("button[type=submit]").focus();
    return true;
  }

  function press(key) {
    const button = document.querySelector(`[data-key="${key}"]`);
    if (button) button.click();
    return Boolean(button);
  }

  function done(key) {
    if (key === "?") { document.getElementById("keys").showModal(); return true; }
    if (key in CHOICES) return choose(CHOICES[key]);
    if (key === "j" || key === "k") return move(key === "j" ? 1 : -1) || press(key);
    return key === "c" && press(key);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat && !"jk".includes(event.key)) return;
    if (localStorage.getItem(OFF) || typing(event.target) || document.querySelector("dialog[open]")) return;
    if (done(event.key)) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-help]")) document.getElementById("keys").showModal();
  });
  document.addEventListener("change", (event) => {
    if (!("keysOff" in event.target.dataset)) return;
    if (event.target.checked) localStorage.setItem(OFF, "1");
    else localStorage.removeItem(OFF);
  });
  document.addEventListener("DOMContentLoaded", () => {
    const box = document.querySelector("[data-keys-off]");
    if (box) box.checked = Boolean(localStorage.getItem(OFF));
  });
})();
