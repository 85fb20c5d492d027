//! The 82 Synthea bundles go in, every one; a second time nothing happens.

use bxp_clinical::{
    ingest::{Ingest, IngestConfig},
    replicate::holder_permit,
    source::{Limits, find},
    validate::Mode,
};
use bxp_enclave::Enclave;
use bxp_storage::Store;
use bxp_types::{Address, BlockClass, Genesis, Jurisdiction, NetworkId, ValidatorEntry, ValidatorIndex};
use bxp_vault::{Clock, Vault};
use std::{collections::BTreeMap, time::Instant};

const RESOURCES: u64 = 84_881;

fn genesis(enclave: &Enclave) -> Genesis {
    let public = enclave.public();
    let validator = |name: &str, jurisdiction, sealing_key| ValidatorEntry {
        name: name.to_owned(),
        jurisdiction,
        public_key: public.public_key,
        sealing_key,
        account: public.account,
        p2p_address: "127.0.0.1:1".to_owned(),
    };
    let validators = vec![
        validator("star", Jurisdiction::US, public.sealing_key),
        validator("dawn", Jurisdiction::DE, public.sealing_key),
    ];
    Genesis {
        chain_id: 1,
        time_ms: 0,
        gas_limit: 1,
        base_fee_wei: 1,
        treasury: Address::ZERO,
        validators,
        accounts: BTreeMap::new(),
        identity_copies: BTreeMap::new(),
    }
}

/// The way into a node of its own in this folder.
pub(crate) fn ingest_in(dir: &std::path::Path, home: Jurisdiction) -> Ingest {
    let store = Store::open(&dir.join("data"), NetworkId([1; 32])).unwrap();
    let enclave = Enclave::create(&dir.join("enclave"), None, None).unwrap();
    let vault = Vault::open(&store, enclave.clone(), ValidatorIndex(0), home).unwrap();
    let config = IngestConfig { default_jurisdiction: home, validation: Mode::Strict, profiles: Mode::Warn };
    let genesis = genesis(&enclave);
    Ingest::new(vault, enclave, &store, &genesis, config).unwrap()
}

#[test]
fn all_bundles_go_in_and_come_out_equal() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("data"), NetworkId([1; 32])).unwrap();
    let enclave = Enclave::create(&dir.path().join("enclave"), None, None).unwrap();
    let home = Jurisdiction::US;
    let vault = Vault::open(&store, enclave.clone(), ValidatorIndex(0), home).unwrap();
    let config = IngestConfig { default_jurisdiction: home, validation: Mode::Strict, profiles: Mode::Warn };
    let genesis = genesis(&enclave);
    let ingest = Ingest::new(vault.clone(), enclave, &store, &genesis, config).unwrap();
    let found = find(&[crate::data("synthea")]).unwrap();

    let start = Instant::now();
    let done = ingest.ingest_files(&found.files, &Limits::default(), |_| {}).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{:.0} resources/s, {:.1} MB/s of JSON",
        done.report.new as f64 / seconds,
        done.report.bytes as f64 / seconds / 1e6
    );
    println!("{:#?}", done.report.identifiers);
    assert!(done.errors.is_empty(), "{:?}", done.errors);
    assert_eq!(done.report.refusals.first(), None);
    assert_eq!((done.report.new, done.report.patients_new), (RESOURCES, 81));
    assert!((82..120).contains(&done.report.roots.len()), "{}", done.report.roots.len());

    let permit = holder_permit(&vault, &Clock::system(), BlockClass::Identity(home)).unwrap();
    let patients: Vec<_> = ingest.patients().map(Result::unwrap).collect();
    assert_eq!(patients.len(), 81);
    let charted: usize = patients.iter().map(|one| ingest.chart(one.subject).unwrap().len()).sum();
    assert_eq!(charted, RESOURCES as usize - 194 * 2 - 203);
    let opened = ingest.open_chart(patients[0].subject, &permit).unwrap();
    assert_eq!(opened.len(), ingest.chart(patients[0].subject).unwrap().len());

    let again = ingest.ingest_files(&found.files[..10], &Limits::default(), |_| {}).unwrap();
    assert_eq!((again.report.taken(), again.report.duplicates), (0, again.report.resources));
}
