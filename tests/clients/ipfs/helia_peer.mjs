// Helia as a peer of a private swarm, run by Node 22 in a process of its own.
//   node helia_peer.mjs id SEED                says the peer's id
//   node helia_peer.mjs fetch '{"seed","swarmKey","address","root","waitMs"}'
//                                              walks the DAG by bitswap and says what came
import { createHeliaLight } from "helia";
import { withBitswap } from "@helia/bitswap";
import { withLibp2pLight } from "@helia/libp2p";
import * as dagCbor from "@ipld/dag-cbor";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { identify } from "@libp2p/identify";
import { noise } from "@libp2p/noise";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { ping } from "@libp2p/ping";
import { preSharedKey } from "@libp2p/pnet";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { CID } from "multiformats/cid";
import { sha256 } from "multiformats/hashes/sha2";

const [action, argument] = process.argv.slice(2);

const keyOf = (seed) => generateKeyPairFromSeed("Ed25519", Buffer.from(seed, "hex"));

async function start(seed, swarmKey) {
  const options = {
    privateKey: await keyOf(seed),
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping() },
  };
  // Without a key the options have none: then libp2p begins with its usual negotiation.
  if (swarmKey) options.connectionProtector = preSharedKey({ psk: Buffer.from(swarmKey) });
  const helia = withBitswap(withLibp2pLight(createHeliaLight({ codecs: [dagCbor] }), options));
  await helia.start();
  return helia;
}

/// A block's bytes, whether the store gives them at once or in pieces.
async function bytesOf(given) {
  const value = await given;
  if (value instanceof Uint8Array) return value;
  const pieces = [];
  for await (const piece of value) pieces.push(piece);
  return Buffer.concat(pieces);
}

function linksOf(value) {
  if (CID.asCID(value)) return [CID.asCID(value)];
  if (value instanceof Uint8Array || value === null || typeof value !== "object") return [];
  return Object.values(value).flatMap(linksOf);
}

async function fetchAll({ seed, swarmKey, address, root, waitMs }) {
  const helia = await start(seed, swarmKey);
  const blocks = [];
  const resources = [];
  try {
    await helia.libp2p.dial(multiaddr(address), { signal: AbortSignal.timeout(waitMs) });
    const queue = [CID.parse(root)];
    while (queue.length > 0) {
      const cid = queue.shift();
      const bytes = await bytesOf(helia.blockstore.get(cid, { signal: AbortSignal.timeout(waitMs) }));
      const digest = await sha256.digest(bytes);
      if (Buffer.compare(digest.bytes, cid.multihash.bytes) !== 0) throw new Error(`${cid} has another hash`);
      blocks.push(cid.toString());
      const value = dagCbor.decode(bytes);
      if (value.kind === "bxp/record") resources.push(JSON.parse(value.resource));
      queue.push(...linksOf(value));
    }
    return { blocks, resources };
  } catch (error) {
    return { blocks, resources, error: `${error.name}: ${error.message}` };
  } finally {
    await helia.stop();
  }
}

if (action === "id") {
  console.log(JSON.stringify({ id: peerIdFromPrivateKey(await keyOf(argument)).toString() }));
} else {
  console.log(JSON.stringify(await fetchAll(JSON.parse(argument))));
}
process.exit(0);
