//! How many records one core seals in a second: `cargo run --release -p bxp-vault --example sealing_rate`.
//!
//! A record is 1.5 KB of FHIR-like JSON on the de-identified side and 250 bytes on the identity side, about the mean of
//! Synthea's resources. Storing is measured apart, with one synced commit for 5,000 records.

use bxp_enclave::Enclave;
use bxp_storage::{Durability, Store};
use bxp_types::{Address, Bytes, Jurisdiction, NetworkId, Phi, SubjectId, ValidatorIndex};
use bxp_vault::{NewRecord, Vault};
use std::{
    error::Error,
    fmt::Write,
    time::{Duration, Instant},
};

const RECORDS: u32 = 50_000;
const COMMIT: usize = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(&dir.path().join("data"), NetworkId([0; 32]))?;
    let enclave = Enclave::create(&dir.path().join("enclave"), None, None)?;
    let vault = Vault::open(&store, enclave, ValidatorIndex(0), Jurisdiction::US)?;
    let (mut sealing, mut storing, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    let mut records = Vec::with_capacity(COMMIT);
    for number in 0..RECORDS {
        let record = sample(number)?;
        bytes += record.deidentified.len() + record.identity.expose().len();
        let start = Instant::now();
        records.push(vault.seal_record(&record)?);
        sealing += start.elapsed();
        if records.len() == COMMIT {
            let start = Instant::now();
            let mut batch = store.batch();
            vault.stage(&mut batch, &records, &vault.sealing())?;
            batch.commit(Durability::Synced)?;
            storing += start.elapsed();
            records.clear();
        }
    }
    let rate = |time: Duration| f64::from(RECORDS) / time.as_secs_f64();
    println!("content: {} bytes a record", bytes / RECORDS as usize);
    println!("seal:    {:.0} records/s on one core", rate(sealing));
    println!("store:   {:.0} records/s", rate(storing));
    Ok(())
}

fn sample(number: u32) -> Result<NewRecord, std::fmt::Error> {
    let mut rest = format!(
        "{{\"resourceType\":\"Observation\",\"status\":\"final\",\"id\":\"{number}\",\"component\":["
    );
    for part in 0..12_u32 {
        let value = number.wrapping_mul(2_654_435_761).rotate_left(part) % 1000;
        write!(
            rest,
            "{{\"code\":{{\"coding\":[{{\"system\":\"http://loinc.org\",\"code\":\"{value}-{part}\"}}]}},"
        )?;
        write!(rest, "\"valueQuantity\":{{\"value\":{value},\"unit\":\"mm[Hg]\"}}}},")?;
    }
    rest.push_str("]}");
    let identity = format!(
        "{{\"id\":\"{number:032x}\",\"subject\":\"Patient/{number:032x}\",\"effectiveDateTime\":\"2024-05-{:02}T10:00:00\",\
         \"encounter\":\"Encounter/{number:032x}\",\"performer\":\"Practitioner/{number:032x}\"}}",
        number % 28 + 1
    );
    Ok(NewRecord {
        subject: SubjectId([1; 16]),
        patient: Address::ZERO,
        home: Jurisdiction::US,
        identity: Phi::new(identity.into_bytes().into()),
        deidentified: Bytes::from(rest.into_bytes()),
    })
}
