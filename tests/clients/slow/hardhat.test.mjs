// Hardhat 3, which needs Node 22, against a developer's chain.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startDevChain } from "../devnet.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

describe("Hardhat 3 against a developer's chain", () => {
  let chain;

  before(async () => {
    chain = await startDevChain();
  });
  after(async () => {
    await chain?.stop();
  });

  test("a script deploys, upgrades, takes back, moves the clock and impersonates", async () => {
    const node = here("node_modules/node/bin/node");
    const hardhat = here("node_modules/hardhat/dist/src/cli.js");
    const env = { ...process.env, BXP_RPC: chain.rpc, HARDHAT_DISABLE_TELEMETRY_PROMPT: "true", CI: "true" };
    const { stdout } = await promisify(execFile)(node, [hardhat, "run", "--no-compile", here("hardhat_script.js")], {
      cwd: here("."),
      env,
      timeout: 240_000,
    });
    assert.match(stdout, /hardhat is content/);
  });
});
