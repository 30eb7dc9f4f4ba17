// The charts of the live page: lines over the last five minutes, drawn as SVG.

import { count, duration, tick } from "./numbers.js";

const WINDOW = 5 * 60 * 1000;
let history = [];

/// Draws all charts.
export function drawAll(points) {
  history = points;
  CHARTS.forEach(draw);
}

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const CHARTS = [
  { id: "c-throughput", title: "Throughput", lines: [["calls", "s1"], ["errors", "s4"]], area: true, format: (v) => count(v) },
  { id: "c-latency", title: "Latency", lines: [["p50", "s1"], ["p95", "s2"], ["p99", "s3"]], format: duration, tick, log: true },
  { id: "c-wait", title: "Queue wait", lines: [["wait_p50", "s1"], ["wait_p99", "s3"]], format: duration, tick, log: true },
  { id: "c-load", title: "Load", lines: [["in_flight", "s1"], ["queued", "s3"]], format: (v) => count(v), least: 4 },
];
const NAMES = { calls: "calls", errors: "errors", p50: "median", p95: "95 %", p99: "99 %", wait_p50: "median", wait_p99: "99 %", in_flight: "in flight", queued: "queued" };

function shape(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text != null) made.textContent = text;
  return made;
}

/// Maps values to heights, and returns the values that get a grid line.
function scale(chart, points, box) {
  const values = points.flatMap((point) => chart.lines.map(([key]) => point[key])).filter((value) => value != null);
  const height = box.bottom - box.top;
  if (chart.log) {
    // Whole decades, at least two, so that both the median and the slowest calls can be seen.
    const low = Math.max(0, Math.floor(Math.log10(Math.max(1, Math.min(...values, 1e9)))));
    const from = values.length ? low : 2;
    const to = Math.max(from + 2, Math.ceil(Math.log10(Math.max(1, ...values))));
    const y = (value) => box.bottom - ((Math.log10(Math.max(value, 1)) - from) / (to - from)) * height;
    const step = to - from > 4 ? 2 : 1;
    const marks = [];
    for (let power = from; power <= to; power += step) marks.push(10 ** power);
    return { y, marks };
  }
  const max = roundUp(Math.max(chart.least ?? 1, ...values));
  return { y: (value) => box.bottom - (value / max) * height, marks: [0, max / 2, max] };
}

/// The smallest round number that is at least `goal`.
function roundUp(goal) {
  const power = 10 ** Math.floor(Math.log10(goal));
  return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((value) => value >= goal);
}

function draw(chart) {
  const svg = $(chart.id);
  const { width, height } = svg.getBoundingClientRect();
  if (width === 0) return;
  const box = { left: 52, right: width - 6, top: 8, bottom: height - 20 };
  const now = history.at(-1)?.t ?? Date.now();
  const points = history.filter((point) => point.t > now - WINDOW);
  const { y, marks } = scale(chart, points, box);
  const x = (t) => box.right - ((now - t) / WINDOW) * (box.right - box.left);
  const parts = [...axes(chart, box, width, height, y, marks)];
  for (const [key, kind] of [...chart.lines].reverse()) {
    const path = line(points, key, x, y);
    if (!path) continue;
    if (chart.area && kind === "s1") parts.push(shape("path", { class: "area", d: area(points, key, x, y, box.bottom) }));
    parts.push(shape("path", { class: `line ${kind}`, d: path }));
  }
  if (chart.pointer != null && points.length) parts.push(...cursor(chart, points, x, box));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...parts);
  describe(svg, chart, points);
}

function* axes(chart, box, width, height, y, marks) {
  for (const mark of marks) {
    const at = Math.round(y(mark)) + 0.5;
    yield shape("line", { class: "grid", x1: box.left, x2: box.right, y1: at, y2: at });
    yield shape("text", { x: box.left - 8, y: at + 4, "text-anchor": "end" }, (chart.tick ?? chart.format)(mark));
  }
  const minutes = width < 300 ? [5, 3, 0] : width < 480 ? [5, 3, 1, 0] : [5, 4, 3, 2, 1, 0];
  for (const minute of minutes) {
    const at = box.right - (minute / 5) * (box.right - box.left);
    const anchor = minute === 0 ? "end" : minute === 5 ? "start" : "middle";
    yield shape("text", { x: at, y: height - 4, "text-anchor": anchor }, minute === 0 ? "now" : `−${minute} min`);
  }
}

/// The path of a line; a second without a value is a gap.
function line(points, key, x, y) {
  let path = "";
  let pen = false;
  for (const point of points) {
    if (point[key] == null) { pen = false; continue; }
    path += `${pen ? "L" : "M"}${x(point.t).toFixed(1)} ${y(point[key]).toFixed(1)}`;
    // A single second would not be visible.
    if (!pen) path += "h0.01";
    pen = true;
  }
  return path;
}

function area(points, key, x, y, bottom) {
  const inner = points.map((point) => `L${x(point.t).toFixed(1)} ${y(point[key] ?? 0).toFixed(1)}`).join("");
  return `M${x(points[0].t).toFixed(1)} ${bottom}${inner}L${x(points.at(-1).t).toFixed(1)} ${bottom}Z`;
}

function cursor(chart, points, x, box) {
  const nearest = points.reduce((a, b) => (Math.abs(x(a.t) - chart.pointer) < Math.abs(x(b.t) - chart.pointer) ? a : b));
  const at = x(nearest.t);
  const label = chart.lines.map(([key]) => `${NAMES[key]} ${nearest[key] == null ? "–" : chart.format(nearest[key])}`).join("   ");
  const right = at > (box.left + box.right) / 2;
  return [
    shape("line", { class: "cursor", x1: at, x2: at, y1: box.top, y2: box.bottom }),
    shape("text", { class: "label", x: right ? at - 6 : at + 6, y: box.top + 8, "text-anchor": right ? "end" : "start" }, label),
  ];
}

function describe(svg, chart, points) {
  const last = points.at(-1);
  if (!last) return;
  const label = chart.lines.map(([key]) => `${NAMES[key]} ${last[key] == null ? "none" : chart.format(last[key])}`).join(", ");
  svg.setAttribute("aria-label", `${chart.title}, now: ${label}`);
}

for (const chart of CHARTS) {
  const svg = $(chart.id);
  svg.addEventListener("pointermove", (event) => { chart.pointer = event.clientX - svg.getBoundingClientRect().left; draw(chart); });
  svg.addEventListener("pointerleave", () => { chart.pointer = null; draw(chart); });
}
new ResizeObserver(() => drawAll(history)).observe(document.querySelector(".charts"));
