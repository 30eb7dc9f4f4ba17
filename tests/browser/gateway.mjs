// What the tests share: the browser, and `pyproc serve`.
//
// PYPROC names the binary, CHROMIUM the browser. Without a browser the tests are skipped, except in CI.

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
