// A rule's editor: names are completed while they are typed, and what is wrong is said where it stands.
"use strict";

(function () {
  const MOST = 8, PAUSE_MS = 400;

  function completing(area, list, namesOf) {
    let found = [], chosen = 0;

    function word() {
      const before = area.value.slice(0, area.selectionStart);
      return before.match(/[A-Za-z_][\w.]*$/)?.[0] ?? "";
    }

    function close() {
      list.hidden = true;
      area.removeAttribute("aria-activedescendant");
    }

    function mark() {
      [...list.children].forEach((one, number) => one.setAttribute("aria-selected", number === chosen));
      area.setAttribute("aria-activedescendant", list.children[chosen].id);
    }

    function take(name) {
      const from = area.selectionStart - word().length;
      area.setRangeText(name, from, area.selectionStart, "end");
      close();
      area.focus();
      area.dispatchEvent(new Event("input"));
      close();
    }

    function show() {
      const asTyped = word(), typed = asTyped.toLowerCase();
      const near = (name) => name.startsWith(asTyped) + name.toLowerCase().startsWith(typed);
      const names = typed ? namesOf().filter((name) => name.toLowerCase().includes(typed) && name.toLowerCase() !== typed) : [];
      found = names.sort((a, b) => near(b) - near(a) || a.length - b.length).slice(0, MOST);
      chosen = 0;
      if (!found.length) return close();
      list.replaceChildren(...found.map((name, number) => {
        const one = document.createElement("li");
        one.id = `completion-${number}`;
        one.setAttribute("role", "option");
        one.textContent = name;
        one.addEventListener("pointerdown", (event) => { event.preventDefault(); take(name); });
        return one;
      }));
      list.hidden = false;
      mark();
    }

    area.addEventListener("input", show);
    area.addEventListener("blur", close);
    area.addEventListener("keydown", (event) => {
      if (list.hidden) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        chosen = (chosen + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length;
        mark();
      } else if (event.key === "Tab" || event.key === "Enter") take(found[chosen]);
      else if (event.key === "Escape") close();
      else return;
      event.preventDefault();
    });
  }

  function checking(form, area, said) {
    let waiting = 0, asked = 0;

    async function check() {
      const mine = ++asked;
      const body = new URLSearchParams({ when: area.value, schema: form.elements.schema.value });
      const headers = { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value };
      const answer = await fetch(form.dataset.rule, { method: "POST", body, headers, credentials: "same-origin" });
      if (!answer.ok || mine !== asked) return;
      const { wrong } = await answer.json();
      const told = document.createElement("small");
      told.className = wrong ? "error" : "good";
      told.textContent = wrong || (area.value.trim() ? "It can be saved." : "");
      said.replaceChildren(told);
      document.querySelector(".wrong-place")?.remove();
    }

    function soon() {
      clearTimeout(waiting);
      waiting = setTimeout(check, PAUSE_MS);
    }
    area.addEventListener("input", soon);
    form.elements.schema.addEventListener("change", soon);
  }

  document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("form[data-rule]");
    if (!form) return;
    const area = form.elements.when, names = JSON.parse(document.getElementById("names").textContent);
    completing(area, document.getElementById("completions"), () => names[form.elements.schema.value] ?? names[""]);
    checking(form, area, document.getElementById("said"));
  });
})();
