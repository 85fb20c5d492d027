//! Index entries: what of a resource's values goes into which table.

use crate::{
    StoreError, bucket,
    database::{Database, values},
    extract::Extracted,
    parameters::Kind,
    sealing::{Domain, Sealer},
    value::{Indexed, Target, text::fold},
};

/// What has a number in the index.
pub(crate) enum Name<'a> {
    Concept { system: &'a str, code: &'a str, label: &'a str },
    Resource(Kind, &'a str),
}

/// The entries of one resource.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    pub(crate) postings: Vec<(i64, i64)>,
    spans: Vec<(i64, i64, i64)>,
    amounts: Vec<(i64, f64, f64, i64)>,
    words: Vec<(i64, String, String)>,
}

/// The number of the list of all resources of a kind.
pub(crate) const fn all_of(kind: Kind) -> i64 {
    -1 - kind.0 as i64
}

impl Entries {
    /// `number` gives the number of a name; without one there is no entry. With a `sealer`, values that are looked up by
    /// range go into its coarse keyed lists, and nowhere else.
    pub(crate) fn of(
        extracted: &Extracted,
        sealer: Option<&Sealer>,
        number: &mut impl FnMut(Name<'_>) -> Result<Option<i64>, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut entries = Self::default();
        for (parameter, value) in &extracted.values {
            let param = parameter.index();
            let mut concept =
                |system: &str, code: &str, label: &str| number(Name::Concept { system, code, label });
            match value {
                Indexed::Token { system, code, label } => {
                    entries.postings.extend(concept(system, code, label)?.map(|key| (param, key)));
                }
                Indexed::Uri(uri) | Indexed::Reference(Target::Elsewhere(uri)) => {
                    // Numbers of concepts are negative here, where numbers of resources may stand too.
                    let key = concept("", uri, "")?;
                    entries.postings.extend(key.map(|key| (param, -key)));
                }
                Indexed::Reference(Target::Local(kind, id)) => {
                    let key = number(Name::Resource(*kind, id))?;
                    entries.postings.extend(key.map(|key| (param, key)));
                }
                Indexed::ReferenceIdentifier { system, code } => {
                    let key = concept(system, code, "")?;
                    entries.postings.extend(key.map(|key| (parameter.identifier_index(), key)));
                }
                Indexed::Date(_) | Indexed::Amount(_) | Indexed::Text(_) if sealer.is_some() => {
                    let lists = sealer.map(|sealer| bucket::lists_of(sealer, param, value));
                    entries.postings.extend(lists.into_iter().flatten());
                }
                Indexed::Date(span) => entries.spans.push((param, span.low, span.high)),
                Indexed::Amount(amount) => {
                    let unit = concept(&amount.system, &amount.unit, &amount.label)?.unwrap_or_default();
                    entries.amounts.push((param, amount.low, amount.high, unit));
                }
                Indexed::Text(text) => entries.words.push((param, fold(text), text.clone())),
                // Places are few; a search looks at each.
                Indexed::Place { .. } => {}
            }
        }
        Ok(entries)
    }

    /// Writes what is no posting.
    pub(crate) fn insert_values(&self, database: &Database, rid: i64) -> Result<(), StoreError> {
        if !self.spans.is_empty() {
            let text =
                "INSERT INTO span (rid, param, low, high) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
            for (param, low, high) in &self.spans {
                database.execute(text, values![rid, *param, *low, *high])?;
            }
        }
        if !self.amounts.is_empty() {
            let text = "INSERT INTO amount (rid, param, low, high, unit) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
            for (param, low, high, unit) in &self.amounts {
                database.execute(text, values![rid, *param, *low, *high, *unit])?;
            }
        }
        if !self.words.is_empty() {
            let text = "INSERT INTO words (rid, param, folded, written) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
            for (param, folded, written) in &self.words {
                database.execute(text, values![rid, *param, folded.as_str(), written.as_str()])?;
            }
        }
        Ok(())
    }
}

/// Writes a concept as one text, to remember it by.
pub(crate) fn name_concept(name: &mut String, system: &str, code: &str, label: &str) {
    name.clear();
    [system, "\u{1f}", code, "\u{1f}", label].iter().for_each(|part| name.push_str(part));
}

/// The number of a concept that is here.
pub(crate) fn concept(
    database: &Database,
    system: &str,
    code: &str,
    label: &str,
) -> Result<Option<i64>, StoreError> {
    let text = "SELECT cid FROM concept WHERE code = ?1 AND system = ?2 AND label = ?3";
    let names = [(Domain::Code, code), (Domain::System, system), (Domain::Label, label)];
    let [code, system, label] = names.map(|(domain, name)| database.hidden(domain, name));
    database.first(text, &[code?, system?, label?], |row| row.get(0))
}
