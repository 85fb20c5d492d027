//! What has been made of a document so far.

use super::{Mapped, Note, Options, identity, require};
use crate::{Document, element::Element};
use bxp_hl7v2::build::{Json, derive_id};
use std::collections::{BTreeMap, HashMap};

/// The most different notes of one document: a report is for people.
const NOTES_MAX: usize = 1_000;
/// The most bytes of one text that is taken from the narrative by a reference.
const NARRATIVE_BYTES_MAX: usize = 4_096;
/// The most bytes of narrative that one document repeats in its entries, so that many references to one long text do not
/// make a small document large.
const NARRATIVE_ALL_BYTES_MAX: usize = 8 << 20;

/// A resource in the making.
pub(crate) struct Entry {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) json: Json,
}

/// The state of a mapping.
pub(crate) struct Context<'a> {
    pub(crate) document: &'a Document,
    pub(crate) options: &'a Options,
    pub(crate) entries: Vec<Entry>,
    by_name: HashMap<(&'static str, String), usize>,
    notes: BTreeMap<(String, &'static str), ()>,
    /// Where the mapping is, as names of sections and elements.
    pub(crate) path: Vec<String>,
    pub(crate) patient_id: String,
    /// What names the document.
    pub(crate) document_name: String,
    /// The zone of times that have none: that of the document.
    zone: String,
    narrative: HashMap<&'a str, &'a Element>,
    narrative_bytes: usize,
    pub(crate) author: Option<Json>,
    pub(crate) custodian: Option<Json>,
    pub(crate) encounter: Option<Json>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(document: &'a Document, options: &'a Options) -> Self {
        let root = &document.root;
        let time = root.of("effectiveTime", "value").unwrap_or_default();
        let zone = time.rfind(['+', '-']).filter(|at| *at >= 8).map(|at| time[at..].to_owned());
        let name = root.child("id").and_then(identity::names);
        let mut narrative = HashMap::new();
        gather(root, &mut narrative);
        Self {
            document,
            options,
            entries: Vec::new(),
            by_name: HashMap::new(),
            notes: BTreeMap::new(),
            path: Vec::new(),
            patient_id: String::new(),
            document_name: name.map(|(system, value)| format!("{system} {value}")).unwrap_or_default(),
            zone: zone.unwrap_or_default(),
            narrative,
            narrative_bytes: 0,
            author: None,
            custodian: None,
            encounter: None,
        }
    }

    /// Something at this place could not be mapped.
    pub(crate) fn note(&mut self, what: &'static str) {
        let path = if self.path.is_empty() { "ClinicalDocument".to_owned() } else { self.path.join("/") };
        self.note_at(path, what);
    }

    pub(crate) fn note_at(&mut self, path: String, what: &'static str) {
        if self.notes.len() < NOTES_MAX {
            self.notes.insert((path, what), ());
        }
    }

    /// Goes on below `name`.
    pub(crate) fn within<T>(&mut self, name: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name.to_owned());
        let done = work(self);
        self.path.pop();
        done
    }

    /// A time with the document's zone where it has a time of day and no zone.
    pub(crate) fn zoned(&self, text: &str) -> String {
        let bare = text.rfind(['+', '-']).is_none_or(|at| at < 4);
        if bare && text.len() > 8 { format!("{text}{}", self.zone) } else { text.to_owned() }
    }

    /// The text of the narrative that a reference leads to.
    pub(crate) fn narrative(&mut self, reference: &str) -> Option<String> {
        let element = self.narrative.get(reference.strip_prefix('#')?)?;
        if self.narrative_bytes > NARRATIVE_ALL_BYTES_MAX {
            self.note("more text of the narrative than entries may repeat; it is kept in the document only");
            return None;
        }
        let text = element.text(NARRATIVE_BYTES_MAX);
        self.narrative_bytes += text.len();
        Some(text).filter(|text| !text.is_empty())
    }

    /// The id of what is the patient's: by its own id, else by its place in the document.
    fn own_id(&self, kind: &str, element: &Element) -> String {
        let named = element.all("id").filter(|id| !id.is_null()).find_map(identity::names);
        match named {
            Some((system, value)) => derive_id(kind, &[&self.patient_id, &system, &value]),
            None => self.local_id(kind, &format!("{}#{}", self.path.join("/"), self.entries.len())),
        }
    }

    /// An id within the document.
    pub(crate) fn local_id(&self, kind: &str, name: &str) -> String {
        derive_id(kind, &[&self.patient_id, &self.document_name, name])
    }

    /// Adds what an element of the patient's record says; gives a reference to it. The same said twice is one.
    pub(crate) fn add(&mut self, kind: &'static str, element: &Element, json: Json) -> Json {
        let id = self.own_id(kind, element);
        self.put(kind, id, json)
    }

    /// Adds a resource under an id. Where another one has it already, it gets one of its place.
    pub(crate) fn put(&mut self, kind: &'static str, id: String, json: Json) -> Json {
        let mut id = id;
        if let Some(&at) = self.by_name.get(&(kind, id.clone())) {
            if self.entries[at].json == json {
                return reference(kind, &id);
            }
            self.note("an id that names more than one thing in this document");
            id = self.local_id(kind, &format!("{id} again {}", self.entries.len()));
        }
        self.by_name.insert((kind, id.clone()), self.entries.len());
        let made = reference(kind, &id);
        self.entries.push(Entry { kind, id, json });
        made
    }

    /// Adds what the whole network shares (people, organizations, places), the first saying of it staying.
    pub(crate) fn share(&mut self, kind: &'static str, id: String, json: Json) -> Json {
        let made = reference(kind, &id);
        match self.by_name.get(&(kind, id.clone())) {
            Some(&at) => {
                if let Json::Object(members) = json {
                    members.into_iter().for_each(|(name, value)| self.entries[at].json.put(&name, value));
                }
            }
            None => {
                self.by_name.insert((kind, id.clone()), self.entries.len());
                self.entries.push(Entry { kind, id, json });
            }
        }
        made
    }

    /// A Reference to the patient.
    pub(crate) fn patient(&self) -> Json {
        reference("Patient", &self.patient_id)
    }

    /// Ends the mapping.
    pub(crate) fn finish(mut self) -> Mapped {
        self.entries.iter_mut().for_each(require::fill);
        let mut bundle = String::from(r#"{"resourceType":"Bundle","type":"transaction","entry":["#);
        let resources = self.entries.len();
        for (at, Entry { kind, id, json }) in self.entries.into_iter().enumerate() {
            let mut members =
                vec![("resourceType".to_owned(), Json::from(kind)), ("id".to_owned(), id.as_str().into())];
            if let Json::Object(inner) = json {
                members.extend(inner);
            }
            let request = Json::object([("method", "PUT".into()), ("url", format!("{kind}/{id}").into())]);
            let whole = Json::object([
                ("fullUrl", format!("urn:uuid:{id}").into()),
                ("resource", Json::Object(members)),
                ("request", request),
            ]);
            if at > 0 {
                bundle.push(',');
            }
            whole.write(&mut bundle);
        }
        bundle.push_str("]}");
        let notes = self.notes.into_keys().map(|(path, what)| Note { path, what }).collect();
        Mapped { bundle, resources, notes }
    }
}

/// A Reference.
pub(crate) fn reference(kind: &str, id: &str) -> Json {
    Json::object([("reference", format!("{kind}/{id}").into())])
}

/// All elements that the narrative gives an ID.
fn gather<'a>(element: &'a Element, into: &mut HashMap<&'a str, &'a Element>) {
    if let Some(id) = element.attribute("ID") {
        into.entry(id).or_insert(element);
    }
    element.elements().for_each(|inner| gather(inner, into));
}
