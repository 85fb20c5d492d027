// cast and forge against a devnet of four validators and a developer's chain.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startDevChain, startDevnet } from "../devnet.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const run = promisify(execFile);
const cast = async (...args) => (await run(here("node_modules/.bin/cast"), args, { timeout: 120_000 })).stdout.trim();
const forge = async (...args) =>
  (await run(here("node_modules/.bin/forge"), args, { cwd: here("forge"), timeout: 240_000, maxBuffer: 1 << 24 })).stdout;

for (const [name, start] of [
  ["a devnet of four validators", async () => {
    const devnet = await startDevnet(4);
    return { rpc: devnet.nodes[0].rpc, other: devnet.nodes[3].rpc, key: devnet.funded[0].private_key, stop: devnet.stop };
  }],
  ["a developer's chain", async () => {
    const chain = await startDevChain();
    return { rpc: chain.rpc, other: chain.rpc, key: chain.accounts[0].private_key, stop: chain.stop };
  }],
]) {
  describe(`Foundry against ${name}`, () => {
    let target;
    let counter;

    before(async () => {
      target = await start();
    });
    after(async () => {
      await target?.stop();
    });

    test("forge deploys", async () => {
      const deployed = await forge(
        "create", "src/Counter.sol:Counter", "--rpc-url", target.rpc, "--private-key", target.key, "--broadcast", "--json",
        "--use", here("solc"),
      );
      counter = JSON.parse(deployed.slice(deployed.indexOf("{"))).deployedTo;
      assert.match(counter, /^0x[0-9a-fA-F]{40}$/);
    });

    test("cast sends, calls, and reads the receipt and the logs on another node", async () => {
      const sent = JSON.parse(
        await cast("send", counter, "add(uint256)", "4", "--rpc-url", target.rpc, "--private-key", target.key, "--json"),
      );
      assert.equal(BigInt(sent.status), 1n);
      assert.match(await cast("call", counter, "count()(uint256)", "--rpc-url", target.rpc), /^4/);
      const receipt = JSON.parse(await cast("receipt", sent.transactionHash, "--rpc-url", target.other, "--json"));
      assert.equal(receipt.blockHash, sent.blockHash);
      const logs = JSON.parse(
        await cast("logs", "--from-block", "0", "--address", counter, "--rpc-url", target.other, "--json"),
      );
      assert.equal(logs.length, 1);
    });

    test("cast decodes a revert, estimates, proves and traces", async () => {
        // npm's wrapper of cast ends with 0 whatever cast says.
      const odd = run(here("node_modules/.bin/cast"), ["call", counter, "add(uint256)", "3", "--rpc-url", target.rpc]);
      const said = await odd.then(({ stderr }) => stderr, ({ stderr }) => stderr);
      assert.match(said, /execution reverted.*0x922e883a/);
      assert.ok(BigInt(await cast("estimate", counter, "add(uint256)", "2", "--rpc-url", target.rpc)) > 21_000n);
      const proof = JSON.parse(await cast("proof", counter, "0x0", "--rpc-url", target.rpc));
      assert.equal(BigInt(proof.storageProof[0].value), 4n);
      const sent = JSON.parse(
        await cast("send", counter, "add(uint256)", "6", "--rpc-url", target.rpc, "--private-key", target.key, "--json"),
      );
      const trace = JSON.parse(
        await cast("rpc", "debug_traceTransaction", sent.transactionHash, '{"tracer":"callTracer"}', "--rpc-url", target.rpc),
      );
      assert.equal(trace.to, counter.toLowerCase());
      await cast("access-list", counter, "add(uint256)", "2", "--rpc-url", target.rpc);
      assert.equal(await cast("block", "finalized", "--field", "number", "--rpc-url", target.rpc) >= "0", true);
    });
  });
}
