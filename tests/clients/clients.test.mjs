// One devnet of four validators, and what Ethereum and FHIR clients do with it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { certificatesTests } from "./certificates.mjs";
import { depthTests } from "./depth.mjs";
import { viemDepthTests } from "./depth_viem.mjs";
import { startDevnet } from "./devnet.mjs";
import { doubleSpendTests } from "./double_spend.mjs";
import { ethersTests } from "./ethers.mjs";
import { fhirTests } from "./fhir.mjs";
import { paymentsTests } from "./payments.mjs";
import { compileToken } from "./token.mjs";
import { viemTests } from "./viem.mjs";

test("the benchmark sends the token that these tests compile", () => {
  const file = new URL("../../bin/bxp/src/commands/bench/rpc/token.hex", import.meta.url);
  assert.equal(readFileSync(file, "utf8").trim(), compileToken().bytecode);
});

describe("a devnet of four validators", () => {
  /// Filled in before the first test.
  const world = {};
  const network = () => ({ rpc: world.devnet.nodes.map(({ rpc }) => rpc), key: world.devnet.funded[1].private_key });

  before(async () => {
    world.token = compileToken();
    world.devnet = await startDevnet(4);
  });

  after(async () => {
    await world.devnet?.stop();
  });

  describe("with ethers", () => ethersTests(world));
  describe("with batch payments", () => paymentsTests(world));
  describe("with viem", () => viemTests(world));
  describe("in depth", () => depthTests(network));
  describe("in depth with viem", () => viemDepthTests(network));
  describe("with certificates", () => certificatesTests(world));
  describe("against double spending", () => doubleSpendTests(world));
  describe("with fhir-kit-client", () => fhirTests(world));
});
