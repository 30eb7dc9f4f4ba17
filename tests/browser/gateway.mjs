// What the tests share: the browser, and `pyproc serve`.
//
// PYPROC names the binary, CHROMIUM the browser. Without a browser the tests are skipped, except in CI.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const binary = process.env.PYPROC ?? `${root}target/debug/pyproc`;
const browserPath = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
export const missing = browserPath ? false : "SKIPPED: Chromium was not found; apt-get install chromium, or set CHROMIUM";
if (missing) {
  console.error(missing);
  if (process.env.CI) process.exit(1);
}
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

export const launch = (...more) => chromium.launch({ executablePath: browserPath, args: [...ARGUMENTS, ...more] });

/// Starts a gateway on a free port, and returns its address.
export async function serve(script, args = [], variables = {}) {
  const { PYPROC_TOKEN, PYPROC_CONTROL_TOKEN, ...inherited } = process.env;
  const gateway = spawn(binary, ["serve", script, "--listen", "127.0.0.1:0", ...args], {
    env: { ...inherited, ...variables },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const address = await new Promise((resolve, reject) => {
    gateway.stdout.once("data", (line) => resolve(String(line).trim().replace("listening on ", "")));
    gateway.once("error", reject);
    gateway.once("exit", (code) => reject(new Error(`pyproc serve exited with status ${code}`)));
  });
  return { gateway, address };
}

/// Checks the contrast of all text that is shown.
export async function assertReadable(page) {
  const contrasts = await page.evaluate(() => {
    const channel = (c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
    const light = (rgb) => 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
    const parse = (text) => text.match(/[\d.]+/g).map(Number);
    const ground = (node) => {
      for (let at = node; at; at = at.parentElement) {
        const color = parse(getComputedStyle(at).backgroundColor);
        if (color.length === 3 || color[3] === 1) return color;
      }
      return [255, 255, 255];
    };
    const shown = [...document.querySelectorAll("h1,h2,h2 small,p,dt,dd,th,td,a,button,figcaption,li,li span,summary span,time")].filter((node) => node.innerText?.trim() && node.offsetParent);
    return shown.map((node) => {
      const [one, other] = [light(parse(getComputedStyle(node).color)), light(ground(node))].sort((a, b) => b - a);
      return [(one + 0.05) / (other + 0.05), node.className || node.tagName];
    });
  });
  for (const [ratio, what] of contrasts) assert.ok(ratio >= 4.5, `${what}: contrast ${ratio.toFixed(2)}`);
}
