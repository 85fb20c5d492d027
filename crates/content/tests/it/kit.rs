//! A store with a gatekeeper whose knowledge the tests set, and DAGs to put in it.

use bxp_content::{
    Block, Codec, ContentError, ContentStore, Draft, Gatekeeper, NewBlock, Publication, Quota, Reader, Terms,
};
use bxp_enclave::Enclave;
use bxp_privacy::Purpose;
use bxp_storage::Store;
use bxp_types::{NetworkId, RecordId, SubjectId};
use cid::Cid;
use ipld_core::ipld::Ipld;
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
};

pub(crate) const NETWORK: NetworkId = NetworkId([7; 32]);
pub(crate) const NOW_S: u64 = 1_000;
/// What no file of the store may hold.
pub(crate) const CANARY: &str = "canary-of-a-record";
/// With which a block begins that this gatekeeper takes for identifying.
pub(crate) const IDENTIFYING: &[u8] = b"identity";

/// What the gatekeeper knows.
#[derive(Default)]
pub(crate) struct Knowledge {
    pub(crate) denied: BTreeSet<RecordId>,
    pub(crate) gone: BTreeSet<RecordId>,
    pub(crate) anchored: BTreeSet<Cid>,
    pub(crate) now_s: u64,
}

#[derive(Clone)]
pub(crate) struct Keeper(pub(crate) Arc<Mutex<Knowledge>>);

impl Gatekeeper for Keeper {
    fn permits(&self, _: &Reader, _: Purpose, record: Option<RecordId>) -> Result<bool, ContentError> {
        let knowledge = self.0.lock().unwrap();
        Ok(record
            .is_none_or(|record| !knowledge.denied.contains(&record) && !knowledge.gone.contains(&record)))
    }

    fn is_identifying(&self, block: &Block) -> bool {
        block.bytes().starts_with(IDENTIFYING)
    }

    fn is_anchored(&self, cid: &Cid) -> Result<bool, ContentError> {
        Ok(self.0.lock().unwrap().anchored.contains(cid))
    }

    fn is_gone(&self, record: RecordId) -> Result<bool, ContentError> {
        Ok(self.0.lock().unwrap().gone.contains(&record))
    }

    fn now_s(&self) -> u64 {
        self.0.lock().unwrap().now_s
    }
}

/// A store in a folder of its own.
pub(crate) struct Node {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) content: ContentStore,
    pub(crate) keeper: Keeper,
    pub(crate) enclave: Enclave,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::with_quota(Quota { bytes_max: 64 << 20, disk_free_bytes_min: 0 })
    }

    pub(crate) fn with_quota(quota: Quota) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (content, keeper, enclave) = open(dir.path(), quota);
        Self { dir, content, keeper, enclave }
    }

    pub(crate) fn know(&self, change: impl FnOnce(&mut Knowledge)) {
        change(&mut self.keeper.0.lock().unwrap());
    }

    /// Publishes the record set of `seed` for `readers`.
    pub(crate) fn publish(&self, seed: u8, readers: Vec<Reader>) -> (Publication, RecordSet) {
        let set = RecordSet::new(seed);
        self.enclave.ensure_patients(&[set.patient.0]).unwrap();
        let publication = self.content.publish(set.draft(readers)).unwrap();
        (publication, set)
    }

    /// Whether the reader gets each of the set's blocks.
    pub(crate) fn reads(&self, reader: &Reader, set: &RecordSet) -> Vec<bool> {
        let view = self.content.view(reader.clone());
        set.blocks.iter().map(|one| view.block(one.block.cid()).unwrap().is_some()).collect()
    }
}

pub(crate) fn open(dir: &Path, quota: Quota) -> (ContentStore, Keeper, Enclave) {
    let store = Store::open(&dir.join("data"), NETWORK).unwrap();
    let enclave = Enclave::open_or_create(&dir.join("enclave"), None).unwrap();
    let knowledge = Knowledge { now_s: NOW_S, ..Knowledge::default() };
    let keeper = Keeper(Arc::new(Mutex::new(knowledge)));
    let content = ContentStore::open(&store, enclave.clone(), Arc::new(keeper.clone()), quota).unwrap();
    (content, keeper, enclave)
}

/// A root with one chart of three records, the last of them large.
pub(crate) struct RecordSet {
    pub(crate) root: Cid,
    pub(crate) patient: SubjectId,
    /// The records, in the order of the last three blocks.
    pub(crate) records: [RecordId; 3],
    /// Root, chart, records.
    pub(crate) blocks: Vec<NewBlock>,
}

impl RecordSet {
    pub(crate) fn new(seed: u8) -> Self {
        let patient = SubjectId([seed; 16]);
        let records = [1, 2, 3].map(|number| RecordId([seed.wrapping_mul(16).wrapping_add(number); 16]));
        let mut leaves = Vec::new();
        for record in records {
            let length = if record == records[2] { 300_000 } else { 40 };
            let text = format!("{CANARY} {record} {}", "x".repeat(length));
            let block = dag_cbor(&map([("resource", Ipld::String(text)), ("v", Ipld::Integer(1))]));
            leaves.push(NewBlock { block, record: Some(record), patient: Some(patient) });
        }
        let links = |blocks: &[NewBlock]| blocks.iter().map(|one| Ipld::Link(*one.block.cid())).collect();
        let chart = dag_cbor(&map([("records", Ipld::List(links(&leaves)))]));
        let chart = NewBlock { block: chart, record: None, patient: None };
        let root = dag_cbor(&map([("charts", Ipld::List(links(std::slice::from_ref(&chart))))]));
        let root = NewBlock { block: root, record: None, patient: None };
        let (name, mut blocks) = (*root.block.cid(), vec![root, chart]);
        blocks.extend(leaves);
        Self { root: name, patient, records, blocks }
    }

    pub(crate) fn draft(&self, readers: Vec<Reader>) -> Draft {
        let terms = Terms { purpose: Purpose::Oversight, until_s: NOW_S + 100 };
        Draft { root: self.root, terms, readers, blocks: self.blocks.clone() }
    }

    pub(crate) fn cids(&self) -> Vec<Cid> {
        self.blocks.iter().map(|one| *one.block.cid()).collect()
    }
}

pub(crate) fn map<const N: usize>(entries: [(&str, Ipld); N]) -> Ipld {
    Ipld::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

pub(crate) fn dag_cbor(value: &Ipld) -> Block {
    Block::new(Codec::DagCbor, serde_ipld_dagcbor::to_vec(value).unwrap().into()).unwrap()
}

pub(crate) fn raw(bytes: impl Into<bytes::Bytes>) -> Block {
    Block::new(Codec::Raw, bytes.into()).unwrap()
}

/// A DAG-CBOR list of links.
pub(crate) fn list(children: &[Block]) -> Block {
    dag_cbor(&Ipld::List(children.iter().map(|child| Ipld::Link(*child.cid())).collect()))
}

/// A CAR file.
pub(crate) fn car(roots: &[Cid], blocks: &[Block]) -> Vec<u8> {
    blocks.iter().fold(bxp_content::car::header(roots), |mut file, block| {
        file.extend(bxp_content::car::section(block));
        file
    })
}
