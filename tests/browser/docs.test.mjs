// The page about the functions in a headless Chromium, with real workers behind it.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, missing, serve } from "./gateway.mjs";

const HOSTILE = "</p><script>window.ran = 1</script><img src=x onerror='window.ran = 1'>";
const WORKER = `
import time
from pyproc_worker import expose

@expose
def predict(req: dict) -> dict:
    """Double the value.

    More lines, with ${HOSTILE}.
    """
    return {"result": req["value"] * 2}

@expose
def add(a: int, b: int) -> int:
    return a + b

@expose
def reverse(data: bytes) -> bytes:
    return bytes(reversed(data))

@expose
def nothing():
    return "called"

@expose
def sleep(seconds: float):
    time.sleep(seconds)

@expose
def fail(x: str):
    raise ValueError(x)

@expose(${JSON.stringify(HOSTILE)})
def hostile(x):
    return x
`;

let dir;
let script;
let browser;
let gateway;
let address;

before(async () => {
  if (missing) return;
  dir = mkdtempSync(join(tmpdir(), "docs-"));
  script = join(dir, "worker.py");
  writeFileSync(script, WORKER);
  ({ gateway, address } = await serve(script, ["--workers", "1"]));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  gateway?.kill("SIGKILL");
  if (dir) rmSync(dir, { recursive: true });
});

async function open(options = {}, url = `${address}/docs`) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && !/status of 4|status of 5/.test(message.text()) && page.complaints.push(message.text()));
  page.requests = [];
  page.on("request", (request) => page.requests.push(request.url()));
  await page.goto(url);
  return page;
}

async function close(page, from = address) {
  assert.deepEqual(page.complaints, []);
  assert.ok(page.requests.every((url) => url.startsWith(from) || url.startsWith("data:")), "the page loads nothing from other servers");
  await page.close();
}

const article = (page, name) => page.locator(`article[data-name="${name}"]`);

/// Opens the form of a function, fills it, and returns the outcome of the call.
async function attempt(page, name, argument) {
  const node = article(page, name);
  if (!(await node.locator("form").isVisible())) await node.locator("summary").click();
  if (argument !== undefined) await node.locator("textarea").fill(argument);
  await node.locator(".answer").evaluate((answer) => answer.replaceChildren());
  await node.getByRole("button", { name: "Call" }).click();
  await node.locator(".answer .outcome").waitFor();
  return { status: await node.locator(".answer .pill").textContent(), text: await node.locator(".answer").innerText() };
}

test("functions are listed with their signatures, docs, arguments and results", { skip: missing }, async () => {
  const page = await open();
  await page.waitForSelector("#functions article");
  assert.equal(await page.textContent("h1"), "worker.py");
  assert.equal(await page.locator("#functions article").count(), 7);
  assert.equal(await article(page, "add").locator("h2").textContent(), "add(a: int, b: int) -> int");
  assert.match(await article(page, "predict").locator(".doc").textContent(), /^Double the value\./);
  const rows = await article(page, "add").locator("tbody th").allTextContents();
  assert.deepEqual(rows, ["a", "b"]);
  await page.fill("#filter", "PRED");
  assert.equal(await page.locator("#functions article:visible").count(), 1);
  await close(page);
});

test("the form calls a function and shows its result, its error, or its bytes", { skip: missing }, async () => {
  const page = await open();
  await page.waitForSelector("#functions article");
  const predicted = await attempt(page, "predict", '{"value": 21}');
  assert.equal(predicted.status, "200");
  assert.match(predicted.text, /"result": 42/);
  const added = await attempt(page, "add");
  assert.equal(added.status, "200", "the form starts with an argument that fits");
  const failed = await attempt(page, "fail", '"no such thing"');
  assert.equal(failed.status, "500");
  assert.match(failed.text, /no such thing/);
  assert.match((await attempt(page, "nothing")).text, /called/);
  await article(page, "reverse").locator("summary").click();
  await article(page, "reverse").locator('input[type="file"]').setInputFiles({ name: "x.bin", mimeType: "application/octet-stream", buffer: Buffer.from("abc") });
  assert.match((await attempt(page, "reverse")).text, /cba/);
  await close(page);
});

