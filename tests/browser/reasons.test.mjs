// Why calls fail, what runs, what has crashed, and what workers write, in a headless Chromium.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { assertReadable, launch, missing, serve } from "./gateway.mjs";

const WORKER = `
import logging, os, sys, time
from pyproc_worker import expose

class Refused(Exception):
    pass

@expose
def refuse(value):
    raise Refused("<img src=x onerror=alert(1)> %s\\nsecond \\x1b[31mred\\x1b[0m \\u202eline" % value)

@expose
def hostile(value):
    raise type("<script>alert(1)</script>" + "x" * 500, (Exception,), {})("\\x07" + "y" * 2000)

@expose
def unsendable(value):
    return object()

@expose
def wait(seconds):
    time.sleep(seconds)

@expose
def die(value):
    print("no memory at 0x%x" % id(object()), file=sys.stderr, flush=True)
    os._exit(9)

@expose
def write(value):
    print("<b>printed</b> \\x1b[32mgreen\\x1b[0m", flush=True)
    logging.getLogger("<i>app</i>").error("logged %s", value)
`;

let dir;
let open;
let closed;
let browser;

before(async () => {
  if (missing) return;
  dir = mkdtempSync(join(tmpdir(), "reasons-"));
  const script = join(dir, "worker.py");
  writeFileSync(script, WORKER);
  open = await serve(script, ["--workers", "2", "--tracebacks"]);
  closed = await serve(script, ["--workers", "1"]);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  open?.gateway.kill("SIGKILL");
  closed?.gateway.kill("SIGKILL");
  if (dir) rmSync(dir, { recursive: true });
});

async function show({ address }, options = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.on("dialog", (dialog) => { page.complaints.push("a script ran"); dialog.dismiss(); });
  await page.goto(`${address}/dashboard`);
  await page.waitForSelector("#ready.good");
  return page;
}

async function close(page) {
  assert.deepEqual(page.complaints, []);
  assert.equal(await page.locator("main img, main script, main i").count(), 0, "text is not inserted as markup");
  await page.close();
}

const call = ({ address }, name, argument) => fetch(`${address}/call/${name}`, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(argument),
});

/// The item of a list that has this text.
const item = (page, list, text) => page.locator(`#${list} > li`, { hasText: text });

test("failures are counted by function and type, with the last message and traceback", { skip: missing }, async () => {
  const page = await show(open);
  for (let n = 1; n <= 3; n += 1) assert.equal((await call(open, "refuse", n)).status, 500);
  await call(open, "unsendable", 1);
  const refused = item(page, "failures", "Refused");
  await refused.locator(".count", { hasText: "3 times" }).waitFor();
  assert.equal(await refused.locator(".function").textContent(), "refuse");
  assert.equal(await refused.locator(".message").textContent(), "<img src=x onerror=alert(1)> 3 second red \ufffdline");
  await refused.locator("summary").click();
  assert.match(await refused.locator("pre").last().textContent(), /Traceback \(most recent call last\)[^]*in refuse/);
  await item(page, "failures", "encode").locator(".count", { hasText: "once" }).waitFor();

  // An open item stays open and keeps the focus when it changes.
  await call(open, "refuse", 4);
  await refused.locator(".count", { hasText: "4 times" }).waitFor();
  assert.ok(await refused.locator("details").evaluate((node) => node.open));
  assert.ok(await refused.locator("summary").evaluate((node) => node === document.activeElement));
  await close(page);
});

test("long and hostile names and messages are text and fit in the page", { skip: missing }, async () => {
  for (const [width, colorScheme] of [[390, "light"], [768, "dark"], [1280, "dark"], [1280, "light"]]) {
    const page = await show(open, { viewport: { width, height: 800 }, colorScheme, reducedMotion: "reduce" });
    await call(open, "hostile", 1);
    await call(open, "write", 1);
    await page.locator("#log li.error").first().waitFor();
    const hostile = item(page, "failures", "<script>alert(1)</script>");
    await hostile.locator(".message", { hasText: "\u2407yyy" }).waitFor();
    await hostile.locator("summary").click();
    assert.ok((await hostile.locator("pre").first().textContent()).length <= 500);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "no sideways scrolling");
    await assertReadable(page);
    await close(page);
  }
});

