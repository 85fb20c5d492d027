// A devnet of real `bxp` processes: started before the tests, stopped as a user would stop it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const READY_MS_MAX = 120_000;
const STOP_MS_MAX = 30_000;
const OUTPUT_CHARACTERS_KEPT = 20_000;

/// The program under test.
export const binary = process.env.BXP_BIN ?? fileURLToPath(new URL("../../target/debug/bxp", import.meta.url));

/// Starts a devnet and waits until it says that it is ready. What it says comes with the `folder` of its files.
export async function startDevnet(validators) {
  const folder = await mkdtemp(join(tmpdir(), "bxp-clients-"));
  return start(["devnet", "--validators", String(validators), "--dir", folder, "--json"], folder);
}

/// Starts a developer's chain and waits until it says that it is ready.
export async function startDevChain(options = []) {
  return start(["dev", "chain", "--port", "0", "--json", ...options], undefined);
}

async function start(options, folder) {
  assert.ok(existsSync(binary), `${binary} is not there: cargo build --bin bxp, or set BXP_BIN`);
  const child = spawn(binary, options, { stdio: ["ignore", "pipe", "pipe"] });
  const exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));

  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr = (stderr + text).slice(-OUTPUT_CHARACTERS_KEPT);
  });
  const line = new Promise((resolve) => createInterface({ input: child.stdout }).once("line", resolve));
  const said = await Promise.race([line, exited, after(READY_MS_MAX, "timeout")]);
  if (typeof said !== "string" || said === "timeout") {
    child.kill("SIGKILL");
    throw new Error(`bxp did not get ready (${JSON.stringify(said)}); it wrote:\n${stderr}`);
  }
  return { ...JSON.parse(said), folder, stop: () => stop(child, exited, folder, () => stderr) };
}

async function stop(child, exited, folder, stderr) {
  child.kill("SIGINT");
  const ended = await Promise.race([exited, after(STOP_MS_MAX, undefined)]);
  if (ended === undefined) child.kill("SIGKILL");
  assert.deepEqual(ended, { code: 0, signal: null }, `bxp did not stop cleanly; it wrote:\n${stderr()}`);
  if (folder) await rm(folder, { recursive: true, force: true });
}

function after(milliseconds, value) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds, value).unref());
}

/// Waits until `condition` gives something, and gives it back.
export async function until(what, condition, { timeoutMs = 60_000, everyMs = 100 } = {}) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
