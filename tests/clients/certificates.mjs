// What a client knows that trusts the genesis document alone: whether the validators attested a block (ADR 17).
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  JsonRpcProvider,
  Wallet,
  concat,
  encodeRlp,
  getBytes,
  hexlify,
  keccak256,
  sha256,
  stripZerosLeft,
  toBeHex,
  toQuantity,
  toUtf8Bytes,
} from "ethers";
import { createPublicClient, http } from "viem";
import { until } from "./devnet.mjs";

const RECEIPT_MS_MAX = 60_000;
const ATTESTATION = "BXP block attestation v1";
/// The header's fields in the order of their RLP (yellow paper, EIP-1559, 4895, 4844, 4788, 7685).
const HEADER = [
  "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "difficulty",
  "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce", "baseFeePerGas", "withdrawalsRoot",
  "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash",
];
/// Those that are numbers, which RLP writes without leading zeros.
const NUMBERS = [
  "difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas",
];

/// The block's hash, from the fields of its header; the one that the node gives is not looked at.
function headerHash(block) {
  const fields = HEADER.map((name) => {
    assert.ok(block[name], `the header has ${name}`);
    return NUMBERS.includes(name) ? stripZerosLeft(toBeHex(block[name])) : block[name];
  });
  return keccak256(encodeRlp(fields));
}

/// What a validator signs for `block` in the network of `genesis`.
function attestation(genesis, block) {
  const network = sha256(toUtf8Bytes(JSON.stringify(genesis)));
  return getBytes(concat([toUtf8Bytes(ATTESTATION), network, toBeHex(block.number, 8), headerHash(block)]));
}

/// n - t, where t is the largest number below a third of n.
const quorumOf = ({ validators }) => validators.length - Math.floor((validators.length - 1) / 3);

function keyOf({ public_key: key }) {
  const x = Buffer.from(getBytes(key)).toString("base64url");
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

/// Whether n - t validators of `genesis` signed this very block. What else a certificate says is not believed.
function holds(genesis, block, { signatures }) {
  const message = attestation(genesis, block);
  const valid = signatures.filter(({ validator, signature }) => {
    const entry = genesis.validators[validator];
    return entry !== undefined && verify(null, message, keyOf(entry), getBytes(signature));
  });
  return new Set(valid.map(({ validator }) => validator)).size >= quorumOf(genesis);
}

const otherBytes = (hex) => hex.slice(0, -1) + (hex.endsWith("0") ? "1" : "0");

export function certificatesTests(world) {
  const providers = [];
  let genesis;
  let block;
  let certificate;

  before(async () => {
    genesis = JSON.parse(readFileSync(join(world.devnet.folder, "genesis.json"), "utf8"));
    for (const node of world.devnet.nodes) {
      providers.push(new JsonRpcProvider(node.rpc, undefined, { pollingInterval: 200, cacheTimeout: -1 }));
    }
    const faucet = new Wallet(world.devnet.funded[0].private_key, providers[0]);
    const sent = await faucet.sendTransaction({ to: Wallet.createRandom().address, value: 1n });
    const { blockNumber } = await sent.wait(1, RECEIPT_MS_MAX);
    const number = toQuantity(blockNumber);
    const last = providers[providers.length - 1];
    block = await until("the block on the last node", () => last.send("eth_getBlockByNumber", [number, false]));
    certificate = await certificateOf(last, number);
  });

  after(() => providers.forEach((provider) => provider.destroy()));

  const certificateOf = (provider, number) =>
    until(`the certificate of block ${number}`, () => provider.send("bxp_getCertificate", [number]));

  /// As many signatures as there must be, and none more.
  const enough = () => certificate.signatures.slice(0, quorumOf(genesis));

  test("the header hashes to the block's hash, and names its parent", async () => {
    assert.equal(headerHash(block), block.hash);
    const before = toQuantity(BigInt(block.number) - 1n);
    const parent = await providers[0].send("eth_getBlockByNumber", [before, false]);
    assert.equal(headerHash(parent), block.parentHash);
  });

  test("every node's certificate holds for who has the genesis document alone", async () => {
    for (const provider of providers) {
      const given = await certificateOf(provider, block.number);
      assert.ok(holds(genesis, block, given), JSON.stringify(given));
    }
  });

  test("viem reads the same certificate, and it says of itself what genesis says", async () => {
    const client = createPublicClient({ transport: http(world.devnet.nodes[world.devnet.nodes.length - 1].rpc) });
    const given = await client.request({ method: "bxp_getCertificate", params: [block.number] });
    assert.deepEqual(given, certificate);
    assert.deepEqual([given.blockHash, BigInt(given.height)], [block.hash, BigInt(block.number)]);
    assert.equal(given.networkId, sha256(toUtf8Bytes(JSON.stringify(genesis))));
    assert.equal(given.quorum, quorumOf(genesis));
    for (const { validator, name, publicKey } of given.signatures) {
      const entry = genesis.validators[validator];
      assert.deepEqual([name, publicKey], [entry.name, entry.public_key]);
    }
  });

  test("a header with any other field is not certified", () => {
    for (const name of HEADER) {
      const other = NUMBERS.includes(name) ? toQuantity(BigInt(block[name]) + 1n) : otherBytes(block[name]);
      assert.ok(!holds(genesis, { ...block, [name]: other }, certificate), name);
    }
  });

  test("a block has the certificate of no other block and of no other network", async () => {
    const before = toQuantity(BigInt(block.number) - 1n);
    const parent = await providers[0].send("eth_getBlockByNumber", [before, false]);
    assert.ok(!holds(genesis, parent, certificate));
    assert.ok(!holds({ ...genesis, chain_id: genesis.chain_id + 1 }, block, certificate));
  });

  test("a missing, repeated, forged or foreign signature does not count", () => {
    const signatures = enough();
    const [first, second, ...rest] = signatures;
    assert.ok(holds(genesis, block, { signatures }));
    const { privateKey } = generateKeyPairSync("ed25519");
    const outsiders = hexlify(sign(null, attestation(genesis, block), privateKey));
    const withFirst = (other) => ({ signatures: [other, second, ...rest] });
    for (const [what, wrong] of [
      ["one too few", { signatures: signatures.slice(1) }],
      ["one twice", withFirst(second)],
      ["a changed one", withFirst({ ...first, signature: otherBytes(first.signature) })],
      ["another's", withFirst({ ...first, signature: second.signature })],
      ["an outsider's", withFirst({ ...first, signature: outsiders })],
      ["of no validator", withFirst({ ...first, validator: genesis.validators.length })],
    ]) {
      assert.ok(!holds(genesis, block, wrong), what);
    }
  });
}
