//! What the mapping has made so far, and what it could not.

use super::{Note, Options, datatype::zone_of, identity, json::Json};
use crate::{Message, Place, Segment};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The most notes of one message.
const NOTES_MAX: usize = 1_000;

/// A resource of the Bundle.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) json: Json,
}

/// Where a resource stands in the Bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct At(usize);

/// Everything that the mapping knows.
pub(crate) struct Context<'a> {
    pub(crate) message: &'a Message<'a>,
    pub(crate) options: &'a Options,
    pub(crate) entries: Vec<Entry>,
    by_id: HashMap<(&'static str, String), usize>,
    /// The fields that have found their place, by segment and occurrence.
    mapped: HashMap<(String, usize), BTreeSet<usize>>,
    notes: BTreeMap<Place, &'static str>,
    /// The place of the value that is converted just now.
    pub(crate) place: Place,
    /// The zone of times that name none, in minutes.
    pub(crate) zone: Option<i32>,
    /// Names the message: sending application and facility, control id, time.
    scope: String,
    /// The assigner of identifiers that name none: the sending facility.
    pub(crate) home: String,
    nameless: usize,
}

impl<'a> Context<'a> {
    pub(crate) fn new(message: &'a Message<'a>, options: &'a Options) -> Self {
        let header = message.header();
        let scope = [3, 4, 10, 7].map(|field| header.field(field).raw()).join("|");
        Self {
            message,
            options,
            entries: Vec::new(),
            by_id: HashMap::new(),
            mapped: HashMap::new(),
            notes: BTreeMap::new(),
            place: Place::default(),
            zone: zone_of(&header.value(7)).or(options.offset_minutes),
            scope,
            home: identity::facility(&header),
            nameless: 0,
        }
    }

    /// An id from what names a thing. Without any name it is named within the message.
    pub(crate) fn id(&mut self, kind: &str, names: &[&str]) -> String {
        if names.iter().all(|name| name.is_empty()) {
            self.nameless += 1;
            let number = self.nameless.to_string();
            return identity::derive(kind, &["message", &self.scope, &number]);
        }
        identity::derive(kind, names)
    }

    /// An id within the message.
    pub(crate) fn local_id(&mut self, kind: &str, name: &str) -> String {
        identity::derive(kind, &["message", &self.scope, name])
    }

    /// Puts a resource into the Bundle. One of the same id that is there already stays, and gets elements that it
    /// lacks: that is for what is referred to from many places, an organization, a practitioner, a location.
    pub(crate) fn share(&mut self, kind: &'static str, id: String, json: Json) -> At {
        if let Some(&at) = self.by_id.get(&(kind, id.clone())) {
            if let Json::Object(members) = json {
                members.into_iter().for_each(|(name, value)| self.entries[at].json.put(&name, value));
            }
            return At(at);
        }
        self.insert(kind, id, json)
    }

    /// Puts a resource into the Bundle that is its own: where its id is taken, it gets another.
    pub(crate) fn add(&mut self, kind: &'static str, id: String, json: Json) -> At {
        let mut own = id.clone();
        let mut number = 1_usize;
        while self.by_id.contains_key(&(kind, own.clone())) {
            number += 1;
            own = identity::derive(kind, &[&id, &number.to_string()]);
        }
        self.insert(kind, own, json)
    }

    fn insert(&mut self, kind: &'static str, id: String, json: Json) -> At {
        let at = self.entries.len();
        self.by_id.insert((kind, id.clone()), at);
        self.entries.push(Entry { kind, id, json });
        At(at)
    }

    /// A resource of the Bundle.
    pub(crate) fn at(&mut self, at: At) -> &mut Json {
        &mut self.entries[at.0].json
    }

    pub(crate) fn kind(&self, at: At) -> &'static str {
        self.entries[at.0].kind
    }

    pub(crate) fn id_at(&self, at: At) -> String {
        self.entries[at.0].id.clone()
    }

    /// A Reference to a resource of the Bundle.
    pub(crate) fn reference(&self, at: At) -> Json {
        let entry = &self.entries[at.0];
        Json::object([("reference", format!("{}/{}", entry.kind, entry.id).into())])
    }

    /// A field has found its place, or needs none.
    pub(crate) fn take(&mut self, segment: &Segment<'_>, field: usize) {
        self.mapped.entry((segment.name.to_owned(), segment.occurrence)).or_default().insert(field);
    }

    /// All of these fields have found their place.
    pub(crate) fn take_all(&mut self, segment: &Segment<'_>, fields: &[usize]) {
        fields.iter().for_each(|field| self.take(segment, *field));
    }

    /// Something could not be mapped.
    pub(crate) fn note(&mut self, place: Place, what: &'static str) {
        if self.notes.len() < NOTES_MAX {
            self.notes.entry(place).or_insert(what);
        }
    }

    /// The value that is converted just now could not be mapped.
    pub(crate) fn note_here(&mut self, what: &'static str) {
        self.note(self.place.clone(), what);
    }

    /// Ends the mapping: fields that found no place are noted too.
    pub(crate) fn into_parts(mut self) -> (Vec<Entry>, Vec<Note>) {
        let message = self.message;
        for segment in message.segments() {
            let key = (segment.name.to_owned(), segment.occurrence);
            let mapped = self.mapped.remove(&key).unwrap_or_default();
            if mapped.is_empty() {
                let what = if segment.name.starts_with('Z') {
                    "a segment of the sender's own; it is kept in the original message only"
                } else {
                    "a segment that has no place in FHIR here; it is kept in the original message only"
                };
                self.note(segment.place(0), what);
                continue;
            }
            for field in (1..=segment.field_count()).filter(|field| !mapped.contains(field)) {
                if segment.has(field) {
                    let what =
                        "a field that has no place in FHIR here; it is kept in the original message only";
                    self.note(segment.place(field), what);
                }
            }
        }
        let notes = self.notes.into_iter().map(|(place, what)| Note { place, what }).collect();
        (self.entries, notes)
    }
}
