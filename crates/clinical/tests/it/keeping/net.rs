//! Nodes in folders that outlive them, and a directory that the test changes.

use crate::{
    node::{NOW_MS, clock, patients, treatment},
    replicating::hand_over_all,
};
use bxp_clinical::{
    ClinicalError,
    erase::{Messenger, answer_tombstones},
    ingest::{Ingest, IngestConfig},
    keeping::{DirectorySource, Keeping, Others, Round, answer_keeping},
    repair::BlockSource,
    replicate::{Carrier, accept_replica},
    validate::Mode,
};
use bxp_contracts::genesis_accounts;
use bxp_enclave::Enclave;
use bxp_storage::Store;
use bxp_types::{Address, BlockClass, Genesis, Jurisdiction, SealedBlock, ValidatorEntry, ValidatorIndex};
use bxp_vault::{Directory, Member, RecordEntry, Replica, Vault};
use bytes::Bytes;
use cid::Cid;
use parking_lot::Mutex;
use std::{collections::BTreeSet, fs, num::NonZeroU16, path::Path, sync::Arc};

pub(crate) const US: Jurisdiction = Jurisdiction::US;
pub(crate) const DE: Jurisdiction = Jurisdiction::DE;

pub(crate) struct Seat {
    pub(crate) store: Store,
    pub(crate) enclave: Enclave,
    pub(crate) vault: Vault,
    pub(crate) ingest: Ingest,
}

/// The directory that all nodes read.
#[derive(Clone)]
pub(crate) struct Shared(pub(crate) Arc<Mutex<Directory>>);

impl DirectorySource for Shared {
    fn newer_than(&self, height: Option<u64>) -> Result<Vec<Directory>, ClinicalError> {
        self.0.lock().newer_than(height)
    }
}

pub(crate) struct Net {
    pub(crate) genesis: Genesis,
    pub(crate) seats: Vec<Seat>,
    pub(crate) directory: Shared,
}

/// Makes the folders of nodes in these countries, with that many copies in the US.
pub(crate) fn make(dir: &Path, homes: &[Jurisdiction], copies: u16) {
    let entry = |(index, home): (usize, &Jurisdiction)| {
        let folder = dir.join(index.to_string());
        fs::create_dir_all(&folder).unwrap();
        let public = Enclave::create(&folder.join("enclave"), None, None).unwrap().public();
        ValidatorEntry {
            name: format!("node-{index}"),
            jurisdiction: *home,
            public_key: public.public_key,
            sealing_key: public.sealing_key,
            account: public.account,
            p2p_address: format!("127.0.0.1:{}", 4_000 + index),
        }
    };
    let validators: Vec<_> = homes.iter().enumerate().map(entry).collect();
    let treasury = Address::repeat_byte(0xfe);
    let genesis = Genesis {
        chain_id: 2018,
        time_ms: NOW_MS,
        gas_limit: 60_000_000,
        base_fee_wei: 1_000_000_000,
        treasury,
        accounts: genesis_accounts(validators.iter().map(|validator| validator.account), treasury),
        validators,
        identity_copies: [(US, NonZeroU16::new(copies).unwrap())].into(),
    };
    fs::write(dir.join("genesis.json"), serde_json::to_vec(&genesis).unwrap()).unwrap();
}

impl Net {
    pub(crate) fn open(dir: &Path) -> Self {
        let genesis = Genesis::from_json(&fs::read_to_string(dir.join("genesis.json")).unwrap()).unwrap();
        let seats = (0..genesis.validator_count()).map(|index| seat(dir, &genesis, index)).collect();
        let directory = Shared(Arc::new(Mutex::new(Directory::of_genesis(&genesis))));
        Self { genesis, seats, directory }
    }

    /// From `height` on these nodes stand in these countries, and no others anywhere.
    pub(crate) fn move_to(&self, height: u64, places: &[(u16, Jurisdiction)]) {
        let known = Directory::of_genesis(&self.genesis);
        let member = |(index, country): &(u16, Jurisdiction)| Member {
            country: *country,
            ..*known.member(ValidatorIndex(*index)).unwrap()
        };
        let copies = self.genesis.identity_copies.clone();
        *self.directory.0.lock() = Directory::new(height, places.iter().map(member), copies);
    }

    /// One patient's records at node 0, wherever they belong by genesis. Gives their entries.
    pub(crate) async fn take_in(&self) -> Vec<RecordEntry> {
        let bundle = &patients(US, 1)[1];
        let taken = self.seats[0].ingest.ingest_submission(&crate::node::submission(&bundle.json)).unwrap();
        assert!(taken.new > 0 && taken.refused == 0);
        self.hand_over(0).await;
        self.entries()
    }

    pub(crate) fn entries(&self) -> Vec<RecordEntry> {
        self.seats[0].vault.entries(0).map(|row| row.unwrap().1).collect()
    }

    /// Replicates from a node until nothing waits.
    pub(crate) async fn hand_over(&self, from: usize) {
        hand_over_all(&self.seats[from].ingest, self.line(from)).await;
    }

