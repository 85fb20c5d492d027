// A folder in shards as JavaScript's own importer makes it, in a CAR file; and its exporter, which reads from the blocks of an
// answer and from nothing else.
import { CarReader, CarWriter } from "@ipld/car";
import * as dagPb from "@ipld/dag-pb";
import { MemoryBlockstore } from "blockstore-core";
import { exporter } from "ipfs-unixfs-exporter";
import { importer } from "ipfs-unixfs-importer";
import { fixedSize } from "ipfs-unixfs-importer/chunker";

const CHUNK_BYTES = 64;

async function bytesOf(parts) {
  const all = [];
  for await (const part of parts) all.push(part);
  return Buffer.concat(all);
}

/// A blockstore of verified blocks: its own `put` would take anything.
async function blocksOf(car, verify) {
  const store = new MemoryBlockstore();
  const met = [];
  for await (const { cid, bytes } of (await CarReader.fromBytes(car)).blocks()) {
    await verify(cid, bytes);
    await store.put(cid, bytes);
    met.push(cid.toString());
  }
  return { store, met };
}

/// The blocks of a DAG under the names that its links have: the store knows hashes, and no codecs.
async function* dagOf(store, cid) {
  const bytes = await bytesOf(store.get(cid));
  yield { cid, bytes };
  if (cid.code !== dagPb.code) return;
  for (const { Hash } of dagPb.decode(bytes).Links) yield* dagOf(store, Hash);
}

/// `count` files of some hundred bytes in a folder in shards, as a CAR file.
export async function shardedFolder(count) {
  const store = new MemoryBlockstore();
  const content = (number) => Buffer.from(`file ${number} `.repeat(30));
  const files = Array.from({ length: count }, (_, number) => ({ path: `many/${number}.txt`, content: content(number) }));
  let root;
  const options = { shardSplitThresholdBytes: 0, chunker: fixedSize({ chunkSize: CHUNK_BYTES }), rawLeaves: true };
  for await (const entry of importer(files, store, options)) if (entry.path === "many") root = entry.cid;
  const { writer, out } = CarWriter.create([root]);
  const written = bytesOf(out);
  for await (const block of dagOf(store, root)) await writer.put(block);
  await writer.close();
  return { root: root.toString(), car: await written, content };
}

/// Reads a file at `path`, or `length` bytes of it from `offset`, from the blocks of a CAR file.
export async function readFrom(car, path, verify, { offset, length } = {}) {
  const { store, met } = await blocksOf(car, verify);
  const entry = await exporter(path, store);
  return { bytes: await bytesOf(entry.content({ offset, length })), met };
}
