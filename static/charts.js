// Draws each element with data-chart from the JSON it names: {first: day, values: [...], before: [...]}.
"use strict";

(function () {
  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function draw(element) {
    const said = JSON.parse(document.getElementById(element.dataset.chart).textContent);
    const first = Date.parse(said.first + "T00:00:00Z") / 1000;
    const days = said.values.map((_, number) => first + number * 86400);
    const axis = { stroke: colour("--pico-muted-color"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const series = [{}, { label: "this time", stroke: colour("--pico-primary"), width: 2, points: { show: false } }];
    const data = [days, said.values];
    if (said.before) {
      series.push({ label: "the time before", stroke: colour("--pico-muted-color"), width: 1, dash: [4, 4], points: { show: false } });
      data.push(said.before);
    }
    element.replaceChildren();
    return new uPlot({ width: element.clientWidth, height: 220, series, axes: [axis, axis], tzDate: (second) => uPlot.tzDate(new Date(second * 1000), "UTC") }, data, element);
  }

  function drawAll() {
    for (const element of document.querySelectorAll("[data-chart]")) draw(element);
  }

  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("themechange", drawAll);
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawAll, 150); });
})();
