// Proofs and traces with viem, checked in the client: what is there, what is not, and what a transaction did.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  createPublicClient,
  createWalletClient,
  defineChain,
  encodeFunctionData,
  fromRlp,
  http,
  keccak256,
  numberToHex,
  parseEther,
  toRlp,
} from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { compileUpgradeable } from "./contracts.mjs";
import { provenValue } from "./merkle.mjs";

const RECEIPT_MS_MAX = 60_000;

/// A storage slot, or a value in one, as 32 bytes.
const word = (number) => numberToHex(number, { size: 32 });
const numberOf = (hex) => (hex === "0x" ? 0n : BigInt(hex));

/// `rpc` gives the addresses of nodes of one chain, the last of which may be the first; `key` is of a funded account.
export function viemDepthTests(target) {
  let here;
  let elsewhere;
  let wallet;
  let counter;

  /// The receipt, once both nodes have it: the one that takes transactions, and the one that is asked.
  const receiptOf = async (hash) => {
    const wait = (client) => client.waitForTransactionReceipt({ hash, timeout: RECEIPT_MS_MAX });
    const [, receipt] = await Promise.all([here, elsewhere].map(wait));
    return receipt;
  };
  const increment = async () => {
    const receipt = await receiptOf(await wallet.writeContract({ ...counter, functionName: "increment" }));
    assert.equal(receipt.status, "success");
    return receipt;
  };
  const trace = (hash, options) => elsewhere.request({ method: "debug_traceTransaction", params: [hash, options] });

  before(async () => {
    const { rpc, key } = target();
    const id = await createPublicClient({ transport: http(rpc[0]) }).getChainId();
    const nativeCurrency = { name: "BXM", symbol: "BXM", decimals: 18 };
    const chain = defineChain({ id, name: "BXP", nativeCurrency, rpcUrls: { default: { http: [rpc[0]] } } });
    const client = (url) => ({ chain, transport: http(url), pollingInterval: 100, cacheTime: 0 });
    here = createPublicClient(client(rpc[0]));
    elsewhere = createPublicClient(client(rpc[rpc.length - 1]));
    wallet = createWalletClient({ ...client(rpc[0]), account: privateKeyToAccount(generatePrivateKey()) });
    const faucet = createWalletClient({ ...client(rpc[0]), account: privateKeyToAccount(key) });
    await receiptOf(await faucet.sendTransaction({ to: wallet.account.address, value: parseEther("10") }));
    const { abi, bytecode } = compileUpgradeable().CounterV1;
    const { contractAddress } = await receiptOf(await wallet.deployContract({ abi, bytecode }));
    counter = { address: contractAddress, abi };
    await increment();
  });

  test("accounts and storage are proven against the header", async () => {
    const { number: blockNumber, stateRoot, transactionsRoot } = await elsewhere.getBlock();
    const storageKeys = [word(0), word(7)];
    const proof = await elsewhere.getProof({ address: counter.address, storageKeys, blockNumber });
    const [nonce, balance, storageRoot, codeHash] = fromRlp(
      provenValue(stateRoot, counter.address, proof.accountProof),
      "hex",
    );
    assert.deepEqual([numberOf(nonce), numberOf(balance)], [1n, 0n]);
    assert.deepEqual([storageRoot, codeHash], [proof.storageHash, proof.codeHash]);
    assert.equal(codeHash, keccak256(await elsewhere.getCode({ address: counter.address, blockNumber })));
    const [set, unset] = proof.storageProof;
    assert.deepEqual([set.value, unset.value], [1n, 0n]);
    assert.equal(provenValue(storageRoot, word(0), set.proof), toRlp("0x01"));
    assert.equal(provenValue(storageRoot, word(7), unset.proof), null);
    assert.throws(
      () => provenValue(transactionsRoot, counter.address, proof.accountProof),
      /not the one referred to/,
    );

    const { address } = wallet.account;
    const own = await elsewhere.getProof({ address, storageKeys: [], blockNumber });
    const [sent, money] = fromRlp(provenValue(stateRoot, address, own.accountProof), "hex");
    assert.deepEqual([numberOf(sent), numberOf(money)], [BigInt(own.nonce), own.balance]);
    assert.equal(own.balance, await elsewhere.getBalance({ address, blockNumber }));
  });

  test("that an account does not exist is proven too", async () => {
    const { number: blockNumber, stateRoot } = await elsewhere.getBlock();
    const nobody = privateKeyToAccount(generatePrivateKey()).address;
    const proof = await elsewhere.getProof({ address: nobody, storageKeys: [word(0)], blockNumber });
    assert.ok(proof.accountProof.length > 0);
    assert.equal(provenValue(stateRoot, nobody, proof.accountProof), null);
    assert.deepEqual([proof.balance, proof.nonce, proof.storageProof[0].value], [0n, 0, 0n]);
    // The hashes of an empty trie and of no code.
    assert.deepEqual([proof.storageHash, proof.codeHash], [keccak256("0x80"), keccak256("0x")]);

    const last = proof.accountProof[proof.accountProof.length - 1];
    const changed = [...proof.accountProof.slice(0, -1), last.slice(0, -1) + (last.endsWith("0") ? "1" : "0")];
    assert.throws(() => provenValue(stateRoot, nobody, changed), /not the one referred to/);
    assert.throws(() => provenValue(stateRoot, nobody, proof.accountProof.slice(0, -1)), /ends too early/);
  });

  test("a transaction is traced by its calls and by the state before and after it", async () => {
    const receipt = await increment();
    const [from, to] = [wallet.account.address, counter.address].map((address) => address.toLowerCase());
    const calls = await trace(receipt.transactionHash, { tracer: "callTracer", tracerConfig: { withLog: true } });
    assert.deepEqual([calls.type, calls.from, calls.to], ["CALL", from, to]);
    assert.equal(calls.input, encodeFunctionData({ abi: counter.abi, functionName: "increment" }));
    assert.equal(BigInt(calls.gasUsed), receipt.gasUsed);
    assert.deepEqual(calls.logs.map(({ topics }) => topics), receipt.logs.map(({ topics }) => topics));

    const state = await trace(receipt.transactionHash, { tracer: "prestateTracer" });
    assert.equal(state[to].storage[word(0)], word(1));
    // The deployment and the first increment came before.
    assert.equal(Number(state[from].nonce), 2);
    const { pre, post } = await trace(receipt.transactionHash, {
      tracer: "prestateTracer",
      tracerConfig: { diffMode: true },
    });
    assert.deepEqual([pre[to].storage[word(0)], post[to].storage[word(0)]], [word(1), word(2)]);
    const paid = BigInt(pre[from].balance) - BigInt(post[from].balance);
    assert.equal(paid, receipt.gasUsed * receipt.effectiveGasPrice);
  });

  test("a trace of a transaction that reverted says why", async () => {
    const request = { ...counter, functionName: "initialize", gas: 100_000n };
    assert.equal((await receiptOf(await wallet.writeContract(request))).status, "success");
    const { status, transactionHash } = await receiptOf(await wallet.writeContract(request));
    assert.equal(status, "reverted");
    const calls = await trace(transactionHash, { tracer: "callTracer" });
    assert.deepEqual([calls.error, calls.revertReason], ["execution reverted", "initialized"]);
  });
}
