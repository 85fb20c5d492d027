// A devnet with a data request that the first hospital has answered, and what the tests ask of the hospital's node.
import assert from "node:assert/strict";
import { readFile, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { ethers } from "ethers";
import { startDevnet, until } from "../devnet.mjs";

const DATA_MARKET = "0x000000000000000000000000000000000000b003";
const LOINC = "http://loinc.org";
const SNOMED = "http://snomed.info/sct";
const CRITERION = {
  condition_any: [{ system: SNOMED, code: "49436004" }],
  evidence_any: [{ system: LOINC, code: "11524-6" }],
  days_before_min: 14,
};
/// What no peer may ever see.
export const PLANTED = ["Plantedname", "Plantedcity", "1961-05-17", "2020-01-03", "patient-of-the-test"];

const artifact = (name) =>
  JSON.parse(readFileSync(new URL(`../../../contracts/artifacts/${name}.json`, import.meta.url), "utf8"));

/// A patient with atrial fibrillation and an EKG two months before.
function chart(number) {
  const subject = { reference: `Patient/patient-of-the-test-${number}` };
  const coding = (system, code) => ({ coding: [{ system, code }] });
  const status = (code) =>
    ({ coding: [{ system: "http://terminology.hl7.org/CodeSystem/condition-clinical", code }] });
  return [
    {
      resourceType: "Patient",
      id: `patient-of-the-test-${number}`,
      name: [{ family: "Plantedname" }],
      gender: "female",
      birthDate: "1961-05-17",
      address: [{ city: "Plantedcity", country: "US" }],
    },
    {
      resourceType: "Observation",
      id: `ekg-${number}`,
      status: "final",
      code: coding(LOINC, "11524-6"),
      subject,
      effectiveDateTime: "2020-01-03T10:00:00Z",
    },
    {
      resourceType: "Condition",
      id: `afib-${number}`,
      clinicalStatus: status("active"),
      code: coding(SNOMED, "49436004"),
      subject,
      onsetDateTime: "2020-03-03T10:00:00Z",
    },
  ];
}

/// Starts the network, takes charts in, asks for them on the chain and waits until the hospital has delivered them.
export async function startWorld() {
  const devnet = await startDevnet(4);
  const [star] = devnet.nodes;
  const folder = dirname(star.config);
  const token = (await promisify(readFile)(join(folder, "operator.token"), "utf8")).trim();
  const swarmKey = readFileSync(join(folder, "..", "..", "swarm.key"), "utf8");
  const asOperator = (path, options = {}) => {
    const headers = { authorization: `Bearer ${token}`, ...options.headers };
    return fetch(`${star.fhir}/${path}`, { ...options, headers });
  };
  const operator = async (method, path, body) => {
    const headers = { "content-type": "application/fhir+json" };
    const response = await asOperator(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : undefined };
  };
  const ok = async (...request) => {
    const answer = await operator(...request);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body;
  };
  const entry = [1, 2].flatMap(chart).map((resource) => ({
    resource,
    request: { method: "PUT", url: `${resource.resourceType}/${resource.id}` },
  }));
  await ok("POST", "", { resourceType: "Bundle", type: "transaction", entry });
  await ok("POST", "consents", { all: true, on: true });
  const provider = new ethers.JsonRpcProvider(star.rpc);
  const buyer = new ethers.Wallet(devnet.funded[0].private_key, provider);
  const request = await openRequest(buyer);
  const contract = new ethers.Contract(request, artifact("DataRequest").abi, provider);
  await until("both charts are delivered and counted", async () => (await contract.progress()).counted === 2n);
  const day = Math.floor(Date.now() / 1000) + 3600;
  const publish = (peers, tokens = 0) =>
    ok("POST", "dags/$publish", { purpose: "research", request, peers, tokens, until: day });
  const stop = async () => {
    provider.destroy();
    await devnet.stop();
  };
  return { devnet, star, swarmKey, request, fetch: asOperator, operator, ok, publish, stop };
}

/// Opens a request for more charts than there are, so that it stays open.
async function openRequest(buyer) {
  const market = new ethers.Contract(DATA_MARKET, artifact("DataMarket").abi, buyer);
  const price = ethers.parseEther("1");
  const wanted = 5n;
  const terms = {
    criterion: ethers.toUtf8Bytes(JSON.stringify(CRITERION)),
    pricePerRecord: price,
    wanted,
    deadline: BigInt(Math.floor(Date.now() / 1000) + 3600),
    acceptanceWindow: 600,
    patientBps: 5000,
    holderBps: 4500,
    treasuryBps: 500,
    // X25519's base point: nobody in this test opens the sealed delivery.
    sealingKey: `0x09${"00".repeat(31)}`,
  };
  const sent = await market.createRequest(terms, { value: price * wanted });
  const receipt = await sent.wait();
  const events = receipt.logs.map((log) => market.interface.parseLog(log)).filter((event) => event !== null);
  return events.find(({ name }) => name === "RequestCreated").args.request;
}
