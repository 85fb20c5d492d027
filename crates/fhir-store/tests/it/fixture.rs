//! A store of its own for each test: in a folder, or in a database of a server.

use crate::server::Database;
use bxp_fhir_store::{
    Kind, NewVersion, Parameters, Prepared, Put, Reader, Store, StoreError, Writer, search,
};
use bxp_privacy::{Facts, Permit, Purpose, Request, Scope, decide};
use bxp_types::{BlockClass, Jurisdiction, Secret, SubjectId, ValidatorIndex};
use tempfile::TempDir;

pub(crate) const NOW_MS: u64 = 1_800_000_000_000;
pub(crate) const SUBJECT: [u8; 16] = [7; 16];

/// Where a test's store is.
#[derive(Clone)]
pub(crate) enum Place {
    File,
    Server(Database),
}

/// Makes each test one for a file, and one for a server where this machine has one.
macro_rules! on_both {
    ($($(#[$note:meta])* $name:ident),* $(,)?) => {
        mod file {
            $($(#[$note])* #[test] fn $name() { super::$name($crate::fixture::Place::File) })*
        }
        mod postgres {
            $($(#[$note])* #[test] fn $name() {
                if let Some(database) = $crate::server::database() {
                    super::$name($crate::fixture::Place::Server(database));
                }
            })*
        }
    };
}
pub(crate) use on_both;

pub(crate) struct Fixture {
    pub(crate) place: Place,
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
}

pub(crate) fn kind(name: &str) -> Kind {
    Parameters::r4().kind(name).unwrap()
}

pub(crate) fn permit(scope: Scope) -> Permit {
    let home = Jurisdiction::US;
    let purpose = if scope == Scope::OwnRecords { Purpose::Operations } else { Purpose::Treatment };
    let request = Request { requester: ValidatorIndex(0), scope, class: BlockClass::Identity(home), purpose };
    let facts = Facts {
        now_ms: NOW_MS,
        member: true,
        holder: true,
        regulator: false,
        requester_jurisdiction: home,
        residency: Some(home),
        patient_verified: false,
        contribution: None,
        contract: None,
    };
    decide(&request, &facts).unwrap()
}

impl Fixture {
    pub(crate) fn new(place: Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&place, &folder, 1).unwrap();
        Self { place, folder, store }
    }

    /// The same store, opened again.
    pub(crate) fn again(self) -> Self {
        let Self { place, folder, store } = self;
        drop(store);
        let store = open_when_free(&place, &folder, 1).unwrap();
        Self { place, folder, store }
    }

    pub(crate) fn put(&self, text: &str) -> Put {
        self.put_of(text, SUBJECT, NOW_MS)
    }

    pub(crate) fn put_of(&self, text: &str, subject: [u8; 16], at_ms: u64) -> Put {
        let mut writer = self.store.writer();
        writer.begin().unwrap();
        let put = put(&mut writer, text, subject, at_ms);
        writer.commit().unwrap();
        put
    }

    /// Many in one transaction.
    pub(crate) fn put_all(&self, texts: impl Iterator<Item = String>) {
        let mut writer = self.store.writer();
        writer.begin().unwrap();
        for text in texts {
            put(&mut writer, &text, SUBJECT, NOW_MS);
        }
        writer.commit().unwrap();
    }

    pub(crate) fn delete(&self, name: &str, id: &str) {
        let mut writer = self.store.writer();
        writer.begin().unwrap();
        let (kind, updated_ms) = (kind(name), i64::try_from(NOW_MS).unwrap());
        writer
            .put(&NewVersion { kind, id, updated_ms, record: None, subject: SUBJECT, content: None })
            .unwrap();
        writer.commit().unwrap();
    }

    pub(crate) fn reader(&self) -> Reader {
        self.store.reader(&permit(Scope::OwnRecords), NOW_MS).unwrap()
    }

    pub(crate) fn reader_of(&self, subject: [u8; 16]) -> Reader {
        self.store.reader(&permit(Scope::Subject(SubjectId(subject))), NOW_MS).unwrap()
    }

    /// The ids that a search finds, in its order.
    pub(crate) fn search(&self, name: &str, query: &str) -> String {
        self.try_search(name, query).unwrap().join(" ")
    }

    pub(crate) fn try_search(&self, name: &str, query: &str) -> Result<Vec<String>, StoreError> {
        let parsed = parse(name, query)?;
        assert!(parsed.ignored.is_empty(), "{query}: {:?}", parsed.ignored);
        let reader = self.reader();
        let mut ids = Vec::new();
        let mut after = None;
        let upto = reader.newest()?;
        loop {
            // Small pages, so that every search is also a test of paging.
            let (found, page) = reader.search(&parsed.query, 2, after.as_ref(), upto)?;
            ids.extend(found.into_iter().map(|one| one.id));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(ids),
            }
        }
    }
}

fn put(writer: &mut Writer, text: &str, subject: [u8; 16], at_ms: u64) -> Put {
    let value: sonic_rs::Value = sonic_rs::from_str(text).unwrap();
    let text_of = |name: &str| sonic_rs::JsonValueTrait::as_str(&value[name]).unwrap().to_owned();
    let (kind, id) = (kind(&text_of("resourceType")), text_of("id"));
    let content = Prepared::new(kind, &value).unwrap();
    let updated_ms = i64::try_from(at_ms).unwrap();
    let record = Some([1; 16]);
    writer.put(&NewVersion { kind, id: &id, updated_ms, record, subject, content: Some(&content) }).unwrap()
}

pub(crate) fn parse(name: &str, query: &str) -> Result<search::Parsed, StoreError> {
    let pairs: Vec<(String, String)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    search::parse(kind(name), &pairs, &[], i64::try_from(NOW_MS).unwrap())
}

pub(crate) fn open(place: &Place, folder: &TempDir, key: u8) -> Result<Store, StoreError> {
    let key = Secret::new([key; 32]);
    match place {
        Place::File => Store::open(folder.path(), key),
        Place::Server(database) => Store::connect(database.server(), &key),
    }
}

/// The server hears of a closed connection a little later.
pub(crate) fn open_when_free(place: &Place, folder: &TempDir, key: u8) -> Result<Store, StoreError> {
    for _ in 0..500 {
        match open(place, folder, key) {
            Err(error) if error.to_string().contains("another node") => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            other => return other,
        }
    }
    panic!("the lock of a closed connection stays");
}
