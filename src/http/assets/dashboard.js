// The live page. It shows the events of the gateway, and keeps only the last five minutes and the token.

import { drawAll } from "./charts.js";
import { addLines, clearLog, showCalls, showCrashes, showFailures, showLog } from "./details.js";
import { $, clean, element, row, set } from "./dom.js";
import { bytes, count, duration, micros, uptime } from "./numbers.js";

const state = { about: {}, status: null, points: [], cpu: new Map(), token: sessionStorage.getItem("token"), mayControl: true };

// ---- Numbers and tables.

function tile(id, value, unit, alarm) {
  const node = $(id);
  const text = unit ? `${value} ${unit}` : value;
  if (node.dataset.text !== text) {
    node.dataset.text = text;
    node.replaceChildren(value, ...(unit ? [element("small", {}, unit)] : []));
  }
  node.classList.toggle("alarm", Boolean(alarm));
}

const STATES = { serving: "good", starting: "warn", replacing: "good", backoff: "warn", resting: "bad", draining: "warn", stopped: "bad" };
const WORKER_COLUMNS = [["Slot"], ["State"], ["Process", "n"], ["Generation", "n"], ["Up", "n"], ["Memory", "n"], ["CPU", "n"],
  ["In flight", "n"], ["Calls", "n"], ["Restarts", "n"], ["Last exit", "exit"], ["", "order"]];

function showWorkers(status) {
  const body = $("workers").tBodies[0];
  const keys = new Set(status.slots.map((slot) => String(slot.slot)));
  for (const old of [...body.rows]) if (!keys.has(old.dataset.key)) old.remove();
  for (const slot of status.slots) {
    const shown = row(body, String(slot.slot), WORKER_COLUMNS);
    const cells = shown.cells;
    set(cells[0], String(slot.slot));
    const kind = STATES[slot.state] ?? "unknown";
    if (shown.dataset.state !== slot.state) {
      shown.dataset.state = slot.state;
      cells[1].replaceChildren(element("span", { class: `pill ${kind}` },
        element("span", { class: "dot", "aria-hidden": "true" }), slot.state));
    }
    const values = [slot.pid ?? "–", slot.generation ?? "–", uptime(slot.uptime_ms), bytes(slot.rss_bytes), load(slot, status.at),
      count(slot.in_flight), count(slot.calls), count(slot.restarts), clean(slot.last_exit ?? "–")];
    values.forEach((value, index) => set(cells[index + 2], String(value)));
    cells[10].classList.toggle("none", !slot.last_exit);
    restartButton(cells[11], slot);
  }
  const generation = status.slots.map((slot) => slot.pid).join();
  if (showWorkers.seen !== undefined && showWorkers.seen !== generation) {
    status.slots.forEach((slot, index) => {
      if (showWorkers.seen.split(",")[index] !== String(slot.pid ?? "")) flash(row(body, String(slot.slot), []));
    });
  }
  showWorkers.seen = generation;
}

function flash(node) {
  node.classList.remove("fresh");
  // Reading it restarts the animation.
  void node.offsetWidth;
  node.classList.add("fresh");
}

/// The share of a core that a worker has used since a status at least half a second ago.
function load(slot, at) {
  if (slot.pid == null || slot.cpu_ms == null) { state.cpu.delete(slot.slot); return "–"; }
  const last = state.cpu.get(slot.slot);
  if (!last || last.pid !== slot.pid) {
    state.cpu.set(slot.slot, { pid: slot.pid, at, cpu: slot.cpu_ms, text: "–" });
    return "–";
  }
  if (at - last.at >= 500) {
    const share = (100 * (slot.cpu_ms - last.cpu)) / (at - last.at);
    state.cpu.set(slot.slot, { pid: slot.pid, at, cpu: slot.cpu_ms, text: `${Math.round(share)} %` });
  }
  return state.cpu.get(slot.slot).text;
}

const FUNCTION_COLUMNS = [["Function"], ["Returned", "n"], ["Failed", "n"], ["Abandoned", "n"], ["Median", "n"], ["95 %", "n"], ["99 %", "n"], ["Longest", "n"], ["Wait 50 %", "n"], ["Wait 99 %", "n"]];

