// What the portal's pages do in the browser: theme, menu, local times, copying, tabs. No framework, nothing to build.
"use strict";

(function () {
  const root = document.documentElement;
  const kept = localStorage.getItem("theme");
  if (kept) root.dataset.theme = kept;

  // Days that are asked for are the reader's own: the server learns the zone.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;

  function dark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }

  // Times are sent in UTC and shown in the reader's own zone; the title keeps what was sent.
  function localTimes(within) {
    const shown = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
    const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
    for (const time of within.querySelectorAll("time[datetime]:not([title])")) {
      const said = time.getAttribute("datetime");
      time.title = said.length > 10 ? said.replace("T", " ").replace(/(\+00:00|Z)$/, " UTC") : said;
      time.textContent = said.length > 10 ? shown.format(new Date(said)) : day.format(new Date(said + "T00:00:00Z"));
    }
  }

  async function copy(button) {
    const source = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(source.value || source.textContent);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  }

  function showTab(button) {
    const tabs = button.closest("[data-tabs]");
    for (const other of tabs.querySelectorAll("[role=tab]")) {
      const chosen = other === button;
      other.setAttribute("aria-selected", chosen);
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
    }
  }

  // A form that was kept while its sender said who they are.
  document.addEventListener("DOMContentLoaded", () => document.querySelector("form[data-send]")?.requestSubmit());

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    for (const open of document.querySelectorAll("details.dropdown[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
    if (!button) return;
    if (button.dataset.copy) copy(button);
    if (button.getAttribute("role") === "tab") showTab(button);
    if ("menu" in button.dataset) {
      const open = document.getElementById("menu").classList.toggle("open");
      button.setAttribute("aria-expanded", open);
    }
    if ("themeButton" in button.dataset) {
      root.dataset.theme = dark() ? "light" : "dark";
      localStorage.setItem("theme", root.dataset.theme);
      document.dispatchEvent(new Event("themechange"));
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const tab = event.target.closest("[role=tab]");
    const next = tab && (event.key === "ArrowRight" ? tab.nextElementSibling : tab.previousElementSibling);
    if (next) { showTab(next); next.focus(); }
  });
  // A slider and the number beside it say the same.
  document.addEventListener("input", (event) => {
    const slider = event.target;
    if (slider.dataset.mirrors) document.getElementById(slider.dataset.mirrors).value = Math.round(slider.value * 100) / 100;
    const mirror = slider.id && document.querySelector(`[data-mirrors="${slider.id}"]`);
    if (mirror) mirror.value = slider.value;
  });
  // A form that can't be undone asks first.
  document.addEventListener("submit", (event) => {
    const question = (event.submitter && event.submitter.dataset.confirm) || event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });
  // A file may be dropped anywhere on the form that takes one.
  document.addEventListener("dragover", (event) => {
    if (event.target.closest("[data-drop]")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    const area = event.target.closest("[data-drop]");
    if (!area || !event.dataTransfer.files.length) return;
    event.preventDefault();
    area.querySelector("input[type=file]").files = event.dataTransfer.files;
  });
  // What can be pushed sideways can be so by keyboard, too.
  function reachable() {
    for (const area of document.querySelectorAll(".scroll")) {
      if (area.scrollWidth > area.clientWidth) area.tabIndex = 0;
      else area.removeAttribute("tabindex");
    }
  }

  document.addEventListener("DOMContentLoaded", () => { localTimes(document); reachable(); });
  document.addEventListener("htmx:afterSwap", (event) => { localTimes(event.target); reachable(); });
  addEventListener("resize", reachable);
})();
