// viem 2: deploy, write with every transaction type, receipts on another node, events, reverts, gas and nonces.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  defineChain,
  http,
  parseEther,
} from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { SUPPLY } from "./token.mjs";

const RECEIPT_MS_MAX = 60_000;
const TYPES = ["legacy", "eip2930", "eip1559"];

export function viemTests(world) {
  const recipient = privateKeyToAccount(generatePrivateKey()).address;
  let here;
  let elsewhere;
  let wallet;
  let contract;

  /// The receipt, as another node than the one that took the transaction sees it.
  const receiptElsewhere = (hash) => elsewhere.waitForTransactionReceipt({ hash, timeout: RECEIPT_MS_MAX });

  before(async () => {
    const { nodes, chain_id: id, funded } = world.devnet;
    const [first, second] = nodes.slice(2).map(({ rpc }) => rpc);
    const nativeCurrency = { name: "BXM", symbol: "BXM", decimals: 18 };
    const chain = defineChain({ id, name: "BXP devnet", nativeCurrency, rpcUrls: { default: { http: [first] } } });
    const client = (url) => ({ chain, transport: http(url), pollingInterval: 200, cacheTime: 0 });
    here = createPublicClient(client(first));
    elsewhere = createPublicClient(client(second));
    wallet = createWalletClient({ ...client(first), account: privateKeyToAccount(generatePrivateKey()) });

    const faucet = createWalletClient({ ...client(first), account: privateKeyToAccount(funded[0].private_key) });
    const hash = await faucet.sendTransaction({ to: wallet.account.address, value: parseEther("10") });
    await here.waitForTransactionReceipt({ hash, timeout: RECEIPT_MS_MAX });
  });

  test("the chain id is the genesis document's", async () => {
    assert.equal(await here.getChainId(), world.devnet.chain_id);
  });

  test("an unmodified OpenZeppelin ERC-20 deploys", async () => {
    const hash = await wallet.deployContract(world.token);
    const receipt = await receiptElsewhere(hash);
    assert.equal(receipt.status, "success");
    contract = { address: receipt.contractAddress, abi: world.token.abi };
    const args = [wallet.account.address];
    assert.equal(await elsewhere.readContract({ ...contract, functionName: "balanceOf", args }), SUPPLY);
  });

  for (const type of TYPES) {
    test(`a transfer of type ${type} is received on another node`, async () => {
      const accessList = type === "eip2930" ? [{ address: contract.address, storageKeys: [] }] : undefined;
      const request = { ...contract, functionName: "transfer", args: [recipient, 100n], type };
      const hash = await wallet.writeContract(accessList ? { ...request, accessList } : request);
      const receipt = await receiptElsewhere(hash);
      assert.deepEqual([receipt.status, receipt.type], ["success", type]);
      const shown = await elsewhere.getTransaction({ hash });
      assert.deepEqual([shown.type, shown.blockHash], [type, receipt.blockHash]);
    });
  }

  test("events are read on another node", async () => {
    const events = await elsewhere.getContractEvents({
      ...contract,
      eventName: "Transfer",
      args: { to: recipient },
      fromBlock: 0n,
      toBlock: "latest",
    });
    assert.deepEqual(events.map((event) => event.args.value), TYPES.map(() => 100n));
    const block = await here.getBlock({ blockHash: events[0].blockHash, includeTransactions: true });
    assert.ok(block.transactions.some(({ hash }) => hash === events[0].transactionHash));
  });

  test("a revert reason is decoded", async () => {
    const request = { ...contract, functionName: "transfer", args: [recipient, SUPPLY * 2n] };
    await assert.rejects(here.simulateContract({ ...request, account: wallet.account }), (error) => {
      const reverted = error instanceof BaseError && error.walk((e) => e instanceof ContractFunctionRevertedError);
      assert.equal(reverted?.data?.errorName, "ERC20InsufficientBalance", String(error));
      return true;
    });
    const hash = await wallet.writeContract({ ...request, gas: 100_000n });
    assert.equal((await receiptElsewhere(hash)).status, "reverted");
  });

  test("the estimate suffices", async () => {
    const request = { ...contract, functionName: "transfer", args: [recipient, 1n] };
    const gas = await here.estimateContractGas({ ...request, account: wallet.account });
    const receipt = await receiptElsewhere(await wallet.writeContract({ ...request, gas }));
    assert.equal(receipt.status, "success");
    assert.ok(gas >= receipt.gasUsed);
  });

  test("nonces count", async () => {
    const { address } = wallet.account;
    const nonce = await here.getTransactionCount({ address, blockTag: "pending" });
    const hash = await wallet.sendTransaction({ to: recipient, value: 1n, nonce });
    await receiptElsewhere(hash);
    assert.equal(await elsewhere.getTransactionCount({ address }), nonce + 1);
  });
}
