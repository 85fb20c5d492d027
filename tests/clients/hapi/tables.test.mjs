// The committed tables of FHIR R4 are what the scripts make of HL7's definitions of 4.0.1, which come in one of HAPI's jars.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const LIBRARIES = here("target/lib");
const MEGABYTES_MAX = 16;

test("the tables are those that the scripts write", { skip: !existsSync(here("target/installed")) }, () => {
  const jar = readdirSync(LIBRARIES).find((name) => name.startsWith("hapi-fhir-validation-resources-r4-"));
  const folder = here("target/definitions");
  mkdirSync(folder, { recursive: true });
  execFileSync("jar", ["xf", join(LIBRARIES, jar), "org/hl7/fhir/r4/model"], { cwd: folder });
  for (const [crate, table] of [["clinical", "r4-elements.txt"], ["fhir-store", "r4-search.txt"]]) {
    const data = (name) => here(`../../../crates/${crate}/data/${name}`);
    const options = { encoding: "utf8", maxBuffer: MEGABYTES_MAX << 20 };
    const written = execFileSync(process.execPath, [data("extract.mjs"), folder], options);
    assert.ok(written === readFileSync(data(table), "utf8"), `crates/${crate}/data/${table} is not what extract.mjs writes`);
  }
});
