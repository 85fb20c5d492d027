// Compiles src/*.sol with the pinned solc and writes artifacts/NAME.json: ABI, bytecodes and the storage slots that
// the genesis document seeds. With --check it writes nothing and fails where an artifact differs.
import { createRequire } from "node:module";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const solc = createRequire(import.meta.url)("solc");
const root = dirname(fileURLToPath(import.meta.url));
const checkOnly = process.argv.includes("--check");

/// The contracts whose artifacts the node embeds.
const contracts = ["RecordRegistry", "ConsentRegistry", "DataMarket", "DataRequest"];

const input = {
  language: "Solidity",
  sources: Object.fromEntries(
    readdirSync(join(root, "src"))
      .filter((name) => name.endsWith(".sol"))
      .sort()
      .map((name) => [name, { content: readFileSync(join(root, "src", name), "utf8") }]),
  ),
  settings: {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: "cancun",
    // No metadata in the bytecode: the same source gives the same bytes on every machine.
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: {
      "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"] },
    },
  },
};

const output = JSON.parse(solc.compile(JSON.stringify(input)));
const messages = output.errors ?? [];
for (const message of messages) console.error(message.formattedMessage);
if (messages.length > 0) {
  console.error("compile the system contracts: solc must be silent, warnings included");
  process.exit(1);
}

mkdirSync(join(root, "artifacts"), { recursive: true });
let drifted = false;
for (const name of contracts) {
  const compiled = output.contracts[`${name}.sol`][name];
  const slots = compiled.storageLayout.storage.map(({ label, slot }) => [label, Number(slot)]);
  const artifact = {
    contractName: name,
    compiler: solc.version().split("+")[0],
    slots: Object.fromEntries(slots),
    abi: compiled.abi,
    bytecode: `0x${compiled.evm.bytecode.object}`,
    deployedBytecode: `0x${compiled.evm.deployedBytecode.object}`,
  };
  const text = `${JSON.stringify(artifact, null, 1)}\n`;
  const path = join(root, "artifacts", `${name}.json`);
  const same = existsSync(path) && readFileSync(path, "utf8") === text;
  if (checkOnly && !same) {
    drifted = true;
    console.error(`contracts/artifacts/${name}.json differs from what contracts/src gives; run: cargo xtask contracts`);
  } else if (!same) {
    writeFileSync(path, text);
    console.log(`wrote contracts/artifacts/${name}.json`);
  }
}
process.exit(drifted ? 1 : 0);