    /// How node `from` reaches the others.
    pub(crate) fn line(&self, from: usize) -> Line {
        let seats = self.seats.iter().map(|seat| (seat.vault.clone(), seat.store.clone())).collect();
        let (seats, genesis) = (Arc::new(seats), self.genesis.clone());
        Line { from: ValidatorIndex(from as u16), genesis, seats, away: Arc::default() }
    }

    pub(crate) fn keeping(&self, of: usize) -> Keeping<Line> {
        Keeping::new(self.seats[of].ingest.clone(), self.line(of), Arc::new(self.directory.clone()))
    }

    /// Rounds of all nodes until none has anything to do.
    pub(crate) async fn settle(&self) {
        const ROUNDS_MAX: usize = 20;
        let mut workers: Vec<_> = (0..self.seats.len()).map(|of| self.keeping(of)).collect();
        for _ in 0..ROUNDS_MAX {
            let mut quiet = true;
            for worker in &mut workers {
                quiet &= worker.round().await.unwrap() == Round::default();
            }
            if quiet {
                return;
            }
        }
        panic!("not at rest after {ROUNDS_MAX} rounds");
    }

    /// The nodes that have the record's identity block and its key.
    pub(crate) fn holders(&self, entry: &RecordEntry) -> Vec<u16> {
        let has = |seat: &&Seat| {
            let key = seat.vault.has_key(&entry.identity_cid).unwrap();
            let block = seat.vault.block(&entry.identity_cid).unwrap();
            assert_eq!(key, block.is_some(), "{}: the block goes with its key", seat.vault.me());
            key
        };
        self.seats.iter().filter(has).map(|seat| seat.vault.me().0).collect()
    }
}

fn seat(dir: &Path, genesis: &Genesis, index: usize) -> Seat {
    let folder = dir.join(index.to_string());
    let store = Store::open(&folder.join("data"), genesis.network_id()).unwrap();
    let enclave = Enclave::open(&folder.join("enclave"), None).unwrap();
    let home = genesis.validators[index].jurisdiction;
    let me = ValidatorIndex(index as u16);
    let vault = Vault::open_with_clock(&store, enclave.clone(), me, home, clock()).unwrap();
    let config = IngestConfig { default_jurisdiction: home, validation: Mode::Strict, profiles: Mode::Warn };
    let ingest =
        Ingest::with_clock(vault.clone(), enclave.clone(), &store, genesis, config, clock()).unwrap();
    Seat { store, enclave, vault, ingest }
}

impl Seat {
    /// Whether the node opens the identity side for a treatment in `country`.
    pub(crate) fn opens(&self, entry: &RecordEntry, country: Jurisdiction) -> bool {
        let class = BlockClass::Identity(entry.home);
        treatment(&self.vault, entry.record_id, class, country)
            .is_ok_and(|permit| self.vault.open_identity(entry.record_id, &permit).is_ok())
    }
}

/// Straight into the other vaults, by the very functions that a node answers with.
#[derive(Clone)]
pub(crate) struct Line {
    from: ValidatorIndex,
    genesis: Genesis,
    seats: Arc<Vec<(Vault, Store)>>,
    pub(crate) away: Arc<Mutex<BTreeSet<u16>>>,
}

impl Line {
    fn vault(&self, of: ValidatorIndex) -> Option<&Vault> {
        let here = !self.away.lock().contains(&of.0);
        self.seats.get(usize::from(of.0)).filter(|_| here).map(|(vault, _)| vault)
    }
}

impl Carrier for Line {
    fn reaches(&self, to: ValidatorIndex) -> bool {
        self.vault(to).is_some()
    }

    async fn carry(&self, to: ValidatorIndex, replica: Replica) -> Result<(), String> {
        let (vault, store) = &self.seats[usize::from(to.0)];
        let accepted = accept_replica(vault, store, self.from, &replica.manifest, &replica.blocks);
        accepted.map(drop).map_err(|error| error.to_string())
    }
}

impl Messenger for Line {
    fn reaches(&self, to: ValidatorIndex) -> bool {
        self.vault(to).is_some()
    }

    async fn ask(&self, to: ValidatorIndex, bytes: Bytes) -> Result<Bytes, String> {
        let vault = self.vault(to).ok_or("away")?;
        Ok(answer_tombstones(vault, &self.genesis, self.from, &bytes))
    }
}

impl BlockSource for Line {
    fn peers(&self) -> Vec<ValidatorIndex> {
        let all = (0..self.seats.len()).map(|index| ValidatorIndex(index as u16));
        all.filter(|index| *index != self.from && self.vault(*index).is_some()).collect()
    }

    async fn fetch(&self, from: ValidatorIndex, cid: Cid) -> Option<SealedBlock> {
        self.vault(from)?.block_for(&cid, self.from).unwrap()
    }
}

impl Others for Line {
    async fn ask(&self, to: ValidatorIndex, bytes: Bytes) -> Result<Bytes, String> {
        let vault = self.vault(to).ok_or("away")?;
        Ok(answer_keeping(vault, &self.genesis, &clock(), self.from, &bytes))
    }

    fn stand(&self, _: &Directory) {}
}
