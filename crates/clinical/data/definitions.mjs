// HL7's definitions of FHIR R4 (4.0.1) as they come with HAPI, read for the scripts extract.mjs here and in fhir-store. HL7
// publishes them under CC0. Get them once, with Maven and a JDK:
//   mvn dependency:copy -Dartifact=ca.uhn.hapi.fhir:hapi-fhir-validation-resources-r4:8.8.1 -DoutputDirectory=FOLDER
//   cd FOLDER && jar xf hapi-fhir-validation-resources-r4-8.8.1.jar
// The scripts want that FOLDER.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const R4 = '4.0.1';

// What repeats, of the elements that the scripts read: an array also where it stands once, as in FHIR's JSON.
const REPEATS = new Set([
  'Bundle.entry', 'snapshot.element', 'element.type', 'type.extension', 'compose.include', 'compose.exclude', 'include.concept',
  'include.filter', 'include.valueSet', 'CodeSystem.concept', 'concept.concept', 'concept.property', 'CompartmentDefinition.resource', 'resource.param',
]);

const ENTITIES = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
const unescape = text =>
  text.replace(/&(#x?)?(\w+);/g, (whole, number, name) => {
    if (number) return String.fromCodePoint(parseInt(name, number === '#x' ? 16 : 10));
    if (!(name in ENTITIES)) throw new Error(`an entity that is not known: ${whole}`);
    return ENTITIES[name];
  });

// A tag of XML with its attributes; comments, the prologue and text between tags (narratives) are left out.
const TAG = /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<(\/)?([\w:.-]+)((?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/)?>/g;
const ATTRIBUTE = /([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;

// FHIR's XML as FHIR's JSON, as far as the scripts read it: values are texts, but for true and false.
function read(xml) {
  const top = { name: '', value: {} };
  const open = [top];
  for (const [, close, name, attributes, empty] of xml.matchAll(TAG)) {
    if (name === undefined) continue;
    if (!close) {
      const found = { name, value: {}, text: undefined };
      for (const [, key, double, single] of attributes.matchAll(ATTRIBUTE)) {
        if (key === 'value') found.text = unescape(double ?? single);
        else if (key === 'id' || key === 'url') found.value[key] = unescape(double ?? single);
      }
      open.push(found);
      if (!empty) continue;
    }
    const done = open.pop();
    if (done.name !== name) throw new Error(`</${name}> closes <${done.name}>`);
    put(open.at(-1), done);
  }
  if (open.length !== 1) throw new Error(`<${open.at(-1).name}> is not closed`);
  return top.value;
}

function put(parent, { name, value, text }) {
  // A resource stands in XML under its name, in JSON with its `resourceType`.
  if (parent.name === 'resource' && /^[A-Z]/.test(name)) {
    parent.value = { resourceType: name, ...value };
    return;
  }
  const given = text === undefined ? value : text === 'true' ? true : text === 'false' ? false : text;
  if (REPEATS.has(`${parent.name}.${name}`)) (parent.value[name] ??= []).push(given);
  else parent.value[name] = given;
}

// Opens the folder of the unpacked jar. Every structure and search parameter must be of R4 4.0.1, so that no definition of a
// later version comes in again.
export function open(folder) {
  const at = name => join(folder, 'org/hl7/fhir/r4/model', name);
  const resources = bundle => bundle.entry.map(entry => entry.resource);
  const xml = name => resources(read(readFileSync(at(name), 'utf8')).Bundle);
  const ofR4 = list => {
    for (const one of list) {
      const version = one.resourceType === 'StructureDefinition' ? one.fhirVersion : one.version;
      if (['StructureDefinition', 'SearchParameter', 'CompartmentDefinition'].includes(one.resourceType) && version !== R4) {
        throw new Error(`${one.url} is of FHIR ${version}`);
      }
    }
    return list;
  };
  return {
    structures: () =>
      ofR4([...xml('profile/profiles-types.xml'), ...xml('profile/profiles-resources.xml')])
        .filter(one => one.resourceType === 'StructureDefinition'),
    compartment: code =>
      ofR4(xml('profile/profiles-resources.xml')).find(one => one.resourceType === 'CompartmentDefinition' && one.code === code),
    terms: () => [...xml('valueset/valuesets.xml'), ...xml('valueset/v3-codesystems.xml')],
    searchParameters: () => ofR4(resources(JSON.parse(readFileSync(at('sp/search-parameters.json'), 'utf8')))),
  };
}
