// ethers 6: deploy, transfer with every transaction type, receipts on another node, logs, reverts, gas and nonces.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Contract, ContractFactory, JsonRpcProvider, Wallet, isError, parseEther } from "ethers";
import { SUPPLY } from "./token.mjs";

const RECEIPT_MS_MAX = 60_000;

export function ethersTests(world) {
  const providers = [];
  const recipient = Wallet.createRandom().address;
  let wallet;
  let token;

  /// The receipt, as another node than the one that took the transaction sees it.
  const receiptElsewhere = (hash) => providers[1].waitForTransaction(hash, 1, RECEIPT_MS_MAX);

  before(async () => {
    for (const node of world.devnet.nodes) {
      providers.push(new JsonRpcProvider(node.rpc, undefined, { pollingInterval: 200, cacheTimeout: -1 }));
    }
    const faucet = new Wallet(world.devnet.funded[0].private_key, providers[0]);
    wallet = Wallet.createRandom(providers[0]);
    const funding = await faucet.sendTransaction({ to: wallet.address, value: parseEther("10") });
    await funding.wait(1, RECEIPT_MS_MAX);
  });

  after(() => providers.forEach((provider) => provider.destroy()));

  test("every node names the same chain", async () => {
    for (const provider of providers) {
      assert.equal((await provider.getNetwork()).chainId, BigInt(world.devnet.chain_id));
    }
  });

  test("an unmodified OpenZeppelin ERC-20 deploys", async () => {
    const factory = new ContractFactory(world.token.abi, world.token.bytecode, wallet);
    token = await factory.deploy();
    await token.waitForDeployment();
    const address = await token.getAddress();
    const receipt = await receiptElsewhere(token.deploymentTransaction().hash);
    assert.equal(receipt.status, 1);
    assert.equal(receipt.contractAddress, address);
    const elsewhere = new Contract(address, world.token.abi, providers[1]);
    assert.equal(await elsewhere.balanceOf(wallet.address), SUPPLY);
    assert.equal(await elsewhere.symbol(), "TKN");
    assert.equal(await providers[1].getCode(address), await providers[0].getCode(address));
  });

  for (const type of [0, 1, 2]) {
    test(`a transfer of type ${type} is received on another node`, async () => {
      const overrides = type === 1 ? { type, accessList: [{ address: await token.getAddress(), storageKeys: [] }] } : { type };
      const before = await token.balanceOf(recipient);
      const sent = await token.transfer(recipient, 100n, overrides);
      const receipt = await receiptElsewhere(sent.hash);
      assert.deepEqual([receipt.status, receipt.type], [1, type]);
      const elsewhere = new Contract(await token.getAddress(), world.token.abi, providers[1]);
      assert.equal(await elsewhere.balanceOf(recipient), before + 100n);
      const shown = await providers[1].getTransaction(sent.hash);
      assert.deepEqual([shown.type, shown.from, shown.blockHash], [type, wallet.address, receipt.blockHash]);
    });
  }

  test("events are found by filter, by range and by block on another node", async () => {
    const elsewhere = new Contract(await token.getAddress(), world.token.abi, providers[1]);
    const events = await elsewhere.queryFilter(elsewhere.filters.Transfer(wallet.address, recipient), 0, "latest");
    assert.deepEqual(events.map((event) => event.args.value), [100n, 100n, 100n]);
    const { blockHash, blockNumber } = events[0];
    const inBlock = await providers[1].getLogs({ address: await token.getAddress(), blockHash });
    assert.ok(inBlock.some((log) => log.transactionHash === events[0].transactionHash));
    const block = await providers[0].getBlock(blockNumber);
    assert.equal(block.hash, blockHash);
    assert.ok(block.transactions.includes(events[0].transactionHash));
  });

  test("a revert reason is decoded, from a call and from an estimate", async () => {
    const poor = token.connect(Wallet.createRandom(providers[0]));
    const insufficient = (error) => {
      assert.ok(isError(error, "CALL_EXCEPTION"), String(error));
      assert.equal(token.interface.parseError(error.data)?.name, "ERC20InsufficientBalance", String(error));
      return true;
    };
    await assert.rejects(poor.transfer.staticCall(recipient, 1n), insufficient);
    await assert.rejects(token.transfer.estimateGas(recipient, SUPPLY * 2n), insufficient);
  });

  test("a transaction that reverts has a receipt that says so", async () => {
    const sent = await token.transfer(recipient, SUPPLY * 2n, { gasLimit: 100_000n });
    await assert.rejects(sent.wait(1, RECEIPT_MS_MAX), (error) => isError(error, "CALL_EXCEPTION"));
    assert.equal((await receiptElsewhere(sent.hash)).status, 0);
  });

  test("the estimate suffices and is not far off", async () => {
    const estimate = await token.transfer.estimateGas(recipient, 1n);
    const sent = await token.transfer(recipient, 1n, { gasLimit: estimate });
    const receipt = await sent.wait(1, RECEIPT_MS_MAX);
    assert.equal(receipt.status, 1);
    assert.ok(estimate < 2n * receipt.gasUsed, `estimate ${estimate}, used ${receipt.gasUsed}`);
  });

  test("nonces count, also of transactions sent in a row", async () => {
    const first = await providers[0].getTransactionCount(wallet.address, "pending");
    const transactions = [];
    for (let offset = 0; offset < 3; offset += 1) {
      transactions.push(await wallet.sendTransaction({ to: recipient, value: 1n, nonce: first + offset }));
    }
    assert.equal(await providers[0].getTransactionCount(wallet.address, "pending"), first + 3);
    for (const transaction of transactions) await receiptElsewhere(transaction.hash);
    assert.equal(await providers[1].getTransactionCount(wallet.address, "latest"), first + 3);
    await assert.rejects(
      wallet.sendTransaction({ to: recipient, value: 1n, nonce: first }),
      (error) => isError(error, "NONCE_EXPIRED"),
    );
  });

  test("money that is not there cannot be sent", async () => {
    const poor = Wallet.createRandom(providers[0]);
    const transaction = { to: recipient, value: 1n, gasLimit: 21_000n };
    await assert.rejects(poor.sendTransaction(transaction), (error) => isError(error, "INSUFFICIENT_FUNDS"));
  });
}
