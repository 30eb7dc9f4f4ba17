// The page about the functions. It reads OpenAPI, and keeps only the token.

import { anchor, element, example, follow, properties, type } from "./schemas.js";

const $ = (id) => document.getElementById(id);
const state = { token: sessionStorage.getItem("token"), schemas: {}, secured: false };
// Our own schemas; the names of Python's classes have no hyphen.
const OURS = "pyproc-";

// ---- The token is that of the live page.

if (location.hash.startsWith("#token=")) {
  keepToken(decodeURIComponent(location.hash.slice("#token=".length)));
  history.replaceState(null, "", location.pathname + location.search);
}

function keepToken(token) {
  state.token = token;
  if (token) sessionStorage.setItem("token", token);
  else sessionStorage.removeItem("token");
}

const authorization = () => (state.token ? { Authorization: `Bearer ${state.token}` } : {});

$("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken($("token").value.trim());
  $("token").value = "";
  load();
});

function askForToken() {
  keepToken(null);
  $("unlock").hidden = false;
  $("about").textContent = "The token is needed to see the functions.";
}

// ---- What a function takes and returns.

const JSON_TYPE = "application/json";
const BYTES_TYPE = "application/octet-stream";

/// The alternatives of an argument: an object of parameters first, if there is one.
function argumentOf(operation) {
  const content = operation.requestBody?.content ?? {};
  const schema = content[JSON_TYPE]?.schema;
  const alternatives = schema?.anyOf ?? (schema ? [schema] : []);
  const byName = alternatives.find((each) => each?.properties);
  return { schema, byName, others: alternatives.filter((each) => each !== byName), bytes: BYTES_TYPE in content, required: Boolean(operation.requestBody?.required) };
}

function argumentNodes(operation, order) {
  const { schema, byName, others, bytes, required } = argumentOf(operation);
  if (!operation.requestBody) return [element("p", { class: "soft" }, "None")];
  const nodes = [];
  const names = Object.keys(byName?.properties ?? {});
  const alone = others.length ? element("p", { class: "type" }, ...type({ anyOf: others })) : null;
  if (alone && names.length === 1) {
    // The one parameter as it is is the plain way.
    alone.append(element("span", { class: "soft" }, ` or an object with the name ${names[0]}`));
    nodes.push(alone);
  } else {
    if (byName) nodes.push(properties(byName, order));
    if (byName) alone?.prepend(element("span", { class: "soft" }, "or "));
    if (alone) nodes.push(alone);
  }
  const whole = byName ? null : follow(schema, state.schemas);
  if (whole?.properties) nodes.push(properties(whole));
  const notes = [];
  if (bytes) notes.push(schema ? "It may be raw bytes." : "Raw bytes.");
  if (!required) notes.push("It may be left out.");
  if (notes.length) nodes.push(element("p", { class: "soft" }, notes.join(" ")));
  return nodes;
}

function resultNodes(operation) {
  const content = operation.responses?.["200"]?.content ?? {};
  const schema = content[JSON_TYPE]?.schema;
  return [element("p", { class: "type" }, ...(schema === undefined && BYTES_TYPE in content ? ["bytes"] : type(schema)))];
}

// ---- The form to try a call.

function form(path, operation) {
  const { schema, byName, bytes, required } = argumentOf(operation);
  const label = required ? "Argument, as JSON" : "Argument, as JSON; empty for none";
  const text = element("textarea", { spellcheck: "false", autocomplete: "off" });
  if (schema !== undefined) text.value = JSON.stringify(example(byName ?? schema, state.schemas), null, 2);
  text.rows = Math.min(24, text.value.split("\n").length + 1);
  const file = element("input", { type: "file" });
  const timeout = element("input", { type: "number", min: "1", placeholder: "default" });
  const send = element("button", { type: "submit", class: "main" }, "Call");
  const cancel = element("button", { type: "button", hidden: "" }, "Cancel");
  const command = element("button", { type: "button" }, "Show curl");
  const answer = element("div", { class: "answer", role: "status" });
  const made = element("form", {});
  if (operation.requestBody && schema !== undefined) made.append(element("label", {}, label, text));
  if (bytes) made.append(element("label", {}, "Or a file, as raw bytes", file));
  made.append(element("div", { class: "actions" }, element("label", {}, "Deadline, ms", timeout), send, cancel, command), answer);
  const request = () => requestOf(path, operation.requestBody ? text.value : "", file.files[0], timeout.value);

  made.addEventListener("submit", (event) => {
    event.preventDefault();
    const abort = new AbortController();
    const stop = () => abort.abort();
    cancel.addEventListener("click", stop, { once: true });
    [send.disabled, cancel.hidden] = [true, false];
    call(request(), answer, abort.signal).finally(() => {
      [send.disabled, cancel.hidden] = [false, true];
      cancel.removeEventListener("click", stop);
    });
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) made.requestSubmit();
  });
  command.addEventListener("click", () => answer.replaceChildren(element("pre", { tabindex: "0", "aria-label": "Command" }, curl(request()))));
  return element("details", { class: "try" }, element("summary", {}, "Try it"), made);
}

