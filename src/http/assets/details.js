// Why calls fail, what runs, what has crashed, and what workers write.

import { $, clean, element, items, row, set } from "./dom.js";
import { count, duration } from "./numbers.js";

const LINES = 200;
const time = (unixMs) => new Date(unixMs).toLocaleTimeString();
const milliseconds = (ms) => duration(1000 * ms);
const words = (kind) => kind.replaceAll("_", " ");
const times = (n) => (n === 1 ? "once" : `${count(n)} times`);

/// An item that opens. Its parts are found by their class.
function opens(...parts) {
  return element("li", {}, element("details", {}, element("summary", {}, ...parts), element("div", { class: "body" })));
}

const part = (kind, tag = "span") => element(tag, { class: kind });
const find = (item, kind) => item.querySelector(`.${kind}`);

function setTime(node, unixMs) {
  set(node, time(unixMs));
  node.dateTime = new Date(unixMs).toISOString();
}

/// Fills the body of an item; it changes only if its text does, so that a selection stays.
function fill(item, blocks) {
  const body = find(item, "body");
  const text = JSON.stringify(blocks);
  if (body.dataset.text === text) return;
  body.dataset.text = text;
  body.replaceChildren(...blocks.flatMap(([title, content]) => (title
    ? [element("h3", {}, title), element("pre", { tabindex: "0", "aria-label": title }, clean(content))]
    : [element("p", { class: "soft" }, content)])));
}

/// The errors of calls, by function and type.
export function showFailures(failures, tracebacks) {
  $("no-failures").hidden = failures.length > 0;
  items($("failures"), failures, (row) => JSON.stringify([row.function, row.kind, row.type_name]),
    () => opens(part("pill bad"), part("function"), part("count"), part("message"), part("", "time")),
    (item, failure) => {
      const other = failure.kind === "exception" ? "other exceptions" : words(failure.kind);
      set(find(item, "pill"), clean(failure.type_name ?? other).replace(/^__main__\./, ""));
      set(find(item, "function"), clean(failure.function));
      find(item, "function").hidden = failure.function === "";
      set(find(item, "count"), times(failure.count));
      set(find(item, "message"), clean(failure.message).replaceAll("\n", " "));
      setTime(item.querySelector("time"), failure.at_unix_ms);
      const blocks = [["Last message", failure.message]];
      if (failure.traceback) blocks.push(["Last traceback", failure.traceback.trimEnd()]);
      else if (failure.kind === "exception" && !tracebacks) blocks.push([null, "Its traceback is not shown without --tracebacks."]);
      fill(item, blocks);
    });
}

const COLUMNS = [["Function"], ["State"], ["Slot", "n"], ["Age", "n"], ["Runs for", "n"], ["Deadline in", "n"]];
const STAGES = { queued: "warn", sent: "unknown", running: "good", cancelled: "bad", finished: "unknown" };

/// The oldest calls that wait or run.
export function showCalls(calls, all) {
  $("calls").hidden = calls.length === 0;
  $("no-calls").hidden = calls.length > 0;
  set($("more-calls"), all > calls.length ? `the oldest ${calls.length} of ${count(all)}` : "");
  const body = $("calls").tBodies[0];
  while (body.rows.length > calls.length) body.rows[body.rows.length - 1].remove();
  calls.forEach((call, index) => {
    const shown = row(body, String(index), COLUMNS);
    const cells = shown.cells;
    if (shown.dataset.stage !== call.stage) {
      shown.dataset.stage = call.stage;
      cells[1].replaceChildren(element("span", { class: `pill ${STAGES[call.stage] ?? "unknown"}` }, call.stage));
    }
    const optional = (ms) => (ms == null ? "–" : milliseconds(ms));
    set(cells[0], clean(call.function));
    [call.slot == null ? "–" : String(call.slot), milliseconds(call.age_ms), optional(call.running_ms), optional(call.left_ms)]
      .forEach((value, at) => set(cells[at + 2], value));
  });
}