function showFunctions(functions) {
  $("functions").hidden = functions.length === 0;
  $("no-functions").hidden = functions.length > 0;
  const body = $("functions").tBodies[0];
  for (const each of functions) {
    const cells = row(body, each.function, FUNCTION_COLUMNS).cells;
    const kinds = Object.entries(each.errors);
    const failed = kinds.reduce((sum, [, n]) => sum + n, 0);
    const quantiles = (of, ...us) => us.map((us) => (of.count ? duration(us) : "–"));
    const { latency: l, queue_wait: w } = each;
    const values = [clean(each.function), count(each.ok), count(failed), count(each.abandoned),
      ...quantiles(l, l.p50_us, l.p95_us, l.p99_us, l.max_us), ...quantiles(w, w.p50_us, w.p99_us)];
    values.forEach((value, index) => set(cells[index], value));
    cells[2].classList.toggle("failed", failed > 0);
    cells[2].title = kinds.map(([kind, n]) => `${kind}: ${n}`).join(", ");
  }
}

// ---- The page as a whole.

function showStatus(status) {
  const before = state.status;
  state.status = status;
  const ready = $("ready");
  ready.className = `pill ${status.ready ? "good" : status.reason === "draining" ? "warn" : "bad"}`;
  set($("ready-text"), status.ready ? "Ready" : `Not ready: ${status.reason}`);
  tile("t-flight", count(status.in_flight));
  tile("t-queued", count(status.queued), "", status.queued >= state.about.max_queue);
  tile("t-serving", String(status.serving), `of ${status.slots.length}`, status.serving < status.slots.length);
  tile("t-restarts", count(status.restarts));
  showWorkers(status);
  showFunctions(status.functions);
  showCalls(status.oldest_calls ?? [], status.queued + status.in_flight);
  if (before) announce(before, status);
}

/// Announces changes, but not every number, to screen readers.
function announce(before, now) {
  const news = [];
  for (const slot of now.slots) {
    const old = before.slots.find((other) => other.slot === slot.slot);
    if (!old || (old.state === slot.state && old.pid === slot.pid)) continue;
    if (slot.pid == null && old.pid != null) news.push(`Slot ${slot.slot} is down: ${slot.last_exit ?? slot.state}`);
    else if (slot.pid != null && slot.pid !== old.pid) news.push(`Slot ${slot.slot} serves with process ${slot.pid}`);
  }
  if (before.ready !== now.ready) news.push(now.ready ? "The pool is ready" : `The pool is not ready: ${now.reason}`);
  if (news.length) set($("news"), news.join(". "));
}

function showPoint() {
  const last = state.points.at(-1);
  if (!last) return;
  tile("t-calls", count(last.calls));
  tile("t-errors", count(last.errors), "", last.errors > 0);
  tile("t-p50", ...micros(last.p50));
  tile("t-p99", ...micros(last.p99));
  drawAll(state.points);
}

// ---- The token comes from the fragment of the address, which is never sent, or from the form. Some gateways require it to show
// anything, others only for control; a token can be valid for one and not for the other.

const fromAddress = new URLSearchParams(location.hash.slice(1)).get("token");
if (fromAddress) {
  keepToken(fromAddress);
  history.replaceState(null, "", location.pathname + location.search);
}

function keepToken(token) {
  state.token = token;
  state.mayControl = true;
  if (token) sessionStorage.setItem("token", token);
  else sessionStorage.removeItem("token");
}

function controlWorks() {
  return Boolean(state.about.control && state.token && state.mayControl);
}

function showControl() {
  $("orders").hidden = !controlWorks();
  $("unlock").hidden = !(state.about.control && !controlWorks());
  set($("token-label"), "Control token");
  if (state.status) showWorkers(state.status);
}

