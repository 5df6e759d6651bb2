// The thresholds of the policy's form move over the histogram, and what they would have done with it is said.
"use strict";

(function () {
  function shares(counts, form) {
    const total = counts.reduce((sum, count) => sum + count, 0);
    const from = (at) => counts.slice(Math.min(99, Math.max(0, Math.floor(at * 100 + 1e-9)))).reduce((sum, count) => sum + count, 0);
    const part = (count) => (total ? ((100 * count) / total).toFixed(2) + " %" : "–");
    const review = Number(form.review_at.value), block = Number(form.block_at.value);
    const blocked = from(block), reviewed = Math.max(0, from(review) - blocked);
    return `Of ${total.toLocaleString()} scores of the last 30 days the model alone would block ${part(blocked)} and have ${part(reviewed)} reviewed. The height is logarithmic.`;
  }

  document.addEventListener("DOMContentLoaded", () => {
    const drawing = document.getElementById("histogram"), form = document.getElementById("policy");
    if (!drawing || !form) return;
    const counts = JSON.parse(document.getElementById(drawing.dataset.counts).textContent);
    const width = drawing.viewBox.baseVal.width;
    function move() {
      for (const line of drawing.querySelectorAll("[data-threshold]")) {
        const at = Math.min(1, Math.max(0, Number(form[line.dataset.threshold].value) || 0));
        line.setAttribute("x1", at * width);
        line.setAttribute("x2", at * width);
      }
      document.getElementById("shares").textContent = shares(counts, form);
    }
    form.addEventListener("input", move);
    move();
  });
})();
