// What wallets, explorers and tools ask beyond sending and receiving: proofs, traces, simulations, upgrades, sockets.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  Contract,
  ContractFactory,
  JsonRpcProvider,
  Wallet,
  WebSocketProvider,
  decodeRlp,
  encodeRlp,
  isError,
  parseEther,
  stripZerosLeft,
  toBeHex,
  zeroPadValue,
} from "ethers";
import { compileUpgradeable } from "./contracts.mjs";
import { provenValue } from "./merkle.mjs";

const RECEIPT_MS_MAX = 60_000;

/// `rpc` gives the addresses of nodes of one chain, the last of which may be the first; `key` is of a funded account.
export function depthTests(target) {
  let provider;
  let elsewhere;
  let wallet;
  let built;
  let counter;
  let proxyAddress;

  before(async () => {
    const { rpc, key } = target();
    const options = { pollingInterval: 100, cacheTimeout: -1 };
    provider = new JsonRpcProvider(rpc[0], undefined, options);
    elsewhere = new JsonRpcProvider(rpc[rpc.length - 1], undefined, options);
    const faucet = new Wallet(key, provider);
    wallet = Wallet.createRandom(provider);
    const funding = await faucet.sendTransaction({ to: wallet.address, value: parseEther("10") });
    await funding.wait(1, RECEIPT_MS_MAX);
    built = compileUpgradeable();
  });

  after(() => {
    provider?.destroy();
    elsewhere?.destroy();
  });

  const deploy = async ({ abi, bytecode }, ...args) => {
    const contract = await new ContractFactory(abi, bytecode, wallet).deploy(...args);
    await contract.waitForDeployment();
    return contract;
  };
  const done = async (sent) => {
    const receipt = await (await sent).wait(1, RECEIPT_MS_MAX);
    await elsewhere.waitForTransaction(receipt.hash, 1, RECEIPT_MS_MAX);
    return receipt;
  };

  test("a contract is upgraded behind an OpenZeppelin proxy and keeps its state", async () => {
    const first = await deploy(built.CounterV1);
    const initialize = first.interface.encodeFunctionData("initialize");
    const proxy = await deploy(built.Proxy, await first.getAddress(), initialize);
    proxyAddress = await proxy.getAddress();
    counter = new Contract(proxyAddress, built.CounterV2.abi, wallet);
    await done(counter.increment());
    assert.deepEqual([await counter.version(), await counter.count()], [1n, 1n]);
    const second = await deploy(built.CounterV2);
    const stranger = counter.connect(Wallet.createRandom(provider));
    await assert.rejects(stranger.upgradeToAndCall.staticCall(await second.getAddress(), "0x"), (error) => {
      assert.ok(isError(error, "CALL_EXCEPTION"), String(error));
      assert.equal(counter.interface.parseError(error.data).name, "NotOwner");
      return true;
    });
    await done(counter.upgradeToAndCall(await second.getAddress(), "0x"));
    await done(counter.increment());
    assert.deepEqual([await counter.version(), await counter.count()], [2n, 11n]);
    const events = await counter.connect(elsewhere).queryFilter(counter.filters.Counted(wallet.address), 0, "latest");
    assert.deepEqual(events.map(({ args }) => args.count), [1n, 11n]);
  });

  test("account and storage are proven against the header, in the client", async () => {
    const block = await elsewhere.send("eth_getBlockByNumber", ["latest", false]);
    const proof = await elsewhere.send("eth_getProof", [proxyAddress, ["0x0", "0x7"], block.number]);
    const account = provenValue(block.stateRoot, proxyAddress, proof.accountProof);
    const [nonce, balance, storageRoot, codeHash] = decodeRlp(account);
    assert.deepEqual([BigInt(nonce), storageRoot, codeHash], [1n, proof.storageHash, proof.codeHash]);
    assert.equal(balance === "0x" ? 0n : BigInt(balance), 0n);
    const [set, unset] = proof.storageProof;
    const slot = (number) => zeroPadValue(toBeHex(number), 32);
    assert.equal(provenValue(storageRoot, slot(0), set.proof), encodeRlp(stripZerosLeft(toBeHex(11))));
    assert.equal(provenValue(storageRoot, slot(7), unset.proof), null);
    assert.throws(() => provenValue(block.transactionsRoot, proxyAddress, proof.accountProof), /not the one referred to/);
  });

  test("a transaction is traced", async () => {
    const { hash } = await done(counter.increment());
    const calls = await elsewhere.send("debug_traceTransaction", [hash, { tracer: "callTracer" }]);
    assert.deepEqual([calls.type, calls.to, calls.calls[0].type], ["CALL", proxyAddress.toLowerCase(), "DELEGATECALL"]);
    const diff = await elsewhere.send("debug_traceTransaction", [
      hash,
      { tracer: "prestateTracer", tracerConfig: { diffMode: true } },
    ]);
    const storage = diff.post[proxyAddress.toLowerCase()].storage;
    assert.deepEqual(Object.values(storage).map(BigInt), [21n]);
    const steps = await elsewhere.send("debug_traceTransaction", [hash, {}]);
    assert.ok(steps.structLogs.some(({ op }) => op === "DELEGATECALL"));
  });

  test("blocks are simulated and nothing of them stays", async () => {
    const data = counter.interface.encodeFunctionData("increment");
    const from = Wallet.createRandom().address;
    const call = { from, to: proxyAddress, data };
    const stateOverrides = { [from]: { balance: "0xde0b6b3a7640000" } };
    const payload = { blockStateCalls: [{ stateOverrides, calls: [call] }, { calls: [call] }], traceTransfers: true };
    const [first, second] = await provider.send("eth_simulateV1", [payload, "latest"]);
    assert.equal(second.parentHash, first.hash);
    assert.deepEqual([first.calls[0].status, second.calls[0].logs.length], ["0x1", 1]);
    assert.equal(await counter.count(), 21n);
  });

  test("an access list makes what it names warm", async () => {
    const data = counter.interface.encodeFunctionData("increment");
    const request = { from: wallet.address, to: proxyAddress, data };
    const { accessList, gasUsed } = await provider.send("eth_createAccessList", [request, "latest"]);
    assert.ok(accessList.some(({ address }) => address.toLowerCase() === proxyAddress.toLowerCase()));
    const receipt = await done(wallet.sendTransaction({ ...request, accessList }));
    assert.equal(receipt.gasUsed, BigInt(gasUsed));
  });

  test("heads, logs and arrivals come over a WebSocket", async () => {
    const { rpc } = target();
    const socket = new WebSocketProvider(rpc[0].replace("http", "ws"));
    try {
      const told = { blocks: [], logs: [], hashes: [] };
      const everything = Promise.all([
        new Promise((resolve) => socket.on("block", (number) => resolve(told.blocks.push(number)))),
        new Promise((resolve) => socket.on({ address: proxyAddress }, (log) => resolve(told.logs.push(log)))),
        new Promise((resolve) => socket.on("pending", (hash) => resolve(told.hashes.push(hash)))),
      ]);
      // A subscription is there once the node has answered something after it.
      await socket.getBlockNumber();
      await socket.getBlockNumber();
      const { hash } = await done(counter.increment());
      await everything;
      assert.equal(told.logs[0].transactionHash, hash);
      assert.ok(told.hashes.includes(hash));
      assert.ok(told.blocks.length > 0);
    } finally {
      await socket.destroy();
    }
  });

  test("a receipt comes with the sending (EIP-7966)", async () => {
    const populated = await wallet.populateTransaction({ to: wallet.address, value: 1n });
    const receipt = await provider.send("eth_sendRawTransactionSync", [await wallet.signTransaction(populated), 20_000]);
    assert.equal(receipt.status, "0x1");
  });
}