test("calls that run and wait are listed with their age", { skip: missing }, async () => {
  const page = await show(open);
  const calls = [1, 2, 3].map(() => call(open, "wait", 4));
  await page.waitForFunction(() => document.querySelectorAll("#calls tbody tr").length === 3);
  const stages = () => page.locator('#calls [data-label="State"]').allTextContents();
  await page.waitForFunction(() => document.querySelector('#calls [data-label="Runs for"]').textContent.endsWith(" s"));
  assert.deepEqual((await stages()).sort(), ["queued", "running", "running"]);
  assert.match(await page.textContent('#calls tr[data-key="0"] [data-label="Age"]'), /^[\d.]+ s$/);
  assert.match(await page.textContent('#calls tr[data-key="0"] [data-label="Slot"]'), /^[01]$/);
  assert.match(await page.textContent('#calls tr[data-key="0"] [data-label="Deadline in"]'), /^2\d.\d s$/);
  await Promise.all(calls);
  await page.waitForFunction(() => document.getElementById("calls").hidden);
  await page.waitForFunction(() => document.querySelector("#c-wait path.line.s3")?.getBBox().height > 0);
  assert.match(await page.getAttribute("#c-wait", "aria-label"), /Queue wait, now: median/);
  await close(page);
});

test("equal crashes are one row, which says what ran", { skip: missing }, async () => {
  const page = await show(open);
  for (let n = 1; n <= 2; n += 1) {
    assert.equal((await call(open, "die", n)).status, 502);
    await page.waitForSelector("#ready.good");
  }
  const crash = item(page, "incidents", "exited with status 9");
  await crash.locator(".count", { hasText: "2 times since" }).waitFor();
  assert.equal(await page.locator("#incidents > li").count(), 1);
  assert.match(await crash.locator(".soft").first().textContent(), /^slots? [01](, [01])? · ran die \(2\)$/);
  await crash.locator("summary").click();
  const body = await crash.locator(".body").textContent();
  assert.match(body, /1 running call lost/);
  assert.match(body, /die {2}had run for/);
  assert.match(body, /no memory at 0x/);
  assert.equal(await item(page, "failures", "worker lost").locator(".function").textContent(), "die");
  await close(page);
});

test("output of the workers is followed as text, without colours of terminals", { skip: missing }, async () => {
  const page = await show(open);
  await call(open, "write", "one");
  const line = (text) => page.locator("#log li", { hasText: text });
  await line("logged one").waitFor();
  const printed = line("printed").first();
  assert.equal(await printed.locator(".text").textContent(), "<b>printed</b> green");
  assert.equal(await printed.locator(".level").textContent(), "stdout");
  assert.equal(await line("logged one").locator(".level").textContent(), "error");
  assert.equal(await line("logged one").locator(".text").textContent(), "<i>app</i> logged one");
  await call(open, "write", "two");
  await line("logged two").waitFor();
  const lines = await page.locator("#log li").count();
  await page.reload();
  await line("logged two").waitFor();
  assert.equal(await page.locator("#log li").count(), lines, "a page that connects later has the same lines, once");
  await close(page);
});

test("without --tracebacks there are no tracebacks and no output", { skip: missing }, async () => {
  const page = await show(closed);
  await call(closed, "refuse", 1);
  await call(closed, "write", 1);
  await call(closed, "die", 1);
  await item(page, "incidents", "exited with status 9").waitFor();
  const refused = item(page, "failures", "Refused");
  await refused.locator("summary").click();
  assert.match(await refused.locator(".body").textContent(), /Its traceback is not shown without --tracebacks/);
  await page.waitForFunction(() => document.getElementById("no-log").textContent.includes("not shown without --tracebacks"));
  assert.equal(await page.locator("#log li").count(), 0);
  const text = await page.evaluate(async () => {
    const reader = (await fetch("dashboard/events")).body.pipeThrough(new TextDecoderStream()).getReader();
    for (let sent = ""; ;) {
      sent += (await reader.read()).value;
      if (sent.includes("event: status")) return sent;
    }
  });
  for (const secret of ["Traceback", "no memory", "printed", "logged"]) assert.ok(!text.includes(secret), secret);
  await close(page);
});
