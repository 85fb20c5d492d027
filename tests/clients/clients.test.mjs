// One devnet of four validators, and what Ethereum and FHIR clients do with it.
import { after, before, describe } from "node:test";
import { startDevnet } from "./devnet.mjs";
import { doubleSpendTests } from "./double_spend.mjs";
import { ethersTests } from "./ethers.mjs";
import { fhirTests } from "./fhir.mjs";
import { compileToken } from "./token.mjs";
import { viemTests } from "./viem.mjs";

describe("a devnet of four validators", () => {
  /// Filled in before the first test.
  const world = {};

  before(async () => {
    world.token = compileToken();
    world.devnet = await startDevnet(4);
  });

  after(async () => {
    await world.devnet?.stop();
  });

  describe("with ethers", () => ethersTests(world));
  describe("with viem", () => viemTests(world));
  describe("against double spending", () => doubleSpendTests(world));
  describe("with fhir-kit-client", () => fhirTests(world));
});
