// The live page in a headless Chromium, with real workers behind it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertReadable, launch, missing, root, serve } from "./gateway.mjs";

const SECRET = "a-token-for-tests";

let gateway;
let address;
let browser;

before(async () => {
  if (missing) return;
  ({ gateway, address } = await serve(`${root}tests/workers/contract.py`, ["--workers", "2", "--allow-control"], { PYPROC_CONTROL_TOKEN: SECRET }));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  gateway?.kill("SIGKILL");
});

async function open(options = {}, hash = "") {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.requests = [];
  page.on("request", (request) => page.requests.push(request.url()));
  await page.goto(`${address}/dashboard${hash}`);
  await page.waitForSelector("#ready.good");
  return page;
}

async function call(name, argument) {
  const response = await fetch(`${address}/call/${name}`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(argument),
  });
  return response.json();
}

const pid = async (page, slot) => Number(await page.textContent(`#workers tr[data-key="${slot}"] [data-label="Process"]`));

async function close(page) {
  assert.deepEqual(page.complaints, []);
  assert.ok(page.requests.every((url) => url.startsWith(address) || url.startsWith("data:")), "the page loads nothing from other servers");
  await page.close();
}

test("the page fills itself with workers, functions, numbers and charts", { skip: missing }, async () => {
  const page = await open();
  assert.equal(await page.textContent("h1"), "contract.py");
  assert.equal(await page.locator("#workers tbody tr").count(), 2);
  for (let n = 0; n < 20; n += 1) assert.deepEqual(await call("predict", { value: n }), { result: 2 * n });
  await page.waitForSelector('#functions tr[data-key="predict"]');
  await page.waitForFunction(() => document.querySelector('#functions tr[data-key="predict"] [data-label="Returned"]').textContent === "20");
  await page.waitForFunction(() => document.querySelector("#c-throughput path.line.s1")?.getBBox().height > 0);
  await page.waitForFunction(() => document.getElementById("t-serving").textContent === "2of 2");
  assert.match(await page.getAttribute("#c-latency", "aria-label"), /Latency, now: median/);
  await close(page);
});

test("a killed worker and its replacement are shown, and announced to screen readers", { skip: missing }, async () => {
  const page = await open();
  const before = await pid(page, 0);
  assert.ok(before > 0);
  process.kill(before, "SIGKILL");
  await page.waitForSelector("#incidents details", { state: "attached" });
  assert.match(await page.textContent("#incidents .what"), /killed by SIGKILL/);
  await page.waitForFunction((old) => {
    const text = document.querySelector('#workers tr[data-key="0"] [data-label="Process"]').textContent;
    return text !== "–" && Number(text) !== old;
  }, before);
  assert.match(await page.textContent("#news"), /Slot 0/);
  assert.equal(await page.textContent('#workers tr[data-key="0"] [data-label="Restarts"]'), "1");
  assert.match(await page.textContent('#workers tr[data-key="0"] [data-label="Last exit"]'), /killed by SIGKILL/);
  assert.match(await page.textContent("#incidents .body"), /not shown without --tracebacks/);
  await page.locator("#incidents summary").focus();
  await page.keyboard.press("Enter");
  assert.ok(await page.locator("#incidents details").evaluate((node) => node.open), "details open with the keyboard");
  await close(page);
});

test("buttons need the token, which does not stay in the address", { skip: missing }, async () => {
  const page = await open();
  assert.ok(await page.locator("#unlock").isVisible());
  assert.equal(await page.locator("#workers button").count(), 0);
  await page.fill("#token", "wrong");
  await page.keyboard.press("Enter");
  await page.locator('#workers tr[data-key="1"] button').click();
  await page.waitForSelector("#toast.bad");
  assert.ok(await page.locator("#unlock").isVisible(), "a wrong token is forgotten");
  page.complaints = page.complaints.filter((text) => !text.includes("401"));
  await close(page);

  const unlocked = await open({}, `#token=${SECRET}`);
  assert.ok(!unlocked.url().includes(SECRET));
  const old = await pid(unlocked, 1);
  const button = unlocked.getByRole("button", { name: "Restart slot 1" });
  await button.focus();
  await unlocked.keyboard.press("Enter");
  await unlocked.waitForSelector("#toast:not(.bad)");
  await unlocked.waitForFunction((before) => {
    const text = document.querySelector('#workers tr[data-key="1"] [data-label="Process"]').textContent;
    return text !== "–" && Number(text) !== before;
  }, old);
  await close(unlocked);
});

for (const [width, colorScheme] of [[390, "light"], [390, "dark"], [768, "light"], [1280, "dark"]]) {
  test(`at ${width} pixels in ${colorScheme} nothing is cut off and text is readable`, { skip: missing }, async () => {
    const page = await open({ viewport: { width, height: 800 }, colorScheme, reducedMotion: "reduce" });
    await page.waitForSelector("#incidents details", { state: "attached" });
    await call("raises", "no");
    await page.waitForSelector("#failures details", { state: "attached" });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "no sideways scrolling");
    await assertReadable(page);
    const still = await page.evaluate(() => document.getAnimations().filter((animation) => animation.playState === "running").length);
    assert.equal(still, 0, "nothing moves if the user prefers reduced motion");
    await close(page);
  });
}

test("drain asks first, then the page shows that the connection is lost", { skip: missing }, async () => {
  const page = await open({}, `#token=${SECRET}`);
  await page.click("#drain");
  await page.keyboard.press("Escape");
  assert.equal((await fetch(`${address}/ready`)).status, 200);
  await page.click("#drain");
  await page.click('#confirm button[value="drain"]');
  const code = await new Promise((resolve) => gateway.once("exit", resolve));
  assert.equal(code, 0);
  await page.waitForFunction(() => document.getElementById("ready-text").textContent === "Connection lost");
  await page.close();
});
