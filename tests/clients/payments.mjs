// Batch payments with ethers: a thousand accounts with one signature, all or none, and by a Solidity contract.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { Contract, ContractFactory, Interface, JsonRpcProvider, Wallet, getAddress, isError, keccak256, parseEther, toUtf8Bytes } from "ethers";
import { PAYMENTS, pack96, payMany, paymentsAbi } from "./pay_many.mjs";

const RECEIPT_MS_MAX = 60_000;
const PEOPLE = 1_000;
/// New accounts that one transaction may bring into being: 32,256 gas each of 16.7 million (EIP-7825).
const NEW_AT_ONCE = 500;

export function paymentsTests(world) {
  const payments = new Interface(paymentsAbi);
  const people = Array.from({ length: PEOPLE }, (_, index) =>
    getAddress(`0x${keccak256(toUtf8Bytes(`paid ${index}`)).slice(-40)}`));
  let provider;
  let elsewhere;
  let wallet;

  before(async () => {
    [provider, elsewhere] = world.devnet.nodes.map(
      ({ rpc }) => new JsonRpcProvider(rpc, undefined, { pollingInterval: 200, cacheTimeout: -1 }),
    );
    const faucet = new Wallet(world.devnet.funded[2].private_key, provider);
    wallet = Wallet.createRandom(provider);
    await (await faucet.sendTransaction({ to: wallet.address, value: parseEther("10") })).wait(1, RECEIPT_MS_MAX);
  });

  after(() => {
    provider?.destroy();
    elsewhere?.destroy();
  });

  const done = async (sent) => elsewhere.waitForTransaction((await sent).hash, 1, RECEIPT_MS_MAX);
  /// Balances as another node has them, a hundred in one JSON-RPC batch.
  const balances = (accounts) => Promise.all(accounts.map((account) => elsewhere.getBalance(account)));

  test("the payments contract has code, which Solidity and tools ask for", async () => {
    assert.equal(await provider.getCode(PAYMENTS), "0xfe");
  });

  test("1,000 accounts are paid with one signature", async () => {
    for (let first = 0; first < PEOPLE; first += NEW_AT_ONCE) {
      const founding = people.slice(first, first + NEW_AT_ONCE).map((to) => ({ to, amount: 1n }));
      assert.equal((await done(payMany(wallet, founding))).status, 1);
    }
    const before = await provider.getTransactionCount(wallet.address);
    const wages = people.map((to, index) => ({ to, amount: BigInt(1_000 + index) }));
    const receipt = await done(payMany(wallet, wages));
    assert.equal(receipt.status, 1);
    assert.equal(await elsewhere.getTransactionCount(wallet.address), before + 1);
    const told = receipt.logs.map((log) => payments.parseLog(log).args);
    assert.ok(receipt.logs.every(({ address }) => address.toLowerCase() === PAYMENTS));
    assert.deepEqual(told.map(({ from, to, amount }) => ({ from, to, amount })),
      wages.map(({ to, amount }) => ({ from: wallet.address, to, amount })));
    assert.deepEqual(await balances(people), wages.map(({ amount }) => amount + 1n));
    assert.equal(await elsewhere.getBalance(PAYMENTS), 0n);
    const [one] = await elsewhere.getLogs({
      address: PAYMENTS, fromBlock: receipt.blockNumber, toBlock: receipt.blockNumber,
      topics: payments.encodeFilterTopics("Transfer", [null, people[17]]),
    });
    assert.equal(payments.parseLog(one).args.amount, 1_017n);
  });

  test("all are paid or none", async () => {
    const wages = people.slice(0, 100).map((to) => ({ to, amount: 5n }));
    const before = await balances(people.slice(0, 100));
    const refused = (error) => {
      assert.ok(isError(error, "CALL_EXCEPTION"), String(error));
      assert.equal(error.reason, "payments: the value is not the sum of the amounts");
      return true;
    };
    await assert.rejects(payMany(wallet, wages, { value: 499n }), refused);
    const bad = [...wages, { to: people[0], amount: 0n }];
    for (const [sent, overrides] of [[wages, { value: 499n }], [bad, {}]]) {
      const receipt = await done(payMany(wallet, sent, { gasLimit: 2_000_000n, ...overrides }));
      assert.deepEqual([receipt.status, receipt.logs.length], [0, 0]);
    }
    // Gas for half of them pays nobody.
    const receipt = await done(payMany(wallet, wages, { gasLimit: 500_000n }));
    assert.deepEqual([receipt.status, receipt.gasUsed], [0, 500_000n]);
    assert.deepEqual(await balances(people.slice(0, 100)), before);
  });

  test("a Solidity contract pays by a high-level call", async () => {
    const artifact = new URL("../../contracts/artifacts/test/Payroll.json", import.meta.url);
    const { abi, bytecode } = JSON.parse(readFileSync(artifact, "utf8"));
    const payroll = await new ContractFactory(abi, bytecode, wallet).deploy();
    const address = await payroll.getAddress();
    await done(wallet.sendTransaction({ to: address, value: 1_000n }));
    const staff = people.slice(200, 220);
    const before = await balances(staff);
    const receipt = await done(payroll.payEach(staff, 11n));
    assert.equal(receipt.status, 1);
    const froms = receipt.logs.map((log) => payments.parseLog(log).args.from);
    assert.deepEqual(froms, staff.map(() => address));
    assert.deepEqual(await balances(staff), before.map((balance) => balance + 11n));
    await done(payroll.tryToPay(staff, 11n, 1n));
    assert.equal(await new Contract(address, abi, elsewhere).refusal(), "payments: the value is not the sum of the amounts");
    assert.equal(await elsewhere.getBalance(address), 1_000n - 220n);
  });

  test("what is packed is what the interface says", () => {
    const packed = pack96([{ to: people[0], amount: 258n }]);
    assert.equal(packed, `${people[0].toLowerCase()}000000000000000000000102`);
  });
}
