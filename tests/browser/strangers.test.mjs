// What a page of another origin can do to a gateway, and what the live page shows without a token, in a headless Chromium.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as forward } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, missing, root, serve } from "./gateway.mjs";

const SECRET = "a-token-for-tests";
const CAP = 60_000;

let dir;
let gateway;
let browser;
let proxy;
let stranger;
// The requests to the gateway, and its answers.
let seen = [];

const runs = () => { try { return readFileSync(join(dir, "runs"), "utf8").length; } catch { return 0; } };
const port = (server) => server.address().port;
const listen = (server) => new Promise((resolve) => { server.listen(0, "127.0.0.1", resolve); });

async function until(what, holds) {
  const end = Date.now() + CAP;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`timed out waiting for ${what}; seen: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
}

before(async () => {
  if (missing) return;
  dir = mkdtempSync(join(tmpdir(), "strangers-"));
  const script = join(dir, "worker.py");
  writeFileSync(script, `from pyproc_worker import expose\n@expose\ndef count():\n    with open(${JSON.stringify(join(dir, "runs"))}, "a") as file:\n        file.write("x")\n    return "ran"\n`);
  gateway = await serve(script, ["--workers", "1"]);
  const to = new URL(gateway.address);
  // Between the browser and the gateway, so that the test also sees answers that no page can read.
  proxy = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming;
    if (url === "/") {
      // The page of a name before that name was pointed at the gateway.
      outgoing.setHeader("Content-Type", "text/html");
      outgoing.end("<title>rebound</title>");
      return;
    }
    const onward = forward({ host: to.hostname, port: to.port, method, path: url, headers }, (answer) => {
      seen.push({ method, url, status: answer.statusCode, site: headers["sec-fetch-site"] });
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await listen(proxy);
  stranger = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(`<title>stranger</title><a id="link" href="http://127.0.0.1:${port(proxy)}/dashboard">look</a>`);
  });
  await listen(stranger);
  browser = await launch("--host-resolver-rules=MAP rebound.example 127.0.0.1");
});

after(async () => {
  await browser?.close();
  gateway?.gateway.kill("SIGKILL");
  proxy?.close();
  stranger?.close();
  if (dir) rmSync(dir, { recursive: true });
});

const WAYS = {
  "fetch without a body": (url) => fetch(url, { method: "POST", mode: "no-cors" }).catch(() => {}),
  "fetch with an empty Blob": (url) => fetch(url, { method: "POST", mode: "no-cors", body: new Blob([]) }).catch(() => {}),
  "a beacon": (url) => { navigator.sendBeacon(url); },
  "a form": (url) => {
    const frame = document.body.appendChild(document.createElement("iframe"));
    frame.name = "target";
    const form = document.body.appendChild(document.createElement("form"));
    Object.assign(form, { method: "POST", action: url, target: "target" });
    form.submit();
  },
};

for (const [host, site] of [["127.0.0.1", "same-site"], ["localhost", "cross-site"]]) {
  for (const [name, way] of Object.entries(WAYS)) {
    test(`${name} of a ${site} page of another origin runs nothing`, { skip: missing }, async () => {
      const page = await browser.newPage();
      await page.goto(`http://${host}:${port(stranger)}/`);
      seen = [];
      await page.evaluate(way, `http://127.0.0.1:${port(proxy)}/call/count`);
      await until("the answer", () => seen.some(({ method }) => method === "POST"));
      assert.deepEqual(seen.filter(({ method }) => method === "POST"), [{ method: "POST", url: "/call/count", status: 403, site }]);
      assert.equal(runs(), 0);
      await page.close();
    });
  }
}

test("a page of another origin cannot read anything, but its link to the live page works", { skip: missing }, async () => {
  const page = await browser.newPage();
  await page.goto(`http://localhost:${port(stranger)}/`);
  for (const path of ["/functions", "/metrics", "/dashboard/events"]) {
    seen = [];
    await page.evaluate((url) => fetch(url, { mode: "no-cors" }).catch(() => {}), `http://127.0.0.1:${port(proxy)}${path}`);
    await until("the answer", () => seen.length > 0);
    assert.equal(seen[0].status, 403, path);
  }
  await page.click("#link");
  await page.waitForSelector("#ready.good");
  await page.close();
});

test("a page of the gateway's own origin may call", { skip: missing }, async () => {
  const page = await browser.newPage();
  await page.goto(`${gateway.address}/live`);
  assert.equal(await page.evaluate(() => fetch("/call/count", { method: "POST" }).then((answer) => answer.status)), 200);
  assert.equal(runs(), 1);
  rmSync(join(dir, "runs"));
  await page.close();
});

test("a name that was pointed at the gateway gets nothing from it", { skip: missing }, async () => {
  const page = await browser.newPage();
  await page.goto(`http://rebound.example:${port(proxy)}/`);
  const ask = ([path, method]) => fetch(path, { method }).then(async (answer) => [answer.status, (await answer.json()).kind]);
  for (const request of [["/functions", "GET"], ["/metrics", "GET"], ["/ready", "GET"], ["/dashboard/events", "GET"], ["/call/count", "POST"]]) {
    assert.deepEqual(await page.evaluate(ask, request), [421, "host_not_allowed"], request[0]);
  }
  assert.equal(runs(), 0);
  await page.close();
});

test("the live page of a gateway with a token asks for it, and shows nothing before that", { skip: missing }, async () => {
  const closed = await serve(`${root}tests/workers/contract.py`, ["--workers", "1"], { PYPROC_TOKEN: SECRET });
  try {
    const page = await browser.newPage();
    await page.goto(`${closed.address}/dashboard`);
    await page.waitForFunction(() => document.getElementById("ready-text").textContent === "Token needed");
    assert.equal(await page.locator("#workers tbody tr").count(), 0);
    for (const wrong of ["wrong", SECRET]) {
      await page.fill("#token", wrong);
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => document.getElementById("token").value === "");
    }
    await page.waitForSelector("#ready.good");
    assert.equal(await page.locator("#workers tbody tr").count(), 1);
    assert.ok(!(await page.locator("#unlock").isVisible()));
    await page.reload();
    await page.waitForSelector("#ready.good");
    await page.close();

    const other = await (await browser.newContext()).newPage();
    await other.goto(`${closed.address}/dashboard#token=${SECRET}`);
    await other.waitForSelector("#ready.good");
    assert.ok(!other.url().includes(SECRET));
    await other.close();
  } finally {
    closed.gateway.kill("SIGKILL");
  }
});