/// The gateway shows nothing without its token.
function askForToken() {
  keepToken(null);
  $("orders").hidden = true;
  $("unlock").hidden = false;
  set($("token-label"), "Token");
  $("ready").className = "pill bad";
  set($("ready-text"), "Token needed");
}

function restartButton(cell, slot) {
  const wanted = controlWorks();
  if (wanted && !cell.firstChild) {
    const button = element("button", { type: "button", "aria-label": `Restart slot ${slot.slot}` }, "Restart");
    button.addEventListener("click", () => control(button, { action: "replace", slot: slot.slot }, `Slot ${slot.slot} is being replaced`));
    cell.append(button);
  } else if (!wanted) cell.replaceChildren();
}

async function control(button, action, done) {
  button.disabled = true;
  try {
    const response = await fetch("dashboard/control", {
      method: "POST",
      headers: { "Content-Type": "application/json", ...authorization() },
      body: JSON.stringify(action),
    });
    if (response.ok) return toast(done);
    const problem = await response.json();
    if (response.status === 401) {
      if (state.about.token) state.mayControl = false;
      else keepToken(null);
      showControl();
    }
    toast(`${problem.title}: ${problem.detail}`, true);
  } catch (error) {
    toast(`The gateway did not answer: ${error.message}`, true);
  } finally {
    button.disabled = false;
  }
}

function toast(text, bad = false) {
  const node = $("toast");
  node.hidden = false;
  node.classList.toggle("bad", bad);
  node.textContent = text;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { node.hidden = true; }, bad ? 20000 : 6000);
}

$("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken($("token").value.trim());
  $("token").value = "";
  showControl();
  listen();
});
$("reload").addEventListener("click", (event) => control(event.currentTarget, { action: "reload" }, "All workers run the new code"));
$("drain").addEventListener("click", () => $("confirm").showModal());
$("confirm").addEventListener("close", () => {
  if ($("confirm").returnValue === "drain") control($("drain"), { action: "drain" }, "Draining");
});

// ---- Events. EventSource cannot send a token, so they are read with fetch.

const HANDLERS = {
  about(about) {
    state.about = about;
    set($("worker"), about.worker);
    set($("about"), `Python ${about.python}`);
    set($("version"), `pyproc ${about.version}`);
    document.title = `${about.worker} · pyproc`;
    showControl();
    showLog(about.tracebacks);
  },
  hello({ points, status, crashes, failures, log }) {
    state.points = points;
    if (status) showStatus(status);
    showCrashes(crashes, state.about.tracebacks);
    showFailures(failures, state.about.tracebacks);
    clearLog();
    if (log.length) addLines(log);
    showPoint();
    drawAll(state.points);
  },
  status: showStatus,
  crashes: (crashes) => showCrashes(crashes, state.about.tracebacks),
  failures: (failures) => showFailures(failures, state.about.tracebacks),
  log: addLines,
  point(point) {
    state.points.push(point);
    if (state.points.length > 300) state.points.shift();
    showPoint();
  },
};

function authorization() {
  return state.token ? { Authorization: `Bearer ${state.token}` } : {};
}

function dispatch(block) {
  const fields = Object.fromEntries(block.split("\n").map((line) => {
    const colon = line.indexOf(": ");
    return [line.slice(0, colon), line.slice(colon + 2)];
  }));
  HANDLERS[fields.event]?.(JSON.parse(fields.data));
}

/// Reads events until they end. Throws if the gateway sends none.
async function follow(signal) {
  const response = await fetch("dashboard/events", { headers: { Accept: "text/event-stream", ...authorization() }, cache: "no-store", signal });
  if (response.status === 401) return "unauthorized";
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return "ended";
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    blocks.forEach(dispatch);
  }
}

async function listen() {
  listen.current?.abort();
  const current = listen.current = new AbortController();
  while (!current.signal.aborted) {
    try {
      if (await follow(current.signal) === "unauthorized") return askForToken();
    } catch (error) {
      if (current.signal.aborted) return;
      console.info(`The events ended: ${error.message}`);
    }
    $("ready").className = "pill bad";
    set($("ready-text"), "Connection lost");
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
  }
}
listen();
