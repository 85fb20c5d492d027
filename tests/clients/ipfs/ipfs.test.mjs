// Helia and a JavaScript client of the trustless gateway, unmodified, against a hospital's node.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { CarReader } from "@ipld/car";
import * as dagCbor from "@ipld/dag-cbor";
import { CID } from "multiformats/cid";
import { sha256 } from "multiformats/hashes/sha2";
import { readFrom, shardedFolder } from "./unixfs.mjs";
import { PLANTED, startWorld } from "./world.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
/// How long Helia may wait for a block that it is to get, and for one that it is not.
const PATIENCE_MS = 20_000;
const REFUSED_MS = 6_000;
const READER = "11".repeat(32);
const STRANGER = "22".repeat(32);

async function helia(...options) {
  const node = here("node_modules/node/bin/node");
  const { stdout } = await promisify(execFile)(node, [here("helia_peer.mjs"), ...options], { timeout: 120_000 });
  return JSON.parse(stdout.trim().split("\n").at(-1));
}

describe("a hospital's content store", () => {
  let world;
  let published;

  const fetchAs = (seed, more = {}) => {
    const wanted = { seed, swarmKey: world.swarmKey, address: world.star.content, root: published.root };
    return helia("fetch", JSON.stringify({ ...wanted, waitMs: PATIENCE_MS, ...more }));
  };

  before(async () => {
    world = await startWorld();
    const { id } = await helia("id", READER);
    published = await world.publish([id], 1);
    assert.equal(published.charts, 2);
    assert.equal(published.records, 6);
  });
  after(async () => {
    await world?.stop();
  });

  test("Helia fetches the de-identified DAG by bitswap and verifies every block", async () => {
    const { blocks, resources, error } = await fetchAs(READER);
    assert.equal(error, undefined);
    assert.equal(blocks.length, 9, "a root, two charts, six records");
    assert.deepEqual(
      resources.map(({ resourceType }) => resourceType).sort(),
      ["Condition", "Condition", "Observation", "Observation", "Patient", "Patient"],
    );
    const text = JSON.stringify(resources);
    for (const planted of PLANTED) assert.ok(!text.includes(planted), planted);
    const { peers } = await world.ok("GET", "dags/$stat");
    assert.ok(peers.every(({ sentBlocks }) => sentBlocks <= 9));
  });

  test("without the swarm key Helia gets no connection", async () => {
    const { blocks, error } = await fetchAs(READER, { swarmKey: null, waitMs: REFUSED_MS });
    assert.deepEqual(blocks, []);
    assert.match(error, /./);
    const wrong = world.swarmKey.replace(/[0-9a-f]{64}/, "00".repeat(32));
    const other = await fetchAs(READER, { swarmKey: wrong, waitMs: REFUSED_MS });
    assert.deepEqual(other.blocks, []);
    assert.match(other.error, /./);
  });

  test("with the swarm key and without a right Helia gets no block", async () => {
    const { blocks, error } = await fetchAs(STRANGER, { waitMs: REFUSED_MS });
    assert.deepEqual(blocks, []);
    assert.match(error, /./);
  });

  test("a client verifies a CAR from the gateway, and nobody gets one without a token", async () => {
    const url = `${world.star.fhir}/ipfs/${published.root}`;
    const accept = { accept: "application/vnd.ipld.car; version=1; order=dfs; dups=n" };
    assert.equal((await fetch(url, { headers: accept })).status, 401);
    assert.equal((await fetch(url, { headers: { ...accept, authorization: "Bearer guess" } })).status, 401);
    const headers = { ...accept, authorization: `Bearer ${published.tokenTexts[0]}` };
    const response = await fetch(url, { headers });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/vnd.ipld.car; version=1; order=dfs; dups=n");
    const car = await CarReader.fromBytes(new Uint8Array(await response.arrayBuffer()));
    assert.deepEqual((await car.getRoots()).map(String), [published.root]);
    const met = [];
    for await (const { cid, bytes } of car.blocks()) {
      assert.deepEqual((await sha256.digest(bytes)).bytes, cid.multihash.bytes, `${cid}`);
      met.push(dagCbor.decode(bytes).kind);
    }
    const chart = ["bxp/chart", "bxp/record", "bxp/record", "bxp/record"];
    assert.deepEqual(met, ["bxp/record-set", ...chart, ...chart], "depth first");
    const path = `${url}/charts/0/records/1`;
    const leaf = await CarReader.fromBytes(new Uint8Array(await (await fetch(path, { headers })).arrayBuffer()));
    const kinds = [];
    for await (const { bytes } of leaf.blocks()) kinds.push(dagCbor.decode(bytes).kind);
    assert.deepEqual(kinds, ["bxp/record-set", "bxp/chart", "bxp/record"]);
    const block = await fetch(`${url}?format=raw`, { headers: { authorization: headers.authorization } });
    const digest = await sha256.digest(new Uint8Array(await block.arrayBuffer()));
    assert.deepEqual(digest.bytes, CID.parse(published.root).multihash.bytes);
  });

  test("a light client reads files of a large folder by the blocks of their paths alone", async () => {
    const folder = await shardedFolder(2_000);
    const taken = await world.fetch("dags", { method: "POST", body: folder.car });
    assert.equal(taken.status, 200, await taken.text());
    const verify = async (cid, bytes) => assert.deepEqual((await sha256.digest(bytes)).bytes, cid.multihash.bytes, `${cid}`);
    const car = async (path, query = "") => {
      const response = await world.fetch(`ipfs/${folder.root}/${path}?format=car${query}`);
      assert.equal(response.status, 200, path);
      return new Uint8Array(await response.arrayBuffer());
    };
    for (const number of [0, 1, 685, 1_999]) {
      const { bytes, met } = await readFrom(await car(`${number}.txt`), `${folder.root}/${number}.txt`, verify);
      assert.deepEqual(bytes, folder.content(number));
      assert.equal(met[0], folder.root);
      assert.ok(met.length < 12, `${met.length} of some 12,000 blocks`);
      assert.equal(new Set(met).size, met.length);
    }
    const part = await car("685.txt", "&entity-bytes=70:75");
    const asked = { offset: 70, length: 6 };
    const { bytes, met } = await readFrom(part, `${folder.root}/685.txt`, verify, asked);
    assert.deepEqual(bytes, folder.content(685).subarray(70, 76));
    const whole = await readFrom(await car("685.txt"), `${folder.root}/685.txt`, verify);
    assert.equal(whole.met.length - met.length, 4, "one part of five");
    const missing = await world.fetch(`ipfs/${folder.root}/2000.txt?format=car`);
    assert.equal(missing.status, 404);
    const probe = await world.fetch("ipfs/bafkqaaa?format=car&car-dups=y");
    const empty = await CarReader.fromBytes(new Uint8Array(await probe.arrayBuffer()));
    assert.deepEqual((await empty.getRoots()).map(String), ["bafkqaaa"]);
    assert.equal(probe.headers.get("content-type"), "application/vnd.ipld.car; version=1; order=dfs; dups=y");
  });

  test("who takes part no more is given out no more", async () => {
    const { patients } = await world.ok("GET", "patients");
    await world.ok("POST", "consents", { changes: [{ subject: patients[0].subject, on: false }] });
    const { resources, error } = await fetchAs(READER, { waitMs: REFUSED_MS });
    assert.match(error, /./, "the DAG is not whole any more");
    assert.ok(resources.length <= 3);
    const released = await world.operator("DELETE", `dags/${published.root}`);
    assert.equal(released.status, 200);
    const nothing = await fetchAs(READER, { waitMs: REFUSED_MS });
    assert.deepEqual(nothing.blocks, []);
  });
});