/// Workers that crashed, were killed or failed to start; equal ones are one item.
export function showCrashes(crashes, tracebacks) {
  $("no-incidents").hidden = crashes.length > 0;
  items($("incidents"), crashes, ({ first_unix_ms: first, last }) => JSON.stringify([first, last.cause, last.what]),
    () => opens(part("", "time"), part("pill bad"), part("what"), part("count"), part("soft")),
    (item, crash) => {
      const { last } = crash;
      setTime(item.querySelector("time"), last.at_unix_ms);
      set(find(item, "pill"), words(last.cause));
      set(find(item, "what"), clean(last.what));
      find(item, "count").hidden = crash.count === 1;
      set(find(item, "count"), `${count(crash.count)} times since ${time(crash.first_unix_ms)}`);
      const functions = Object.entries(crash.functions).sort(([, a], [, b]) => b - a);
      const names = functions.map(([name, n]) => clean(name) + (crash.count > 1 ? ` (${count(n)})` : ""));
      const facts = [`${crash.slots.length === 1 ? "slot" : "slots"} ${crash.slots.join(", ")}`];
      if (names.length) facts.push(`ran ${names.slice(0, 5).join(", ")}${names.length > 5 ? " …" : ""}`);
      set(find(item, "soft"), facts.join(" · "));
      fill(item, blocksOf(crash, tracebacks));
    });
}

function blocksOf({ count: all, last }, tracebacks) {
  const calls = (n, kind, end) => `${n} ${kind} ${n === 1 ? "call" : "calls"} ${end}`;
  const facts = [last.pid == null ? `slot ${last.slot}` : `slot ${last.slot}, process ${last.pid}`];
  if (last.lost_calls) facts.push(calls(last.lost_calls, "running", "lost"));
  if (last.requeued) facts.push(calls(last.requeued, "waiting", "requeued"));
  const blocks = [[null, (all > 1 ? "The last one: " : "") + facts.join(" · ")]];
  if (last.calls.length) blocks.push(["Calls that had started", last.calls.map(started).join("\n")]);
  if (last.stacks) blocks.push(["Where it was", last.stacks.trimEnd()]);
  if (last.stderr.length) blocks.push(["Last lines of standard error", last.stderr.join("\n")]);
  else blocks.push([null, tracebacks ? "It wrote nothing to standard error." : "Its standard error is not shown without --tracebacks."]);
  return blocks;
}

function started(call) {
  const ran = call.running_ms == null ? "had ended, its reply was not sent" : `had run for ${milliseconds(call.running_ms)}`;
  return `${call.function}  ${ran}${call.stage === "cancelled" ? ", cancelled" : ""}`;
}

/// Adds lines of the workers, and follows them unless the user has scrolled up.
export function addLines(lines) {
  const list = $("log");
  const follows = list.scrollTop + list.clientHeight >= list.scrollHeight - 8;
  list.append(...lines.map((line) => element("li", { class: line.level },
    element("time", { datetime: new Date(line.at_unix_ms).toISOString() }, time(line.at_unix_ms)),
    element("span", { class: "slot" }, `slot ${line.slot}`),
    element("span", { class: "level" }, line.source === "log" ? line.level : line.source),
    element("span", { class: "text" }, ...(line.logger ? [element("b", {}, clean(line.logger)), " "] : []), clean(line.text)))));
  while (list.children.length > LINES) list.firstChild.remove();
  showLog(true);
  if (follows) list.scrollTop = list.scrollHeight;
}

/// Shows the lines, or why there are none.
export function showLog(tracebacks) {
  const list = $("log");
  list.hidden = list.children.length === 0;
  $("no-log").hidden = !list.hidden;
  set($("no-log"), tracebacks
    ? "No worker has written anything."
    : "What workers write is not shown without --tracebacks, because it can contain secrets.");
}

export function clearLog() {
  $("log").replaceChildren();
}
