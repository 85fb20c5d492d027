// C-CDA documents of others go in whole, and no coded fact or measurement is lost that Medplum's translator finds in them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { binary, startDevnet } from "../devnet.mjs";
import { differences, systems } from "./differences.mjs";

const SAMPLES = fileURLToPath(new URL("samples", import.meta.url));
const MEGABYTES_MAX = 16;
/// What says something of the patient's health.
const CLINICAL = new Set([
  "AllergyIntolerance", "CarePlan", "Condition", "DiagnosticReport", "Encounter", "Goal", "Immunization", "MedicationRequest",
  "MedicationStatement", "Observation", "Procedure",
]);

const documents = existsSync(SAMPLES)
  ? readdirSync(SAMPLES, { recursive: true }).filter((name) => name.endsWith(".xml")).sort()
  : [];

// Where the documents were not fetched, neither may this be.
const { convertCcdaToFhir, convertXmlToCcda } = documents.length > 0 ? await import("@medplum/ccda") : {};

/// Every `system|code` in a resource, but in what describes the resource itself.
function codes(value, found = new Set()) {
  if (Array.isArray(value)) {
    value.forEach((one) => codes(one, found));
  } else if (value && typeof value === "object") {
    for (const coding of Array.isArray(value.coding) ? value.coding : []) {
      if (coding.code) found.add(`${systems[coding.system] ?? coding.system ?? ""}|${coding.code.trim()}`);
    }
    for (const [name, inner] of Object.entries(value)) {
      if (name !== "extension" && name !== "meta") codes(inner, found);
    }
  }
  return found;
}

/// `code = value unit` of each measurement.
function measurements(resources) {
  const found = new Set();
  for (const { resourceType, code, valueQuantity: measured } of resources) {
    if (resourceType !== "Observation" || measured?.value === undefined) continue;
    for (const coding of code?.coding ?? []) {
      if (coding.code) found.add(`${coding.code} = ${Number(measured.value)} ${measured.unit ?? measured.code ?? ""}`.trim());
    }
  }
  return found;
}

function facts(resources) {
  return new Set([...codes(resources), ...measurements(resources)]);
}

function theirs(document) {
  const log = console.log;
  // It says on the way what it does not know.
  console.log = () => {};
  try {
    const ccda = convertXmlToCcda(readFileSync(join(SAMPLES, document), "utf8"));
    const { entry } = convertCcdaToFhir(ccda, { ignoreUnsupportedSections: true });
    return entry.map(({ resource }) => resource).filter(({ resourceType }) => CLINICAL.has(resourceType));
  } finally {
    console.log = log;
  }
}

describe("C-CDA documents of others", { skip: documents.length === 0 && "they were not fetched" }, () => {
  let devnet;
  let config;
  let headers;
  const used = new Set();
  const isListed = (fact, document) => differences[fact]?.documents.some((name) => document.endsWith(`/${name}.xml`));

  before(async () => {
    devnet = await startDevnet(1);
    config = devnet.nodes[0].config;
    const token = readFileSync(join(devnet.folder, "nodes", devnet.nodes[0].name, "operator.token"), "utf8").trim();
    headers = { authorization: `Bearer ${token}` };
  });

  after(async () => {
    await devnet?.stop();
  });

  const run = (...options) => execFileSync(binary, options, { encoding: "utf8", maxBuffer: MEGABYTES_MAX << 20 });
  const ingest = (document) => JSON.parse(run("ingest", "--json", "--config", config, join(SAMPLES, document)).trim());

  async function get(path) {
    const answer = await fetch(`${devnet.nodes[0].fhir}/${path}`, { headers });
    assert.equal(answer.status, 200, path);
    return answer.json();
  }

  /// What the newest document was made into, by its Provenance.
  async function ours() {
    const { entry } = await get("Provenance?_sort=-_lastUpdated&_count=1");
    return Promise.all(entry[0].resource.target.map(({ reference }) => get(reference)));
  }

  for (const document of documents) {
    test(document, async () => {
      const report = ingest(document);
      assert.deepEqual([report.refused, report.refusals ?? []], [0, []], "nothing is refused");
      assert.ok(report.new + report.changed > 0, "there is something in it");
      const here = facts(await ours());
      const found = [...facts(theirs(document))];
      assert.ok(found.length > 3, "the other translator finds something too");
      const lost = found.filter((fact) => !here.has(fact));
      for (const fact of lost) {
        assert.ok(isListed(fact, document), `${fact} of ${document} is not in what was made of it`);
        used.add(`${fact} of ${document}`);
      }
      const again = ingest(document);
      assert.deepEqual([again.new, again.changed, again.refused], [0, 0, 0], "the same document again changes nothing");
    });
  }

  test("every difference that is listed is there", () => {
    const listed = Object.keys(differences).flatMap((fact) =>
      documents.filter((document) => isListed(fact, document)).map((document) => `${fact} of ${document}`));
    assert.deepEqual(listed.filter((one) => !used.has(one)), []);
  });

  test("no identifier of theirs is on the de-identified side", () => {
    const said = run("privacy", "scan", SAMPLES);
    assert.match(said, /^residual strings +0$/m);
    assert.match(said, /^records +[1-9][0-9]{2,}$/m, "some hundred records were looked at");
    assert.doesNotMatch(said, /without a split +[1-9]/);
  });
});
