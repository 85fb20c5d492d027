// Writes r4-elements.txt from HL7's definitions of FHIR R4 (4.0.1); definitions.mjs says where they are had from:
//   node extract.mjs FOLDER > r4-elements.txt
import { open } from './definitions.mjs';

const folder = process.argv[2];
if (!folder) {
  console.error('usage: node extract.mjs FOLDER   (the unpacked jar of definitions.mjs)');
  process.exit(2);
}
const definitions = open(folder);

// A required code set longer than this (languages, media types, currencies) is left to terminology services.
const CODES_MAX = 80;
const terms = new Map();
for (const resource of definitions.terms()) {
  if (resource.url) terms.set(`${resource.resourceType}|${resource.url}`, resource);
}

// A code that only groups others is no value.
const isAbstract = concept => (concept.property ?? []).some(one => one.code === 'notSelectable' && one.valueBoolean === true);
const flatten = concepts =>
  (concepts ?? []).flatMap(concept => [...(isAbstract(concept) ? [] : [concept.code]), ...flatten(concept.concept)]);

function codesOf(valueSetUrl) {
  const valueSet = terms.get(`ValueSet|${valueSetUrl.split('|')[0]}`);
  if (!valueSet?.compose || valueSet.compose.exclude) return undefined;
  const codes = [];
  for (const include of valueSet.compose.include) {
    if (include.filter || include.valueSet) return undefined;
    const system = terms.get(`CodeSystem|${include.system}`);
    if (!include.concept && system?.content !== 'complete') return undefined;
    codes.push(...(include.concept ? include.concept.map(concept => concept.code) : flatten(system.concept)));
  }
  const usable = codes.length > 0 && codes.length <= CODES_MAX && codes.every(code => !/[\s|,]/.test(code));
  return usable ? [...new Set(codes)].sort() : undefined;
}

function typesOf(element, isBackbone) {
  if (element.contentReference) return `@${element.contentReference.split('#')[1]}`;
  if (isBackbone) return `@${element.path}`;
  const names = element.type.map(type => {
    const fhirType = type.extension?.find(extension => extension.url.endsWith('structuredefinition-fhir-type'));
    const name = fhirType?.valueUrl ?? fhirType?.valueUri ?? type.code;
    return name.startsWith('http://hl7.org/fhirpath/System.') ? name.split('.').at(-1).toLowerCase() : name;
  });
  const required = element.binding?.strength === 'required' && names.length === 1 && names[0] === 'code';
  const codes = required ? codesOf(element.binding.valueSet) : undefined;
  return names.join('|') + (codes ? ` ${codes.join(',')}` : '');
}

function lines(definition) {
  const elements = definition.snapshot.element.slice(1);
  const parents = new Set(elements.map(element => element.path.slice(0, element.path.lastIndexOf('.'))));
  const groups = new Map([[definition.type, []]]);
  for (const element of elements) {
    const at = element.path.lastIndexOf('.');
    const owner = element.path.slice(0, at);
    const isBackbone = parents.has(element.path);
    if (!groups.has(owner)) groups.set(owner, []);
    groups.get(owner).push(`${element.path.slice(at + 1)} ${element.min} ${element.max} ${typesOf(element, isBackbone)}`);
  }
  return [...groups].map(([owner, rows]) => {
    const kind = owner !== definition.type ? 'backbone' : definition.kind === 'resource' ? 'resource' : 'type';
    return [`> ${kind} ${owner}`, ...rows].join('\n');
  });
}

const wanted = definitions.structures().filter(definition =>
  definition.derivation !== 'constraint' && !definition.abstract && ['resource', 'complex-type'].includes(definition.kind));
wanted.sort((one, other) => (one.type < other.type ? -1 : 1));
console.log('# FHIR R4 (4.0.1) elements, from the definitions published by HL7 under CC0. Written by extract.mjs; do not edit.');
console.log('# > kind owner, then one element a line: name min max types [codes of a required binding]');
for (const definition of wanted) console.log(lines(definition).join('\n'));
