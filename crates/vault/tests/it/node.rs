//! A node's vault in a folder of its own, with a clock that the test turns.

use bxp_enclave::Enclave;
use bxp_privacy::{ContractFacts, Facts, Permit, Purpose, Request, Scope, decide};
use bxp_storage::{Durability, Store};
use bxp_types::{
    Address, BlockClass, Bytes, Jurisdiction, NetworkId, Phi, RecordId, SubjectId, ValidatorIndex,
};
use bxp_vault::{
    Accepted, Clock, NewRecord, Recipient, RecordEntry, Replica, SealedRecord, Vault, VaultError,
};
use cid::Cid;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub(crate) const START_MS: u64 = 1_800_000_000_000;

pub(crate) struct Node {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) enclave: Enclave,
    pub(crate) vault: Vault,
    pub(crate) now_ms: Arc<AtomicU64>,
}

pub(crate) fn network() -> NetworkId {
    NetworkId([7; 32])
}

/// The key of a block's rows: the 32 bytes of the digest, and then the four that stand before it in the CID.
pub(crate) fn row_key(cid: &Cid) -> Vec<u8> {
    let name = cid.to_bytes();
    let (before, digest) = name.split_at(4);
    [digest, before].concat()
}

/// Removes a block's row from a table, as a disk may.
pub(crate) fn lose(node: &Node, table: &str, cid: &Cid) {
    let mut batch = node.store.batch();
    batch.remove(&node.store.table(table).unwrap(), row_key(cid));
    batch.commit(Durability::Buffered).unwrap();
}

impl Node {
    pub(crate) fn new(me: u16, home: Jurisdiction) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("data"), network()).unwrap();
        let enclave = Enclave::create(&dir.path().join("enclave"), None, None).unwrap();
        let now_ms = Arc::new(AtomicU64::new(START_MS));
        let turning = Arc::clone(&now_ms);
        let clock = Clock::from_fn(move || turning.load(Ordering::SeqCst));
        let me = ValidatorIndex(me);
        let vault = Vault::open_with_clock(&store, enclave.clone(), me, home, clock).unwrap();
        Self { dir, store, enclave, vault, now_ms }
    }

    /// The same folder again, after everything that held it has gone.
    pub(crate) fn reopen(self) -> Self {
        let Self { dir, store, enclave, vault, now_ms } = self;
        let (me, home) = (vault.me(), vault.home());
        drop((vault, store, enclave));
        Self::at(dir, me, home, now_ms)
    }

    /// The node whose folder this is.
    pub(crate) fn at(
        dir: tempfile::TempDir,
        me: ValidatorIndex,
        home: Jurisdiction,
        now_ms: Arc<AtomicU64>,
    ) -> Self {
        let store = Store::open(&dir.path().join("data"), network()).unwrap();
        let enclave = Enclave::open(&dir.path().join("enclave"), None).unwrap();
        let turning = Arc::clone(&now_ms);
        let clock = Clock::from_fn(move || turning.load(Ordering::SeqCst));
        let vault = Vault::open_with_clock(&store, enclave.clone(), me, home, clock).unwrap();
        Self { dir, store, enclave, vault, now_ms }
    }

    pub(crate) fn later(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    pub(crate) fn recipient(&self) -> Recipient {
        Recipient {
            validator: self.vault.me(),
            jurisdiction: self.vault.home(),
            sealing_key: self.enclave.public().sealing_key,
        }
    }

    pub(crate) fn seal(&self, subject: u8, identity: &str, rest: &str) -> SealedRecord {
        self.vault.seal_record(&self.record(subject, identity, rest)).unwrap()
    }

    pub(crate) fn record(&self, subject: u8, identity: &str, rest: &str) -> NewRecord {
        NewRecord {
            subject: SubjectId([subject; 16]),
            patient: Address::repeat_byte(subject),
            home: self.vault.home(),
            identity: Phi::new(Bytes::copy_from_slice(identity.as_bytes())),
            deidentified: Bytes::copy_from_slice(rest.as_bytes()),
        }
    }

    pub(crate) fn keep(&self, records: &[SealedRecord]) {
        let mut batch = self.store.batch();
        self.vault.stage(&mut batch, records, &self.vault.sealing()).unwrap();
        batch.commit(Durability::Buffered).unwrap();
    }

    /// Takes in what `from` sent.
    pub(crate) fn accept(&self, from: ValidatorIndex, sent: &Replica) -> Result<Accepted, VaultError> {
        let mut batch = self.store.batch();
        let (vault, sealing) = (&self.vault, self.vault.sealing());
        let accepted = vault.stage_replica(&mut batch, from, &sent.manifest, &sent.blocks, &sealing)?;
        batch.commit(Durability::Synced).unwrap();
        Ok(accepted)
    }

    /// Seals and keeps one record.
    pub(crate) fn take_in(&self, subject: u8, identity: &str, rest: &str) -> RecordEntry {
        let record = self.seal(subject, identity, rest);
        self.keep(std::slice::from_ref(&record));
        record.entry
    }

    /// A permit of this node for its own work on all its records.
    pub(crate) fn own_permit(&self, class: BlockClass) -> Permit {
        let request = Request {
            requester: self.vault.me(),
            scope: Scope::OwnRecords,
            class,
            purpose: Purpose::Operations,
        };
        decide(&request, &self.facts(self.vault.home(), true)).unwrap()
    }

    pub(crate) fn identity_class(&self) -> BlockClass {
        BlockClass::Identity(self.vault.home())
    }

    /// A permit for `requester` in `country` to treat the patient of one record.
    pub(crate) fn treatment(
        &self,
        requester: u16,
        country: Jurisdiction,
        record: RecordId,
        class: BlockClass,
    ) -> Permit {
        let request = Request {
            requester: ValidatorIndex(requester),
            scope: Scope::Record(record),
            class,
            purpose: Purpose::Treatment,
        };
        decide(&request, &self.facts(country, false)).unwrap()
    }

    /// A permit to deliver a patient's records under a contract.
    pub(crate) fn research(&self, subject: u8) -> Permit {
        let address = Address::repeat_byte(0xcc);
        let request = Request {
            requester: self.vault.me(),
            scope: Scope::Subject(SubjectId([subject; 16])),
            class: BlockClass::Deidentified,
            purpose: Purpose::Research { request: address },
        };
        let contract = ContractFacts { address, open: true, term_end_ms: u64::MAX };
        let facts = Facts {
            contract: Some(contract),
            contribution: Some(true),
            ..self.facts(self.vault.home(), true)
        };
        decide(&request, &facts).unwrap()
    }

    fn facts(&self, requester_jurisdiction: Jurisdiction, holder: bool) -> Facts {
        Facts {
            now_ms: self.now_ms.load(Ordering::SeqCst),
            member: true,
            holder,
            regulator: false,
            requester_jurisdiction,
            residency: Some(self.vault.home()),
            patient_verified: false,
            contribution: None,
            contract: None,
        }
    }
}
