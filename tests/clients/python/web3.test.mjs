// web3.py against a devnet of four validators: `cases.py` does what it says, this starts what it needs.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startDevnet } from "../devnet.mjs";
import { compileToken } from "../token.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const python = here("venv/bin/python");
const skip = existsSync(python) ? false : "web3.py is not installed; tests/clients/python/install.sh says why";
const CASES_MS_MAX = 240_000;

test("web3.py deploys, calls, listens, pays and verifies", { skip }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "bxp-web3-"));
  const devnet = await startDevnet(4);
  try {
    const world = join(folder, "world.json");
    const rpc = devnet.nodes.map((node) => node.rpc);
    await writeFile(world, JSON.stringify({
      rpc, chain_id: devnet.chain_id, key: devnet.funded[3].private_key, token: compileToken(),
    }));
    const { stderr } = await promisify(execFile)(python, [here("cases.py"), world], { timeout: CASES_MS_MAX });
    // unittest writes its report to the error output.
    console.log(stderr.trim());
    assert.match(stderr, /^Ran [1-9]\d* tests/m);
  } finally {
    await devnet.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
