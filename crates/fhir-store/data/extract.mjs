// Writes r4-search.txt from HL7's search parameters of FHIR R4 (4.0.1), of which ../../clinical/data/definitions.mjs says where
// they are had from, and from those of US Core in us-core-search.json:
//   node extract.mjs FOLDER > r4-search.txt
//
// The FHIRPath of each parameter is compiled here into plain paths of JSON properties, along R4's element definitions, so
// that the program needs a walker and no FHIRPath. What cannot be compiled stops the script: nothing is left out in silence.
import { readFileSync } from 'node:fs';
import { open } from '../../clinical/data/definitions.mjs';

const folder = process.argv[2];
if (!folder) {
  console.error('usage: node extract.mjs FOLDER   (the unpacked jar of definitions.mjs)');
  process.exit(2);
}
const definitions = open(folder);

// path of an element -> { types, content }
const elements = new Map();
const resources = [];
for (const definition of definitions.structures()) {
  if (definition.kind === 'resource' && !definition.abstract) resources.push(definition.type);
  for (const element of definition.snapshot?.element ?? []) elements.set(element.path, element);
}

function typeOf(type) {
  const extension = type.extension?.find(one => one.url.endsWith('structuredefinition-fhir-type'));
  const name = extension?.valueUrl ?? extension?.valueUri ?? type.code;
  return name.startsWith('http://hl7.org/fhirpath/System.') ? name.split('.').at(-1).toLowerCase() : name;
}

// The properties under which element `name` of `owner` stands in JSON, each with its type.
function properties(owner, name) {
  const plain = elements.get(`${owner}.${name}`);
  if (plain) {
    if (plain.contentReference) return [{ property: name, type: plain.contentReference.split('#')[1] }];
    const types = (plain.type ?? []).map(typeOf);
    const inner = types.length === 1 && ['BackboneElement', 'Element'].includes(types[0]);
    return [{ property: name, type: inner ? `${owner}.${name}` : types[0] }];
  }
  const choice = elements.get(`${owner}.${name}[x]`);
  if (choice) {
    return choice.type.map(typeOf).map(type => ({ property: name + type[0].toUpperCase() + type.slice(1), type, choice: true }));
  }
  // A choice that is written with its type, as in `valueDateTime`.
  for (const [path, element] of elements) {
    if (!path.startsWith(`${owner}.`) || !path.endsWith('[x]') || path.slice(owner.length + 1).includes('.')) continue;
    const stem = path.slice(owner.length + 1, -3);
    const type = element.type.map(typeOf).find(one => stem + one[0].toUpperCase() + one.slice(1) === name);
    if (type) return [{ property: name, type }];
  }
  return [];
}

const same = (a, b) => a.toLowerCase() === b.toLowerCase();

// Splits at `.` and ` as ` outside of parentheses and quotes.
function steps(text) {
  const found = [];
  let depth = 0, quoted = false, current = '';
  for (const letter of text) {
    if (letter === "'") quoted = !quoted;
    if (!quoted && letter === '(') depth += 1;
    if (!quoted && letter === ')') depth -= 1;
    if (letter === '.' && depth === 0 && !quoted) { found.push(current); current = ''; } else current += letter;
  }
  found.push(current);
  return found;
}

// One alternative of an expression, as paths from an element of type `root`.
function compile(expression, root) {
  let text = expression.trim();
  const cast = /^\((.*) as (\w+)\)(\..*)?$/.exec(text);
  if (cast) text = `${cast[1]}.as(${cast[2]})${cast[3] ?? ''}`;
  let from = '';
  if (text.startsWith('%resource.')) { from = '^'; text = text.slice('%resource.'.length); root = root.split('.')[0]; }
  let at = [{ path: [], type: root }];
  const all = steps(text);
  for (const [number, step] of all.entries()) {
    let match;
    const last = number === all.length - 1;
    if (number === 0 && step === root) continue;
    if ((match = /^(?:as|ofType)\((\w+)\)$/.exec(step))) {
      at = at.filter(one => same(one.type, match[1]));
    } else if ((match = /^where\(resolve\(\) is (\w+)\)$/.exec(step))) {
      at = at.map(one => ({ ...one, target: match[1] }));
    } else if ((match = /^where\((\w+) ?= ?'([^']*)'\)$/.exec(step))) {
      at = at.map(one => ({ ...one, path: [...one.path.slice(0, -1), `${one.path.at(-1)}[${match[1]}=${match[2]}]`] }));
    } else if ((match = /^(\w+)(?:\[(\d+)\])?$/.exec(step))) {
      at = at.flatMap(one => {
        // A token is known by its system too, where the expression asks for the bare code of a Coding.
        if (last && step === 'code' && one.type === 'Coding') return [one];
        if (step === 'coding' && one.type === 'CodeableConcept' && all[number + 1] === 'code') return [{ ...one, whole: true }];
        if (last && step === 'code' && one.whole) return [one];
        return properties(one.type, match[1]).map(next => ({
          ...one, path: [...one.path, next.property + (match[2] ? `#${match[2]}` : '')], type: next.type,
          anything: one.anything || (one.type === 'Extension' && next.choice) }));
      });
    } else {
      throw new Error(`cannot compile: ${expression} at ${step}`);
    }
    if (at.length === 0) throw new Error(`leads nowhere: ${expression} at ${step}`);
  }
  return at.map(one => ({ ...one, from }));
}

