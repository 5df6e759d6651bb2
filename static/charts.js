// Draws each element with data-chart from the JSON it names:
// {start: seconds since 1970, step: seconds, lines: [{label, values, look}]}. `look`: before, or a tone of portal.css.
// With `across`, the name of what is drawn along, start and step are plain numbers of it.
"use strict";

(function () {
  const TONES = { challenge: "--warn", review: "--second", block: "--bad" };

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // A line through one point is none: a value without a neighbour is drawn as a dot.
  function alone(values) {
    return values.flatMap((value, at) => (value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null ? [at] : []));
  }

  function line(one) {
    const points = { show: true, size: 6, filter: () => alone(one.values) };
    if (one.look === "before") return { label: one.label, stroke: colour("--pico-muted-color"), width: 1, dash: [4, 4], points };
    return { label: one.label, stroke: colour(TONES[one.look] || "--pico-primary"), width: 2, points };
  }

  function draw(element) {
    const said = JSON.parse(document.getElementById(element.dataset.chart).textContent);
    const times = said.lines[0].values.map((_, number) => said.start + number * said.step);
    const font = "12px system-ui, sans-serif";
    const axis = { stroke: colour("--pico-muted-color"), font, grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const utc = said.step >= 86400; // days are ours, hours the reader's
    const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: utc ? "UTC" : undefined });
    const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
    const span = said.step * times.length;
    const across = said.across ? { ...axis, space: 50, values: (_, marks) => marks.map((at) => at.toLocaleString()) } : { ...axis, space: 70, values: (_, marks) => marks.map((at) => (span > 2 * 86400 ? day : hour).format(new Date(at * 1000))) };
    const whole = said.lines.every((one) => one.values.every(Number.isInteger));
    const up = { ...axis, size: 55, ...(whole ? { incrs: [1, 2, 5].flatMap((n) => [0, 1, 2, 3, 4, 5, 6, 7].map((zeros) => n * 10 ** zeros)).sort((a, b) => a - b) } : {}), values: (_, marks) => marks.map((value) => value.toLocaleString()) };
    const time = said.across ? { label: said.across, value: (_, at) => (at === null ? "" : at.toFixed(2)) } : { label: "", value: (_, at) => (at === null ? "" : day.format(new Date(at * 1000)) + (utc ? "" : " " + hour.format(new Date(at * 1000)))) };
    const series = [time, ...said.lines.map(line)];
    const y = { range: (_, least, most) => [0, most > 0 ? most * 1.08 : 1] };
    element.replaceChildren();
    const options = { width: element.clientWidth, height: 200, series, axes: [across, up], scales: { x: { time: !said.across }, y } };
    if (utc && !said.across) options.tzDate = (second) => uPlot.tzDate(new Date(second * 1000), "UTC");
    return new uPlot(options, [times, ...said.lines.map((one) => one.values)], element);
  }

  function drawAll() {
    for (const element of document.querySelectorAll("[data-chart]")) draw(element);
  }

  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("themechange", drawAll);
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawAll, 150); });
})();
