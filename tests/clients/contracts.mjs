// Contracts for the tests, compiled here and now from unmodified OpenZeppelin sources.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const solc = createRequire(import.meta.url)("solc");
const modules = fileURLToPath(new URL("node_modules/", import.meta.url));

/// Compiles Solidity; gives ABI and bytecode by contract.
export function compile(source) {
  const input = {
    language: "Solidity",
    sources: { "Test.sol": { content: source } },
    settings: {
      optimizer: { enabled: true, runs: 200 },
      evmVersion: "prague",
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
    },
  };
  const load = (path) => ({ contents: readFileSync(modules + path, "utf8") });
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: load }));
  const errors = (output.errors ?? []).filter(({ severity }) => severity === "error");
  assert.deepEqual(errors, [], "compile the contracts");
  const contracts = Object.entries(output.contracts["Test.sol"]);
  return Object.fromEntries(contracts.map(([name, { abi, evm }]) => [name, { abi, bytecode: `0x${evm.bytecode.object}` }]));
}

/// A counter behind an OpenZeppelin proxy, in two versions.
export function compileUpgradeable() {
  return compile(`// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
contract CounterV1 is UUPSUpgradeable {
  uint256 public count;
  address public owner;
  event Counted(address indexed by, uint256 count);
  error NotOwner(address caller);
  function initialize() external { require(owner == address(0), "initialized"); owner = msg.sender; }
  function increment() external virtual { count += 1; emit Counted(msg.sender, count); }
  function version() external pure virtual returns (uint256) { return 1; }
  function _authorizeUpgrade(address) internal view override { if (msg.sender != owner) revert NotOwner(msg.sender); }
}
contract CounterV2 is CounterV1 {
  function increment() external override { count += 10; emit Counted(msg.sender, count); }
  function version() external pure override returns (uint256) { return 2; }
}
contract Proxy is ERC1967Proxy { constructor(address logic, bytes memory data) ERC1967Proxy(logic, data) {} }
`);
}
