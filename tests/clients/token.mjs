// An unmodified OpenZeppelin ERC-20, compiled here and now.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const solc = createRequire(import.meta.url)("solc");
const modules = fileURLToPath(new URL("node_modules/", import.meta.url));

const source = `// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
contract Token is ERC20("Token", "TKN") { constructor() { _mint(msg.sender, 1000 ether); } }
`;

/// What the constructor mints to the deployer.
export const SUPPLY = 1000n * 10n ** 18n;

/// ABI and bytecode of the token.
export function compileToken() {
  const input = {
    language: "Solidity",
    sources: { "Token.sol": { content: source } },
    settings: {
      optimizer: { enabled: true, runs: 200 },
      evmVersion: "prague",
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
    },
  };
  const load = (path) => ({ contents: readFileSync(modules + path, "utf8") });
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: load }));
  assert.deepEqual(output.errors ?? [], [], "compile the token");
  const { abi, evm } = output.contracts["Token.sol"].Token;
  return { abi, bytecode: `0x${evm.bytecode.object}` };
}
