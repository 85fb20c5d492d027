//! How fast the store alone takes resources in, and how fast it finds them among so many.
//!
//! `cargo run --release -p bxp-fhir-store --example search_at_scale -- 1000000` writes that many observations of patients with
//! 500 each, and prints one JSON line: resources stored and indexed a second by one thread, bytes on disk against bytes of
//! JSON, and milliseconds of reads and searches. The limit in the same run: the same texts parsed only. With the address of an
//! empty database behind the number, the store is on that PostgreSQL server.

use bxp_fhir_store::{Everything, Kind, NewVersion, Parameters, Prepared, Reader, Server, Store, search};
use bxp_privacy::{Facts, Permit, Purpose, Request, Scope, decide};
use bxp_types::{BlockClass, Jurisdiction, Secret, ValidatorIndex};
use std::{error::Error, time::Instant};

const OF_A_PATIENT: usize = 500;
const GROUP: usize = 500;
const TIMES: usize = 300;
const CODES: [&str; 10] =
    ["8302-2", "29463-7", "39156-5", "8480-6", "8462-4", "2339-0", "2571-8", "2085-9", "718-7", "72514-3"];

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(100_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let key = Secret::new([7; 32]);
    let store = match std::env::args().nth(2) {
        None => Store::open(folder.path(), key)?,
        Some(url) => Store::connect(Server::new(&url, None, None, None)?, &key)?,
    };
    let (mut json_bytes, started) = (0, Instant::now());
    let mut number = 0;
    while number < count {
        let portion: Vec<(Kind, String, String)> =
            (number..(number + GROUP).min(count)).map(resource).collect();
        json_bytes += portion.iter().map(|(_, _, text)| text.len()).sum::<usize>();
        write(&store, &portion)?;
        number += portion.len();
    }
    let stored_per_second = count as f64 / started.elapsed().as_secs_f64();
    store.writer().checkpoint()?;
    let parse_per_second = parse_rate()?;
    let reader = store.reader(&permit()?, 0)?;
    let patients = count / OF_A_PATIENT;
    let patient = |number: usize| format!("p{}", (number * 7_919) % patients.max(1));
    let read = timed(|number| {
        let kind = kind("Patient");
        Ok(usize::from(reader.read(kind, &patient(number))?.is_some()))
    })?;
    let code =
        timed(|number| found(&reader, &format!("patient={}&code=http://loinc.org|8302-2", patient(number))))?;
    let recent =
        timed(|number| found(&reader, &format!("patient={}&date=ge2015&_sort=-date", patient(number))))?;
    let name = timed(|number| found_in(&reader, "Patient", &format!("family=name{}", number % 97)))?;
    let all_of_code = timed(|number| found(&reader, &format!("code={}", CODES[number % CODES.len()])))?;
    let everything = timed(|number| {
        let asked = Everything { upto: i64::MAX, since_ms: i64::MIN, ..Everything::default() };
        Ok(reader.everything(&patient(number), &asked, 1_000)?.0.len())
    })?;
    println!(
        "{{\"resources\":{count},\"stored_per_second\":{stored_per_second:.0},\"parse_per_second\":{parse_per_second:.0},\
         \"disk_to_json\":{:.2},\"read_ms\":{read},\"patient_code_ms\":{code},\"patient_date_sorted_ms\":{recent},\
         \"patient_name_ms\":{name},\"code_ms\":{all_of_code},\"everything_ms\":{everything}}}",
        store.bytes_on_disk() as f64 / json_bytes as f64,
    );
    Ok(())
}

fn kind(name: &str) -> Kind {
    Parameters::r4().kind(name).expect("a resource type of R4")
}

