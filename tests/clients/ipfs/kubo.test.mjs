// Kubo, unmodified but for its build, as an IPFS peer of a hospital's node.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { binary as bxp } from "../devnet.mjs";
import { binary, isThere, startKubo } from "./kubo.mjs";
import { PLANTED, startWorld } from "./world.mjs";

const REFUSED = ["--timeout=6s"];

describe("Kubo and a hospital's content store", { skip: isThere ? false : `${binary} is not there: Go builds it` }, () => {
  let world;
  let reader;
  let stranger;
  let published;

  before(async () => {
    world = await startWorld();
    reader = await startKubo(world.swarmKey);
    stranger = await startKubo(world.swarmKey);
    published = await world.publish([reader.id]);
  });
  after(async () => {
    await Promise.all([reader, stranger].map((kubo) => kubo?.stop()));
    await world?.stop();
  });

  test("it fetches the DAG by bitswap, and its blocks are those of the node's CAR", async () => {
    await reader.ipfs("swarm", "connect", world.star.content);
    await reader.ipfs("pin", "add", "--timeout=60s", published.root);
    const refs = (await reader.ipfs("refs", "--recursive", "--offline", published.root)).split("\n");
    assert.equal(refs.length, 8, "two charts and six records under the root");
    const record = JSON.parse(await reader.ipfs("dag", "get", `${published.root}/charts/0/records/0`));
    assert.equal(record.kind, "bxp/record");
    const all = await Promise.all(refs.map((cid) => reader.ipfs("dag", "get", cid)));
    for (const planted of PLANTED) assert.ok(!all.join().includes(planted), planted);
    assert.match(await reader.ipfs("dag", "stat", "--progress=false", published.root), /Total Size/);
  });

  test("without a right it gets no block", async () => {
    await stranger.ipfs("swarm", "connect", world.star.content);
    await assert.rejects(stranger.ipfs("block", "get", ...REFUSED, published.root));
    assert.match(await reader.ipfs("block", "stat", "--offline", published.root), /Size/);
  });

  test("without the swarm key it gets no connection", async () => {
    const outside = await startKubo(undefined);
    try {
      await assert.rejects(outside.ipfs("swarm", "connect", "--timeout=10s", world.star.content));
    } finally {
      await outside.stop();
    }
  });

  test("the node fetches from Kubo what Kubo made, a file of many blocks among it", async () => {
    const file = join(reader.folder, "large.bin");
    await writeFile(file, Buffer.alloc(1_000_000, 7).map((_, index) => (index * 31) >> 8));
    const root = await reader.ipfs("add", "--quieter", "--cid-version=1", "--chunker=size-100000", file);
    const addresses = (await reader.ipfs("swarm", "addrs", "local", "--id")).split("\n");
    const body = { root, peers: [addresses.find((address) => address.includes("/ip4/127.0.0.1/tcp/"))] };
    const fetched = await world.ok("POST", "dags/$fetch", body);
    assert.ok(fetched.fromPeers >= 10, JSON.stringify(fetched));
    const output = join(reader.folder, "large.car");
    await promisify(execFile)(bxp, ["content", "export", root, "--output", output, "--config", world.star.config]);
    const imported = await stranger.ipfs("dag", "import", "--stats", output);
    assert.match(imported, new RegExp(root));
    assert.equal(await stranger.ipfs("cat", "--offline", root), await reader.ipfs("cat", "--offline", root));
  });
});
