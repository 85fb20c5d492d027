// Compiles src/*.sol and test/*.sol with the pinned solc and writes artifacts/[test/]NAME.json: ABI, bytecodes and the
// storage slots that the genesis document seeds. With --check it writes nothing and fails where an artifact differs.
import { createRequire } from "node:module";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const solc = createRequire(import.meta.url)("solc");
const root = dirname(fileURLToPath(import.meta.url));

/// Source unit, contract, artifact: the contracts that the node embeds, and the accounts that its tests set on them.
const wanted = [
  ["src/RecordRegistry.sol", "RecordRegistry", "RecordRegistry.json"],
  ["src/ConsentRegistry.sol", "ConsentRegistry", "ConsentRegistry.json"],
  ["src/DataMarket.sol", "DataMarket", "DataMarket.json"],
  ["src/DataRequest.sol", "DataRequest", "DataRequest.json"],
  ["src/IPayments.sol", "IPayments", "IPayments.json"],
  ["src/NodeRegistry.sol", "NodeRegistry", "NodeRegistry.json"],
  ["test/Payroll.sol", "Payroll", "test/Payroll.json"],
  ["test/HostileAccounts.sol", "RefusingAccount", "test/RefusingAccount.json"],
  ["test/HostileAccounts.sol", "GreedyAccount", "test/GreedyAccount.json"],
  ["test/HostileAccounts.sol", "ReentrantAccount", "test/ReentrantAccount.json"],
];

function sources() {
  const found = ["src", "test"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".sol"))
      .map((name) => `${folder}/${name}`),
  );
  return Object.fromEntries(found.sort().map((path) => [path, { content: readFileSync(join(root, path), "utf8") }]));
}

function compile() {
  const input = {
    language: "Solidity",
    sources: sources(),
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
  return output.contracts;
}

function artifact(name, compiled) {
  const slots = compiled.storageLayout.storage.map(({ label, slot }) => [label, Number(slot)]);
  const content = {
    contractName: name,
    compiler: solc.version().split("+")[0],
    slots: Object.fromEntries(slots),
    abi: compiled.abi,
    bytecode: `0x${compiled.evm.bytecode.object}`,
    deployedBytecode: `0x${compiled.evm.deployedBytecode.object}`,
  };
  return `${JSON.stringify(content, null, 1)}\n`;
}

const checkOnly = process.argv.includes("--check");
const contracts = compile();
let drifted = false;
mkdirSync(join(root, "artifacts", "test"), { recursive: true });
for (const [source, name, file] of wanted) {
  const text = artifact(name, contracts[source][name]);
  const path = join(root, "artifacts", file);
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  if (checkOnly) {
    drifted = true;
    console.error(`contracts/artifacts/${file} differs from what ${source} gives; run: cargo xtask contracts`);
  } else {
    writeFileSync(path, text);
    console.log(`wrote contracts/artifacts/${file}`);
  }
}
process.exit(drifted ? 1 : 0);