/// A patient, then the observations of it, then the next patient.
fn resource(number: usize) -> (Kind, String, String) {
    let patient = number / OF_A_PATIENT;
    if number.is_multiple_of(OF_A_PATIENT) {
        let id = format!("p{patient}");
        let text = format!(
            r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"system":"urn:mrn","value":"{patient:08}"}}],"name":[{{"use":"official","family":"Name{}","given":["Given{}","Second"]}}],"gender":"female","birthDate":"19{:02}-0{}-1{}","address":[{{"line":["{patient} Main Street"],"city":"Springfield","state":"MA","postalCode":"0{:04}","country":"US"}}]}}"#,
            patient % 97,
            patient % 389,
            patient % 90,
            1 + patient % 9,
            patient % 9,
            patient % 10_000
        );
        return (kind("Patient"), id, text);
    }
    let (id, code) = (format!("o{number:08}-4f1c-4c2e-9c2a-3f2c3f7f7f01"), CODES[number % CODES.len()]);
    let text = format!(
        r#"{{"resourceType":"Observation","id":"{id}","meta":{{"profile":["http://hl7.org/fhir/StructureDefinition/vitalsigns"]}},"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"{code}","display":"A measured value"}}],"text":"A measured value"}},"subject":{{"reference":"Patient/p{patient}"}},"encounter":{{"reference":"Encounter/e{}"}},"effectiveDateTime":"20{:02}-{:02}-{:02}T10:{:02}:00-05:00","issued":"2020-01-01T10:00:00.000-05:00","valueQuantity":{{"value":{}.{},"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}}}"#,
        number / 5,
        number % 24,
        1 + number % 12,
        1 + number % 28,
        number % 60,
        number % 200,
        number % 10
    );
    (kind("Observation"), id, text)
}

fn write(store: &Store, portion: &[(Kind, String, String)]) -> Result<(), Box<dyn Error>> {
    let mut writer = store.writer();
    writer.begin()?;
    for (kind, id, text) in portion {
        let content = Prepared::new(*kind, &sonic_rs::from_str(text)?)?;
        let (record, subject) = (Some([1; 16]), [1; 16]);
        writer.put(&NewVersion {
            kind: *kind,
            id,
            updated_ms: 0,
            record,
            subject,
            content: Some(&content),
        })?;
    }
    writer.commit()?;
    if writer.written().is_multiple_of(20_000) {
        writer.checkpoint()?;
    }
    Ok(())
}

fn parse_rate() -> Result<f64, Box<dyn Error>> {
    let texts: Vec<String> = (0..20_000).map(|number| resource(number).2).collect();
    let started = Instant::now();
    for text in &texts {
        drop(sonic_rs::from_str::<sonic_rs::Value>(text)?);
    }
    Ok(texts.len() as f64 / started.elapsed().as_secs_f64())
}

fn permit() -> Result<Permit, Box<dyn Error>> {
    let home = Jurisdiction::US;
    let (scope, class) = (Scope::OwnRecords, BlockClass::Identity(home));
    let request = Request { requester: ValidatorIndex(0), scope, class, purpose: Purpose::Operations };
    let facts = Facts {
        now_ms: 0,
        member: true,
        holder: true,
        regulator: false,
        requester_jurisdiction: home,
        residency: None,
        patient_verified: false,
        contribution: None,
        contract: None,
    };
    Ok(decide(&request, &facts)?)
}

fn found(reader: &Reader, query: &str) -> Result<usize, Box<dyn Error>> {
    found_in(reader, "Observation", query)
}

fn found_in(reader: &Reader, name: &str, query: &str) -> Result<usize, Box<dyn Error>> {
    let pairs: Vec<(String, String)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect();
    let parsed = search::parse(kind(name), &pairs, &[], 0)?;
    Ok(reader.search(&parsed.query, 50, None, i64::MAX)?.0.len())
}

/// `{"p50":..,"p99":..,"found":..}` in milliseconds.
fn timed(mut ask: impl FnMut(usize) -> Result<usize, Box<dyn Error>>) -> Result<String, Box<dyn Error>> {
    let (mut milliseconds, mut found) = (Vec::with_capacity(TIMES), 0);
    for number in 0..TIMES {
        let started = Instant::now();
        found += ask(number)?;
        milliseconds.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    milliseconds.sort_unstable_by(f64::total_cmp);
    let at = |quantile: f64| milliseconds[((TIMES - 1) as f64 * quantile).round() as usize];
    Ok(format!(
        "{{\"p50\":{:.3},\"p99\":{:.3},\"found\":{:.1}}}",
        at(0.5),
        at(0.99),
        found as f64 / TIMES as f64
    ))
}
