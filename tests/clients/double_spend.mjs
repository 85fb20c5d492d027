// Row A14: the same money, sent twice over two nodes at once, goes out once, and all nodes agree on which.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { JsonRpcProvider, Wallet, parseEther } from "ethers";
import { until } from "./devnet.mjs";

const ROUNDS = 3;
const RECEIPT_MS_MAX = 60_000;
const GAS = 21_000n;

export function doubleSpendTests(world) {
  const providers = [];
  let faucet;

  before(() => {
    for (const node of world.devnet.nodes) {
      providers.push(new JsonRpcProvider(node.rpc, undefined, { pollingInterval: 200, cacheTimeout: -1 }));
    }
    faucet = new Wallet(world.devnet.funded[0].private_key, providers[0]);
  });

  after(() => providers.forEach((provider) => provider.destroy()));

  /// Pays `to` and waits until all nodes have the payment.
  async function pay(to, value) {
    const { hash } = await faucet.sendTransaction({ to, value });
    await Promise.all(providers.map((provider) => provider.waitForTransaction(hash, 1, RECEIPT_MS_MAX)));
  }

  /// A wallet with `value` and a signer of transfers that all cost exactly GAS * price.
  async function spender(value, price) {
    const wallet = Wallet.createRandom();
    await pay(wallet.address, value);
    const chainId = world.devnet.chain_id;
    const fee = { type: 2, gasLimit: GAS, maxFeePerGas: price, maxPriorityFeePerGas: 0n };
    const sign = (nonce, to, amount) => wallet.signTransaction({ ...fee, chainId, nonce, to, value: amount });
    return { wallet, sign };
  }

  /// Sends each transaction to a node of its own at once; gives the hashes of those that a node took.
  async function race(transactions) {
    const sent = transactions.map((raw, index) => providers[index].send("eth_sendRawTransaction", [raw]));
    const outcomes = await Promise.allSettled(sent);
    return outcomes.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
  }

  /// The receipts on every node after all that was sent has had several blocks to get in.
  async function settledReceipts(hashes) {
    await until("one of the transactions to be included", async () => {
      const receipts = await Promise.all(hashes.map((hash) => providers[0].getTransactionReceipt(hash)));
      return receipts.some((receipt) => receipt !== null);
    });
    for (let block = 0; block < 3; block += 1) await pay(Wallet.createRandom().address, 1n);
    return Promise.all(
      providers.map(async (provider) => {
        const receipts = await Promise.all(hashes.map((hash) => provider.getTransactionReceipt(hash)));
        return receipts.filter((receipt) => receipt !== null);
      }),
    );
  }

  /// That exactly one of the two recipients got `amount`, by one transaction, on every node alike.
  async function assertOneWins(hashes, recipients, amount) {
    const onNodes = await settledReceipts(hashes);
    const [first] = onNodes;
    assert.equal(first.length, 1, "exactly one transaction is included");
    assert.equal(first[0].status, 1);
    for (const [index, provider] of providers.entries()) {
      const place = onNodes[index].map(({ hash, blockHash }) => [hash, blockHash]);
      assert.deepEqual(place, first.map(({ hash, blockHash }) => [hash, blockHash]), `node ${index}`);
      const got = await Promise.all(recipients.map((recipient) => provider.getBalance(recipient)));
      assert.deepEqual([...got].sort(), [0n, amount], `node ${index}`);
    }
  }

  test("the same nonce over two nodes at once: exactly one wins", async () => {
    const price = (await providers[0].getFeeData()).maxFeePerGas * 2n;
    const amount = parseEther("1");
    for (let round = 0; round < ROUNDS; round += 1) {
      const { sign } = await spender(parseEther("10"), price);
      const recipients = [Wallet.createRandom().address, Wallet.createRandom().address];
      const transactions = await Promise.all(recipients.map((recipient) => sign(0, recipient, amount)));
      await assertOneWins(await race(transactions), recipients, amount);
    }
  });

  test("money for one transfer, sent twice over two nodes at once: exactly one wins", async () => {
    const price = (await providers[0].getFeeData()).maxFeePerGas * 2n;
    const amount = parseEther("1");
    for (let round = 0; round < ROUNDS; round += 1) {
      const { wallet, sign } = await spender(amount + GAS * price, price);
      const recipients = [Wallet.createRandom().address, Wallet.createRandom().address];
      const transactions = await Promise.all(recipients.map((recipient, nonce) => sign(nonce, recipient, amount)));
      await assertOneWins(await race(transactions), recipients, amount);
      assert.equal(await providers[0].getTransactionCount(wallet.address, "latest"), 1);
    }
  });
}
