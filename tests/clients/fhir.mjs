// An unmodified FHIR client: CRUD, conditions, search, transaction, paging.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Client } from "fhir-kit-client";

const patient = (family, more = {}) => ({
  resourceType: "Patient",
  name: [{ family, given: ["Anna"] }],
  gender: "female",
  birthDate: "1970-05-01",
  address: [{ country: "US" }],
  ...more,
});

export function fhirTests(world) {
  let client;

  test("the client reads the capability statement", async () => {
    const [node] = world.devnet.nodes;
    const token = (await readFile(join(dirname(node.config), "operator.token"), "utf8")).trim();
    client = new Client({ baseUrl: node.fhir, customHeaders: { authorization: `Bearer ${token}` } });
    const statement = await client.capabilityStatement();
    assert.equal(statement.fhirVersion, "4.0.1");
    const types = statement.rest[0].resource.map((one) => one.type);
    assert.ok(types.includes("Patient") && types.includes("Observation"));
  });

  test("a resource is created, read, updated, patched, deleted, and its history told", async () => {
    const created = await client.create({ resourceType: "Patient", body: patient("Kit") });
    const { id } = created;
    const read = await client.read({ resourceType: "Patient", id });
    assert.deepEqual(read, created);
    const updated = await client.update({ resourceType: "Patient", id, body: { ...read, gender: "other" } });
    assert.equal(updated.meta.versionId, "2");
    const jsonPatch = [{ op: "replace", path: "/gender", value: "male" }];
    const patched = await client.patch({ resourceType: "Patient", id, jsonPatch });
    assert.equal(patched.gender, "male");
    const first = await client.vread({ resourceType: "Patient", id, version: "1" });
    assert.equal(first.gender, "female");
    await client.delete({ resourceType: "Patient", id });
    await assert.rejects(client.read({ resourceType: "Patient", id }), (error) => error.response.status === 410);
    const history = await client.history({ resourceType: "Patient", id });
    assert.deepEqual(history.entry.map((one) => one.request.method), ["DELETE", "PUT", "PUT", "PUT"]);
  });

  test("a transaction's references lead to what it made, and one that fails leaves nothing", async () => {
    const address = "urn:uuid:6f7a2c1e-0b1d-4e6a-9a53-3f2c3f7f7f01";
    const entry = [
      { fullUrl: address, resource: patient("Transaction"), request: { method: "POST", url: "Patient" } },
      {
        resource: {
          resourceType: "Observation",
          status: "final",
          code: { coding: [{ system: "http://loinc.org", code: "29463-7" }] },
          subject: { reference: address },
          valueQuantity: { value: 71.5, unit: "kg", system: "http://unitsofmeasure.org", code: "kg" },
        },
        request: { method: "POST", url: "Observation" },
      },
    ];
    const body = { resourceType: "Bundle", type: "transaction", entry };
    const answer = await client.transaction({ body });
    assert.deepEqual(answer.entry.map((one) => one.response.status.slice(0, 3)), ["201", "201"]);
    const found = await client.search({
      resourceType: "Observation",
      searchParams: { "patient.family": "Transaction", "value-quantity": "gt70", _include: "Observation:patient" },
    });
    assert.deepEqual(found.entry.map((one) => one.search.mode), ["match", "include"]);
    assert.equal(found.entry[0].resource.subject.reference, `Patient/${found.entry[1].resource.id}`);
    const wrong = structuredClone(body);
    wrong.entry[0].resource.name[0].family = "Nobody";
    wrong.entry[1].resource.status = "nonsense";
    await assert.rejects(client.transaction({ body: wrong }), (error) => error.response.status === 422);
    const nobody = await client.search({ resourceType: "Patient", searchParams: { family: "Nobody" } });
    assert.equal(nobody.total, 0);
  });

  test("pages are followed to their end", async () => {
    const entry = Array.from({ length: 23 }, (_, number) => ({
      resource: patient("Paging", { identifier: [{ system: "kit", value: String(number) }] }),
      request: { method: "POST", url: "Patient" },
    }));
    const batch = await client.batch({ body: { resourceType: "Bundle", type: "batch", entry } });
    assert.equal(batch.entry.length, 23);
    const seen = new Set();
    let page = await client.search({ resourceType: "Patient", searchParams: { family: "Paging", _count: 5 } });
    let pages = 0;
    while (page) {
      pages += 1;
      page.entry.forEach((one) => seen.add(one.resource.identifier[0].value));
      page = await client.nextPage({ bundle: page });
    }
    assert.deepEqual([pages, seen.size], [5, 23]);
  });
}