test("a call that was cancelled is interrupted, and a command shows the same call for a shell", { skip: missing }, async () => {
  const page = await open();
  await page.waitForSelector("#functions article");
  const node = article(page, "sleep");
  await node.locator("summary").click();
  await node.locator("textarea").fill("600");
  await node.getByRole("button", { name: "Call" }).click();
  await node.getByRole("button", { name: "Cancel" }).click();
  await node.getByText("Cancelled").waitFor();
  assert.equal((await attempt(page, "predict", '{"value": 1}')).status, "200", "the worker is free again");
  await article(page, "fail").locator("summary").click();
  await article(page, "fail").locator("textarea").fill(`"it's"`);
  await article(page, "fail").getByRole("button", { name: "Show curl" }).click();
  const command = await article(page, "fail").locator(".answer pre").textContent();
  assert.ok(command.includes(`--data '"it'\\''s"'`), command);
  assert.ok(command.includes(`'${address}/call/fail'`), command);
  await close(page);
});

test("text of workers is never markup", { skip: missing }, async () => {
  const page = await open();
  await page.waitForSelector("#functions article");
  const found = await page.locator("#functions article h2").allTextContents();
  assert.ok(found.some((text) => text.startsWith(HOSTILE)), "the name is shown as it is");
  const names = await page.locator("#functions article").evaluateAll((nodes) => nodes.map((node) => node.dataset.name));
  const at = names.indexOf(HOSTILE);
  const node = page.locator("#functions article").nth(at);
  await node.locator("summary").click();
  await node.locator("textarea").fill(JSON.stringify(HOSTILE));
  await node.getByRole("button", { name: "Call" }).click();
  await node.locator(".answer pre").waitFor();
  assert.ok((await node.locator(".answer pre").textContent()).includes("<script>"));
  assert.equal(await page.locator("#functions img, #functions script").count(), 0);
  assert.equal(await page.evaluate(() => window.ran), undefined);
  await close(page);
});

test("with a token the page asks for it, shares it with the live page, and takes it from the address", { skip: missing }, async () => {
  const secured = await serve(script, ["--workers", "1"], { PYPROC_TOKEN: "a-token-for-tests" });
  try {
    const page = await open({}, `${secured.address}/docs`);
    await page.waitForSelector("#unlock:not([hidden])");
    assert.equal(await page.locator("#functions article").count(), 0);
    await page.fill("#token", "wrong");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#unlock:not([hidden])");
    await page.fill("#token", "a-token-for-tests");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#functions article");
    assert.equal((await attempt(page, "predict", '{"value": 1}')).status, "200");
    await article(page, "predict").getByRole("button", { name: "Show curl" }).click();
    const command = await article(page, "predict").locator(".answer pre").textContent();
    assert.ok(command.includes("$PYPROC_TOKEN") && !command.includes("a-token-for-tests"), command);
    await page.goto(`${secured.address}/dashboard`);
    await page.waitForSelector("#ready.good");
    await close(page, secured.address);

    const direct = await open({}, `${secured.address}/docs#token=a-token-for-tests`);
    await direct.waitForSelector("#functions article");
    assert.ok(!direct.url().includes("a-token-for-tests"));
    await close(direct, secured.address);
  } finally {
    secured.gateway.kill("SIGKILL");
  }
});

for (const [width, colorScheme] of [[390, "light"], [768, "dark"], [1280, "light"]]) {
  test(`at ${width} pixels in ${colorScheme} nothing of the page about functions is cut off`, { skip: missing }, async () => {
    const page = await open({ viewport: { width, height: 800 }, colorScheme });
    await page.waitForSelector("#functions article");
    for (const name of ["predict", "add"]) await article(page, name).locator("summary").click();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "no sideways scrolling");
    await close(page);
  });
}

test("the root leads to the page about the functions and to the live page", { skip: missing }, async () => {
  const page = await open({}, `${address}/`);
  await page.click('a[href="docs"]');
  await page.waitForSelector("#functions article");
  await page.getByRole("link", { name: "Overview" }).click();
  await page.click('a[href="dashboard"]');
  await page.waitForSelector("#ready.good");
  await close(page);
});
