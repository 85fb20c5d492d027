// A developer's chain, as test suites use it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Contract, ContractFactory, JsonRpcProvider, parseEther } from "ethers";
import { createTestClient, http, publicActions, walletActions } from "viem";
import { foundry } from "viem/chains";
import { compileUpgradeable } from "./contracts.mjs";
import { depthTests } from "./depth.mjs";
import { viemDepthTests } from "./depth_viem.mjs";
import { startDevChain } from "./devnet.mjs";

describe("a developer's chain", () => {
  let chain;
  let provider;

  before(async () => {
    chain = await startDevChain();
    provider = new JsonRpcProvider(chain.rpc, undefined, { pollingInterval: 100, cacheTimeout: -1 });
  });

  after(async () => {
    provider?.destroy();
    await chain?.stop();
  });

  const target = () => ({ rpc: [chain.rpc], key: chain.accounts[1].private_key });
  describe("in depth", () => depthTests(target));
  describe("in depth with viem", () => viemDepthTests(target));

  test("it is the chain that tools expect", async () => {
    assert.equal(chain.chain_id, 31337);
    assert.equal(chain.accounts[0].address.toLowerCase(), "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
    assert.equal((await provider.getNetwork()).chainId, 31337n);
    assert.equal((await provider.listAccounts()).length, 10);
  });

  test("ethers deploys with the node's accounts, and a fixture is taken back", async () => {
    const signer = await provider.getSigner(0);
    const { abi, bytecode } = compileUpgradeable().CounterV1;
    const counter = await new ContractFactory(abi, bytecode, signer).deploy();
    await counter.waitForDeployment();
    const snapshot = await provider.send("evm_snapshot", []);
    await (await counter.increment()).wait();
    await (await counter.increment()).wait();
    assert.equal(await counter.count(), 2n);
    assert.equal(await provider.send("evm_revert", [snapshot]), true);
    assert.equal(await new Contract(await counter.getAddress(), abi, signer).count(), 0n);
  });

  test("viem's test client has its controls", async () => {
    const client = createTestClient({ chain: foundry, mode: "anvil", transport: http(chain.rpc) })
      .extend(publicActions)
      .extend(walletActions);
    const whale = "0x00000000000000000000000000000000000000ab";
    await client.setBalance({ address: whale, value: parseEther("5") });
    await client.impersonateAccount({ address: whale });
    const hash = await client.sendTransaction({ account: whale, to: chain.accounts[2].address, value: 1n });
    assert.equal((await client.getTransactionReceipt({ hash })).status, "success");
    const { timestamp, number } = await client.getBlock();
    await client.increaseTime({ seconds: 86_400 });
    await client.mine({ blocks: 3 });
    const later = await client.getBlock();
    assert.equal(later.number, number + 3n);
    assert.ok(later.timestamp >= timestamp + 86_400n);
    const id = await client.snapshot();
    await client.setStorageAt({ address: whale, index: 0, value: `0x${"0".repeat(63)}7` });
    assert.equal(BigInt(await client.getStorageAt({ address: whale, slot: "0x0" })), 7n);
    await client.revert({ id });
    assert.equal(BigInt(await client.getStorageAt({ address: whale, slot: "0x0" })), 0n);
  });
});
