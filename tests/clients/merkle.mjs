// Merkle-Patricia proofs (EIP-1186), checked with nothing but keccak256 and RLP.
import assert from "node:assert/strict";
import { decodeRlp, keccak256 } from "ethers";

const nibblesOf = (hex) => [...hex.slice(2)].map((digit) => Number.parseInt(digit, 16));

/// The value that `proof` shows under keccak256(key) below `root`, or null where it shows that there is none.
export function provenValue(root, key, proof) {
  const path = nibblesOf(keccak256(key));
  let reference = root;
  let depth = 0;
  let rest = [...proof];
  let node;
  while (reference !== "0x") {
    if (typeof reference === "string") {
      const encoded = rest.shift();
      assert.ok(encoded, "the proof ends too early");
      assert.equal(keccak256(encoded), reference, "a node is not the one referred to");
      node = decodeRlp(encoded);
    } else {
      // A node of fewer than 32 bytes stands within its parent.
      node = reference;
    }
    if (node.length === 17) {
      if (depth === path.length) return node[16] === "0x" ? null : node[16];
      reference = node[path[depth]];
      depth += 1;
      continue;
    }
    const [prefix, value] = node;
    const [flag, ...nibbles] = nibblesOf(prefix);
    const part = flag % 2 === 1 ? nibbles : nibbles.slice(1);
    const matches = part.every((nibble, index) => path[depth + index] === nibble);
    if (!matches) return null;
    depth += part.length;
    if (flag >= 2) return depth === path.length ? value : null;
    reference = value;
  }
  return null;
}