// Which types each kind of parameter can index; what else a choice allows is no value for it.
const LEAVES = {
  token: 'CodeableConcept Coding Identifier ContactPoint code boolean string uri id canonical oid uuid',
  string: 'string markdown HumanName Address code uri',
  date: 'date dateTime instant Period Timing',
  number: 'integer decimal positiveInt unsignedInt Range',
  quantity: 'Quantity Money Age Duration Count Distance Range SampledData SimpleQuantity',
  reference: 'Reference canonical uri Resource',
  uri: 'uri canonical url oid uuid',
};

function write(one) {
  const target = one.target ? `>${one.target}` : '';
  return `${one.from}${one.path.join('.')}:${one.type}${target}`;
}

function leaves(alternatives, root, type) {
  const found = alternatives.flatMap(text => compile(text, root));
  // Where any value may stand, as in an extension, the code that is meant is that of a Coding.
  const coded = found.some(one => one.anything) ? found.filter(one => /^(Coding|CodeableConcept)$/.test(one.type)) : found;
  const all = coded.filter(one => LEAVES[type].split(' ').includes(one.type) && !/UsageContext|Timing/.test(one.path.at(-2) ?? ''));
  return [...new Set(all.map(write))];
}

const alternatives = (expression, base) =>
  expression.split('|').map(one => one.trim()).filter(one => {
    const first = /^\(?([A-Z]\w*)\b/.exec(one)?.[1];
    return first === undefined || first === base;
  });

// Stores keep the numbers of types, which are their places in this table: a type that is taken out of it leaves its place
// empty. SubscriptionStatus is R4B's, and stood here.
const TAKEN_OUT = ['SubscriptionStatus'];
// R4 has no Task in the patient's compartment, R5 has. A request for amendment is a Task, and goes out with the chart
// (45 CFR 164.526(d)(5)).
const COMPARTMENT = { Task: ['patient', 'focus'] };

const usCore = JSON.parse(readFileSync(new URL('us-core-search.json', import.meta.url), 'utf8'));
const parameters = [...definitions.searchParameters(), ...usCore];
const byUrl = new Map(parameters.map(one => [one.url, one]));
// Kept beside the resource, or no index at all.
const OWN = ['_id', '_lastUpdated', '_content', '_query', '_text', '_list', '_has', '_type', '_filter'];

function line(parameter, base) {
  const { code, type, expression } = parameter;
  if (expression?.startsWith('Patient.deceased.exists()')) return `${code} token :Deceased`;
  if (type === 'special') {
    return `${code} special ${leaves(alternatives(expression, base), base, 'reference').join(' ') || 'position:Position'}`;
  }
  if (type === 'composite') {
    const roots = alternatives(expression, base).flatMap(text => compile(text, base));
    const parts = parameter.component.map(component => {
      const definition = byUrl.get(component.definition);
      // Component expressions start at what the parameter's own expression finds; alternatives may find either.
      const found = new Set();
      for (const root of roots) {
        for (const text of component.expression.split('|')) {
          for (const one of leaves([text.replace('DateTime', 'dateTime')], root.type, definition.type)) found.add(one);
        }
      }
      return `${definition.code}=${definition.type}=${[...found].join(',')}`;
    });
    return `${code} composite ${[...new Set(roots.map(root => root.path.join('.') || '.'))].join(',')} ${parts.join(' ')}`;
  }
  const paths = leaves(alternatives(expression, base), base, type);
  if (paths.length === 0) throw new Error(`no path: ${base} ${code}`);
  return `${code} ${type} ${paths.join(' ')}`;
}

const lines = new Map([...resources, ...TAKEN_OUT].sort().map(name => [name, new Map()]));
for (const parameter of parameters) {
  for (const base of parameter.base) {
    const everywhere = ['Resource', 'DomainResource'].includes(base);
    if (everywhere || !resources.includes(base) || OWN.includes(parameter.code)) continue;
    lines.get(base).set(parameter.code, line(parameter, base));
  }
}

const out = [
  '# FHIR R4 (4.0.1) search parameters of HL7 (CC0) and US Core, compiled to JSON paths. Written by extract.mjs; do not edit.',
  '# > resource type (- for one that was taken out), then one parameter a line: code type path:leaf-type[>type of the target]...',
  '# A composite has its roots, then one component each: code=type=paths from the root (^ from the resource).',
  '# ~ elements of a summary, ! elements that must be there, @ parameters of the patient compartment.',
  '> *',
  '_profile uri meta.profile:canonical',
  '_security token meta.security:Coding',
  '_source uri meta.source:uri',
  '_tag token meta.tag:Coding',
];
for (const [name, list] of lines) {
  out.push(`> ${TAKEN_OUT.includes(name) ? '-' : name}`, ...[...list.values()].sort());
}
for (const name of resources.sort()) {
  const own = [...elements.values()].filter(one => one.path.startsWith(`${name}.`) && one.path.split('.').length === 2);
  const names = flag => own.filter(flag).map(one => one.path.split('.')[1]).filter(one => !['id', 'meta'].includes(one));
  out.push(`~ ${name} ${names(one => one.isSummary).join(' ')}`.trim(), `! ${name} ${names(one => one.min > 0).join(' ')}`.trim());
}
for (const { code, param } of definitions.compartment('Patient').resource) {
  const all = [...(param ?? []), ...(COMPARTMENT[code] ?? [])];
  if (all.length > 0) out.push(`@ ${code} ${all.join(' ')}`);
}
process.stdout.write(out.join('\n') + '\n');