function requestOf(path, text, file, timeout) {
  const headers = {};
  const body = file ?? (text.trim() ? text : undefined);
  if (body !== undefined) headers["Content-Type"] = file ? BYTES_TYPE : JSON_TYPE;
  if (timeout) headers["X-Pyproc-Timeout-Ms"] = timeout;
  // The path is relative, because an application can mount the gateway anywhere.
  return { url: new URL(path.slice(1), location.href), headers, body, file };
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl({ url, headers, body, file }) {
  const parts = ["curl -X POST"];
  if (state.secured) parts.push('-H "Authorization: Bearer $PYPROC_TOKEN"');
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quote(`${name}: ${value}`)}`);
  if (file) parts.push(`--data-binary ${quote(`@${file.name}`)}`);
  else if (body !== undefined) parts.push(`--data ${quote(body)}`);
  parts.push(quote(String(url)));
  return parts.join(" \\\n  ");
}

async function call({ url, headers, body }, answer, signal) {
  answer.replaceChildren(element("p", { class: "soft" }, "Running"));
  const begun = performance.now();
  try {
    const response = await fetch(url, { method: "POST", headers: { ...headers, ...authorization() }, body, signal, cache: "no-store" });
    const bytes = await response.arrayBuffer();
    const took = performance.now() - begun;
    answer.replaceChildren(...outcome(response, bytes, took));
  } catch (error) {
    const text = signal.aborted ? "Cancelled; the function is interrupted." : `The gateway did not answer: ${error.message}`;
    answer.replaceChildren(element("p", { class: "pill bad" }, text));
  }
}

function outcome(response, bytes, took) {
  const media = response.headers.get("Content-Type") ?? "";
  const head = element("p", { class: "outcome" }, element("span", { class: `pill ${response.ok ? "good" : "bad"}` }, String(response.status)),
    element("span", { class: "soft" }, `${took.toFixed(1)} ms`), element("span", { class: "soft" }, media));
  const text = readable(bytes);
  if (text === null) return [head, element("p", {}, `${bytes.byteLength} bytes`)];
  const value = media.includes("json") ? parsed(text) : undefined;
  const nodes = [head];
  if (!response.ok && value) {
    head.append(element("strong", {}, String(value.title ?? "")));
    const errors = Array.isArray(value.errors) ? value.errors : [];
    if (errors.length) {
      nodes.push(element("ul", { class: "errors" }, ...errors.map((each) => element("li", {}, each.path ? element("code", {}, each.path) : "", each.path ? ": " : "", String(each.message)))));
    }
  }
  nodes.push(element("pre", { tabindex: "0", "aria-label": "Answer" }, value === undefined ? text : JSON.stringify(value, null, 2)));
  return nodes;
}

function readable(bytes) {
  try { return new TextDecoder("utf-8", { fatal: true }).decode(bytes); } catch { return null; }
}

/// JSON for display, unless JavaScript's numbers would change it.
function parsed(text) {
  try {
    const value = JSON.parse(text);
    return /\d{16}/.test(text) ? undefined : value;
  } catch { return undefined; }
}

// ---- The page.

function functionNode(path, operation) {
  const name = operation.operationId;
  const python = operation["x-python"] ?? {};
  const head = element("h2", {}, name, element("span", { class: "signature" }, python.signature ?? ""));
  if (python.kind === "async") head.append(element("span", { class: "tag" }, "async"));
  const node = element("article", { id: anchor("function", name), "data-name": name }, head);
  const doc = operation.description ?? operation.summary;
  if (doc) node.append(element("p", { class: "doc" }, doc));
  const warnings = Array.isArray(python.warnings) ? python.warnings : [];
  if (warnings.length) node.append(element("ul", { class: "warnings" }, ...warnings.map((text) => element("li", {}, text))));
  node.append(element("div", { class: "types" },
    element("div", {}, element("h3", {}, "Argument"), ...argumentNodes(operation, python.parameters)),
    element("div", {}, element("h3", {}, "Result"), ...resultNodes(operation))), form(path, operation));
  return node;
}

function schemaNode(name, schema) {
  const node = element("article", { id: anchor("schema", name) }, element("h2", {}, name));
  if (typeof schema.description === "string") node.append(element("p", { class: "doc" }, schema.description));
  node.append(schema.properties ? properties(schema) : element("p", { class: "type" }, ...type(schema)));
  return node;
}

const item = (kind, name) => element("li", { "data-name": name }, element("a", { href: `#${anchor(kind, name)}` }, name));

function show(document_) {
  state.schemas = document_.components?.schemas ?? {};
  state.secured = Array.isArray(document_.security);
  const operations = Object.entries(document_.paths ?? {}).map(([path, { post }]) => [path, post]).filter(([, post]) => post);
  const classes = Object.entries(state.schemas).filter(([name]) => !name.startsWith(OURS));
  $("worker").textContent = document_.info.title;
  document.title = `${document_.info.title} · functions`;
  $("about").textContent = `${operations.length} ${operations.length === 1 ? "function" : "functions"} · pyproc ${document_.info.version}`;
  $("names").replaceChildren(...operations.map(([, { operationId }]) => item("function", operationId)));
  $("functions").replaceChildren(...operations.map(([path, operation]) => functionNode(path, operation)));
  $("schema-title").hidden = classes.length === 0;
  $("schema-names").replaceChildren(...classes.map(([name]) => item("schema", name)));
  $("schemas").replaceChildren(...classes.map(([name, schema]) => schemaNode(name, schema)));
  filter();
  // The browser looked for it before it was there.
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function filter() {
  const wanted = $("filter").value.trim().toLowerCase();
  let shown = 0;
  for (const node of document.querySelectorAll("#names li, #functions article")) {
    node.hidden = !node.dataset.name.toLowerCase().includes(wanted);
    if (!node.hidden && node.tagName === "ARTICLE") shown += 1;
  }
  $("news").textContent = wanted ? `${shown} found` : "";
}
$("filter").addEventListener("input", filter);

async function load() {
  try {
    const response = await fetch("openapi.json", { headers: authorization(), cache: "no-store" });
    if (response.status === 401) return askForToken();
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    $("unlock").hidden = true;
    show(await response.json());
  } catch (error) {
    $("about").textContent = `The gateway did not answer: ${error.message}`;
  }
}
load();
