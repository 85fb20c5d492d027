//! A node's folders: a vault, an enclave, the way in; and a network of such nodes.

use crate::ledger::TestLedger;
use bxp_clinical::{
    generate::{GeneratedBundle, GeneratorConfig, generate},
    ingest::{Ingest, IngestConfig},
    source::{Limits, Submission, parse_json},
    validate::Mode,
};
use bxp_contracts::genesis_accounts;
use bxp_enclave::Enclave;
use bxp_privacy::{Denial, Facts, Permit, Purpose, Request, Scope, decide};
use bxp_storage::Store;
use bxp_types::{
    Address, Amount, BlockClass, Genesis, GenesisAccount, Jurisdiction, RecordId, ValidatorEntry,
    ValidatorIndex,
};
use bxp_vault::{Clock, Vault};
use std::{net::SocketAddr, sync::Arc};

/// 2026-11-22.
pub(crate) const NOW_MS: u64 = 20_779 * 86_400_000;

pub(crate) struct Node {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) enclave: Enclave,
    pub(crate) vault: Vault,
    pub(crate) ingest: Ingest,
}

pub(crate) struct Cluster {
    pub(crate) genesis: Genesis,
    pub(crate) ledger: Arc<TestLedger>,
    pub(crate) nodes: Vec<Node>,
}

pub(crate) fn clock() -> Clock {
    Clock::from_fn(|| NOW_MS)
}

fn config(home: Jurisdiction) -> IngestConfig {
    IngestConfig { default_jurisdiction: home, validation: Mode::Strict, profiles: Mode::Warn }
}

/// Nodes in these countries, with funded accounts that may anchor.
pub(crate) fn cluster(homes: &[Jurisdiction]) -> Cluster {
    let address = |index: usize| SocketAddr::from(([127, 0, 0, 1], 4_000 + index as u16));
    cluster_at(homes, &(0..homes.len()).map(address).collect::<Vec<_>>())
}

/// As [`cluster`], with these addresses.
pub(crate) fn cluster_at(homes: &[Jurisdiction], addresses: &[SocketAddr]) -> Cluster {
    let dirs: Vec<_> = homes.iter().map(|_| tempfile::tempdir().unwrap()).collect();
    let enclaves: Vec<_> =
        dirs.iter().map(|dir| Enclave::create(&dir.path().join("enclave"), None, None).unwrap()).collect();
    let validators: Vec<_> = homes
        .iter()
        .zip(&enclaves)
        .enumerate()
        .map(|(index, (home, enclave))| {
            let public = enclave.public();
            ValidatorEntry {
                name: format!("node-{index}"),
                jurisdiction: *home,
                public_key: public.public_key,
                sealing_key: public.sealing_key,
                account: public.account,
                p2p_address: addresses[index].to_string(),
            }
        })
        .collect();
    let treasury = Address::repeat_byte(0xfe);
    let mut accounts = genesis_accounts(validators.iter().map(|validator| validator.account), treasury);
    for validator in &validators {
        let funded = GenesisAccount { balance: Amount::from_bxm(1_000), ..GenesisAccount::default() };
        accounts.insert(validator.account, funded);
    }
    let genesis = Genesis {
        chain_id: 2018,
        time_ms: NOW_MS,
        gas_limit: 60_000_000,
        base_fee_wei: 1_000_000_000,
        treasury,
        validators,
        accounts,
        identity_copies: std::collections::BTreeMap::new(),
    };
    let nodes = dirs.into_iter().zip(enclaves).zip(homes).enumerate();
    let nodes = nodes.map(|(index, ((dir, enclave), home))| open(dir, enclave, &genesis, index, *home));
    Cluster { nodes: nodes.collect(), ledger: TestLedger::new(&genesis), genesis }
}

fn open(
    dir: tempfile::TempDir,
    enclave: Enclave,
    genesis: &Genesis,
    index: usize,
    home: Jurisdiction,
) -> Node {
    let store = Store::open(&dir.path().join("data"), genesis.network_id()).unwrap();
    let me = ValidatorIndex(index as u16);
    let vault = Vault::open_with_clock(&store, enclave.clone(), me, home, clock()).unwrap();
    let ingest =
        Ingest::with_clock(vault.clone(), enclave.clone(), &store, genesis, config(home), clock()).unwrap();
    Node { dir, store, enclave, vault, ingest }
}

impl Node {
    /// The same folders again, as after a restart.
    pub(crate) fn reopen(self, genesis: &Genesis) -> Self {
        let Self { dir, store, enclave, vault, ingest } = self;
        let (me, home) = (vault.me(), vault.home());
        drop((ingest, vault, store, enclave));
        let enclave = Enclave::open(&dir.path().join("enclave"), None).unwrap();
        open(dir, enclave, genesis, usize::from(me.0), home)
    }

    /// The node as a copy of its folders, made earlier, has it.
    pub(crate) fn restored(self, copy: tempfile::TempDir, genesis: &Genesis) -> Self {
        let Self { dir, store, enclave, vault, ingest } = self;
        let (me, home) = (vault.me(), vault.home());
        drop((ingest, vault, store, enclave, dir));
        let enclave = Enclave::open(&copy.path().join("enclave"), None).unwrap();
        open(copy, enclave, genesis, usize::from(me.0), home)
    }

    /// Leave for treatment at this node.
    pub(crate) fn permit(&self, record: RecordId, class: BlockClass) -> Permit {
        treatment(&self.vault, record, class, self.vault.home()).unwrap()
    }

    pub(crate) fn take(&self, bundle: &GeneratedBundle) -> bxp_clinical::ingest::Report {
        self.ingest.ingest_submission(&submission(&bundle.json)).unwrap()
    }
}

/// Leave for treatment at the vault's node, which stands in `country`.
pub(crate) fn treatment(
    vault: &Vault,
    record: RecordId,
    class: BlockClass,
    country: Jurisdiction,
) -> Result<Permit, Denial> {
    let request =
        Request { requester: vault.me(), scope: Scope::Record(record), class, purpose: Purpose::Treatment };
    let facts = Facts {
        now_ms: NOW_MS,
        member: true,
        holder: false,
        regulator: false,
        requester_jurisdiction: country,
        residency: vault.entry(record).unwrap().map(|entry| entry.home),
        patient_verified: false,
        contribution: None,
        contract: None,
    };
    decide(&request, &facts)
}

pub(crate) fn submission(json: &str) -> Submission {
    parse_json("test.json", json.as_bytes(), &Limits::default()).unwrap()
}

pub(crate) fn collection(resources: &[&str]) -> Submission {
    let entries: Vec<_> = resources.iter().map(|one| format!("{{\"resource\":{one}}}")).collect();
    let entries = entries.join(",");
    submission(&format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{entries}]}}"#))
}

/// Generated patients of one country; the hospitals come first.
pub(crate) fn patients(country: Jurisdiction, count: u32) -> Vec<GeneratedBundle> {
    let jurisdictions = vec![(country, 1)];
    let config = GeneratorConfig { patients: count, jurisdictions, ..GeneratorConfig::default() };
    generate(&config).unwrap().collect()
}
