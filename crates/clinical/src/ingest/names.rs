//! Original ids and their pseudonyms.

use super::{
    resolve::references,
    tables::{Fingerprint, LogicalId, Named, Tables, Version},
};
use crate::{
    ClinicalError,
    compartment::{address, identifiers, relative_part},
    fhir::definitions::Definitions,
    fhir::element::resource_type,
    source::Entry,
    validate::{ReferenceShape, reference_shape},
};
use bxp_storage::Batch;
use bxp_types::Phi;
use rayon::prelude::*;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

/// The names of one submission: those known before, and new ones that are written with it.
pub(crate) struct Names<'a> {
    tables: &'a Tables,
    referred: &'a Referred,
    known: HashMap<Fingerprint, Named>,
    new: HashSet<Fingerprint>,
    /// Pseudonyms of entries that were made here: nothing is kept under them yet.
    fresh: HashSet<LogicalId>,
    /// Pseudonyms that entries of this submission have.
    claimed: HashSet<LogicalId>,
}

/// The names by which entries refer to something, and the addresses that they have themselves: the fingerprint of each, and
/// the type that references by it say, where no entry has it for its address.
pub(crate) struct Referred(Phi<HashMap<String, (Fingerprint, Option<&'static str>)>>);

impl Referred {
    /// Those of `entries`. What is stored does not matter to them.
    pub(crate) fn new(tables: &Tables, entries: &[(&Entry, &EntryNames)]) -> Self {
        // The split asks for the address of each entry, of which the fingerprint is made already.
        let own =
            entries.iter().filter_map(|(entry, names)| Some((address(entry)?, (*names.own.first()?, None))));
        let mut all: HashMap<String, (Fingerprint, Option<&'static str>)> = own.collect();
        // Many refer to the same, and the split asks for each of them again.
        let literals: HashSet<&str> =
            entries.par_iter().flat_map_iter(|(entry, _)| references(entry)).collect();
        let others: HashMap<Cow<'_, str>, Option<&'static str>> = literals
            .into_iter()
            .filter_map(referred)
            .filter(|(name, _)| !all.contains_key(&**name))
            .collect();
        let others: Vec<_> = others
            .into_par_iter()
            .map(|(name, kind)| {
                let fingerprint = tables.fingerprint("name", name.as_bytes());
                (name.into_owned(), (fingerprint, kind))
            })
            .collect();
        all.extend(others);
        Self(Phi::new(all))
    }
}

/// Types whose identifiers name one thing. Elsewhere resources share them, as claims share an account number.
const IDENTIFIED: [&str; 5] = ["Patient", "Practitioner", "Organization", "Location", "RelatedPerson"];

/// The names of an entry, as fingerprints.
#[derive(Clone, Debug, Default)]
pub(crate) struct EntryNames {
    /// Its alone, and kept.
    own: Vec<Fingerprint>,
    /// By which others may refer to it, and kept.
    shared: Vec<Fingerprint>,
    /// That lead to it within its submission only: a `urn:uuid:` means nothing outside of its Bundle (R4 section 2.36.4).
    local: Vec<Fingerprint>,
}

impl EntryNames {
    pub(crate) fn new(tables: &Tables, entry: &Entry, content: &Fingerprint) -> Self {
        let named = |names: Vec<String>| {
            names.iter().map(|name| tables.fingerprint("name", name.as_bytes())).collect()
        };
        let url = entry.full_url.as_ref().map(|url| url.expose().clone());
        let (shared, local) = match is_identified(entry) {
            true => (named(identifiers(entry)), Vec::new()),
            false => (Vec::new(), identifiers(entry)),
        };
        let local = named(local.into_iter().chain(url).collect());
        Self { own: own_names(tables, entry, content), shared, local }
    }

    fn all(&self) -> impl Iterator<Item = &Fingerprint> {
        self.own.iter().chain(&self.shared).chain(&self.local)
    }
}

/// The fingerprints of the names that are an entry's alone: its id, else its `fullUrl`, else its identifiers if its type
/// is known by them, else its content, so that the same resource is recognised when it comes again.
pub(crate) fn own_names(tables: &Tables, entry: &Entry, content: &Fingerprint) -> Vec<Fingerprint> {
    let first = address(entry).or_else(|| entry.full_url.as_ref().map(|url| url.expose().clone()));
    let mut names: Vec<String> = first.into_iter().collect();
    if names.is_empty() && is_identified(entry) {
        names = identifiers(entry);
    }
    if names.is_empty() {
        return vec![tables.fingerprint("nameless", content)];
    }
    names.iter().map(|name| tables.fingerprint("name", name.as_bytes())).collect()
}

fn is_identified(entry: &Entry) -> bool {
    resource_type(entry.resource.expose()).is_some_and(|kind| IDENTIFIED.contains(&kind))
}

/// The name to which a literal reference leads, and the type that the reference says.
fn referred(literal: &str) -> Option<(Cow<'_, str>, Option<&'static str>)> {
    match reference_shape(literal)? {
        ReferenceShape::Contained(_) => None,
        ReferenceShape::Urn(name) => Some((Cow::Borrowed(name), None)),
        ReferenceShape::Conditional { resource_type, .. } => {
            Some((Cow::Borrowed(literal), Some(resource_type)))
        }
        ReferenceShape::Relative { resource_type, id } => {
            // Without the version that may follow.
            let name = literal.get(..resource_type.len() + 1 + id.len())?;
            Some((Cow::Borrowed(name), Some(resource_type)))
        }
        ReferenceShape::Absolute(url) => match relative_part(url) {
            Some(name) => {
                let kind = name.split('/').next().and_then(|kind| Definitions::r4().resource_name(kind));
                Some((Cow::Owned(name), kind))
            }
            None => Some((Cow::Borrowed(url), None)),
        },
    }
}

impl<'a> Names<'a> {
    /// Looks up every name that the entries have and refer to, and gives new pseudonyms to what has none: to entries,
    /// and to what is referred to by type, which may be handed in later.
    pub(crate) fn resolve(
        tables: &'a Tables,
        referred: &'a Referred,
        entries: &[(&Entry, &EntryNames)],
    ) -> Result<(Self, Vec<Named>), ClinicalError> {
        // Names of the submission alone are not looked up: what another one meant by them is something else.
        let local: HashSet<&Fingerprint> = entries.iter().flat_map(|(_, names)| &names.local).collect();
        let mut wanted: HashSet<Fingerprint> = referred.0.expose().values().map(|(name, _)| *name).collect();
        wanted.retain(|name| !local.contains(name));
        wanted.extend(entries.iter().flat_map(|(_, names)| names.own.iter().chain(&names.shared).copied()));
        let wanted: Vec<_> = wanted.into_iter().collect();
        let found: Vec<_> = wanted
            .par_iter()
            .filter_map(|name| tables.named(name).transpose().map(|named| named.map(|named| (*name, named))))
            .collect::<Result<_, ClinicalError>>()?;
        let mut names = Self {
            tables,
            referred,
            known: found.into_iter().collect(),
            new: HashSet::new(),
            fresh: HashSet::new(),
            claimed: HashSet::new(),
        };
        let claims = entries.iter().map(|(entry, own)| names.claim(entry, own));
        let own = claims.collect::<Result<_, _>>()?;
        for (name, kind) in referred.0.expose().values() {
            if let (false, Some(kind)) = (names.known.contains_key(name), *kind) {
                names.insert(*name, Named { logical: rand::random(), kind });
            }
        }
        Ok((names, own))
    }

    /// The pseudonym of an entry: the one that a name of its own has; or the one by which others already refer to its
    /// identifier, if nothing was handed in under it; or a new one. Its names that lead nowhere yet then lead to it.
    fn claim(&mut self, entry: &Entry, names: &EntryNames) -> Result<Named, ClinicalError> {
        let kind =
            resource_type(entry.resource.expose()).and_then(|kind| Definitions::r4().resource_name(kind));
        let kind = kind.unwrap_or("Basic");
        let known = |name: &Fingerprint| self.known.get(name).filter(|named| named.kind == kind);
        let mut found = names.own.iter().find_map(known).cloned();
        if found.is_none() && is_identified(entry) {
            let awaited =
                names.shared.iter().find_map(known).filter(|named| !self.claimed.contains(&named.logical));
            found = match awaited {
                Some(named) if self.tables.version(&named.logical)?.is_none() => Some(named.clone()),
                _ => None,
            };
        }
        let named = found.unwrap_or_else(|| {
            let logical = rand::random();
            self.fresh.insert(logical);
            Named { logical, kind }
        });
        self.claimed.insert(named.logical);
        for name in names.all() {
            self.known.entry(*name).or_insert_with(|| named.clone());
        }
        for name in names.own.iter().chain(&names.shared) {
            if self.known.get(name) == Some(&named) {
                self.new.insert(*name);
            }
        }
        Ok(named)
    }

    fn insert(&mut self, name: Fingerprint, named: Named) {
        self.known.insert(name, named);
        self.new.insert(name);
    }

    /// The newest version of an entry's resource.
    pub(crate) fn version(&self, logical: &LogicalId) -> Result<Option<Version>, ClinicalError> {
        if self.fresh.contains(logical) { Ok(None) } else { self.tables.version(logical) }
    }

    /// What a name leads to.
    pub(crate) fn named(&self, name: &str) -> Option<&Named> {
        self.known.get(&self.fingerprint(name))
    }

    fn fingerprint(&self, name: &str) -> Fingerprint {
        let made = self.referred.0.expose().get(name);
        made.map_or_else(|| self.tables.fingerprint("name", name.as_bytes()), |(fingerprint, _)| *fingerprint)
    }

    /// The pseudonymous form of a reference or of `Type/id`, as the split asks for it.
    pub(crate) fn pseudonym(&self, literal: &str) -> Option<String> {
        let (name, _) = referred(literal)?;
        let named = self.named(&name)?;
        let mut digits = [0; 32];
        hex::encode_to_slice(named.logical, &mut digits).ok()?;
        Some([named.kind, "/", std::str::from_utf8(&digits).ok()?].concat())
    }

    /// Adds the new names to `batch`.
    pub(crate) fn stage(&self, batch: &mut Batch) -> Result<(), ClinicalError> {
        for name in &self.new {
            if let Some(named) = self.known.get(name) {
                self.tables.put_name(batch, name, named)?;
            }
        }
        Ok(())
    }
}

/// The pseudonym of a Patient that is contained in another resource.
pub(crate) fn contained_logical(tables: &Tables, container: &LogicalId, id: &str) -> LogicalId {
    let digest = tables.fingerprint("contained", &[container.as_slice(), id.as_bytes()].concat());
    std::array::from_fn(|index| digest[index])
}

#[cfg(test)]
mod tests {
    use super::referred;

    #[test]
    fn a_reference_leads_to_a_name_without_version_and_server() {
        let table = [
            ("Patient/1", Some(("Patient/1", Some("Patient")))),
            ("Patient/1/_history/2", Some(("Patient/1", Some("Patient")))),
            ("https://h.example/fhir/Patient/1", Some(("Patient/1", Some("Patient")))),
            ("https://h.example/x", Some(("https://h.example/x", None))),
            ("Patient?identifier=s|7", Some(("Patient?identifier=s|7", Some("Patient")))),
            ("urn:oid:1.2.3", Some(("urn:oid:1.2.3", None))),
            ("#c", None),
            ("Jane/1", None),
        ];
        for (literal, expected) in table {
            let found = referred(literal);
            assert_eq!(found.as_ref().map(|(name, kind)| (&**name, *kind)), expected, "{literal}");
        }
    }
}
