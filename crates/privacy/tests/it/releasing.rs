//! What leaves under each profile, and what an anchor tells.

use crate::fixtures::{Pseudonyms, parse};
use bxp_privacy::{DAY_OFFSET_URL, DayAnchor, JoinError, Profile, Remainder, release};
use proptest::prelude::*;
use sonic_rs::{JsonContainerTrait as _, JsonValueTrait as _, Value};

const ENCOUNTER: &str = r#"{"resourceType":"Encounter","id":"1","status":"finished","period":{"start":"2015-12-30T23:00:00-05:00","end":"2016-01-02"},"statusHistory":[{"period":{"start":"2015-12"}}],"subject":{"reference":"Patient/1","display":"Chi Cormier"}}"#;
const REQUEST: &str = r#"{"resourceType":"MedicationRequest","status":"active","dosageInstruction":[{"timing":{"event":["2016-02-01","2016","2016-02-03"]},"text":"Chi"}]}"#;
const PATIENT: &str = r#"{"resourceType":"Patient","birthDate":"1949-03-21","deceasedDateTime":"2016-03-01","name":[{"family":"Cormier"}],"address":[{"city":"Ware","state":"MA","postalCode":"03601","country":"US"}]}"#;

fn released(resource: &str, profile: &Profile) -> String {
    let split = Pseudonyms::default().split(&parse(resource)).unwrap();
    let text = release(split.identity.expose(), &split.deidentified, profile).unwrap();
    String::from_utf8(text).unwrap()
}

/// The anchor of 2000-07-01, for which every reader takes it.
fn shown() -> Profile {
    Profile::ExpertDetermination(DayAnchor::from_random(182))
}

#[test]
fn safe_harbor_is_what_is_stored() {
    let split = Pseudonyms::default().split(&parse(PATIENT)).unwrap();
    assert_eq!(released(PATIENT, &Profile::SafeHarbor), sonic_rs::to_string(&split.deidentified).unwrap());
}

#[test]
fn an_expert_determination_tells_days_from_the_anchor() {
    let offset =
        |days: i32| format!(r#"{{"extension":[{{"url":"{DAY_OFFSET_URL}","valueInteger":{days}}}]}}"#);
    // From 2000-07-01 to 2015-12-30 and 2016-01-02.
    let expected = format!(
        r#"{{"resourceType":"Encounter","id":"p0","status":"finished","period":{{"start":"2015","_start":{},"end":"2016","_end":{}}},"statusHistory":[{{"period":{{"start":"2015"}}}}],"subject":{{"reference":"Patient/p1"}}}}"#,
        offset(5660),
        offset(5663)
    );
    assert_eq!(released(ENCOUNTER, &shown()), expected);
    let request = released(REQUEST, &shown());
    let events =
        format!(r#""event":["2016","2016","2016"],"_event":[{},null,{}]"#, offset(5693), offset(5695));
    assert!(request.contains(&events), "{request}");
    let patient = released(PATIENT, &shown());
    assert!(
        patient.contains(r#""birthDate":"1949","deceasedDateTime":"2016","_deceasedDateTime""#),
        "{patient}"
    );
    assert!(patient.contains(r#""postalCode":"000""#) && !patient.contains("Ware"));
}

#[test]
fn a_limited_data_set_tells_dates_and_zip_codes() {
    let patient = released(PATIENT, &Profile::LimitedDataSet);
    let expected = r#"{"resourceType":"Patient","birthDate":"1949-03-21","deceasedDateTime":"2016-03-01","address":[{"state":"MA","postalCode":"03601","country":"US"}]}"#;
    assert_eq!(patient, expected);
    assert!(!released(ENCOUNTER, &Profile::LimitedDataSet).contains("Cormier"));
    assert!(released(REQUEST, &Profile::LimitedDataSet).contains(r#"["2016-02-01","2016","2016-02-03"]"#));
}

#[test]
fn sides_of_two_splits_are_not_released_together() {
    let (one, other) = (parse(PATIENT), parse(ENCOUNTER));
    let (one, other) =
        (Pseudonyms::default().split(&one).unwrap(), Pseudonyms::default().split(&other).unwrap());
    for profile in [Profile::SafeHarbor, shown(), Profile::LimitedDataSet] {
        let outcome = release(one.identity.expose(), &other.deidentified, &profile);
        assert_eq!(outcome, Err(JoinError::Mismatch));
    }
    assert_eq!(format!("{:?}", DayAnchor::from_random(3)), "DayAnchor(redacted)");
}

/// What a reader of the released text knows: each date's year and, where it has one, its offset.
fn told(text: &str) -> (String, Option<i64>) {
    let value: Value = sonic_rs::from_str(text).unwrap();
    let offset =
        value["period"]["_start"]["extension"].as_array().map(|list| list[0]["valueInteger"].as_i64());
    (value["period"]["start"].as_str().unwrap().to_owned(), offset.flatten())
}

proptest! {
    /// Whatever the true anchor, the reader sees the year that follows from the offset, so years narrow no anchor; and
    /// two dates are as many days apart as they are.
    #[test]
    fn years_follow_from_offsets_and_distances_are_exact(
        bits in any::<u64>(),
        year in 1950_i32..2026,
        month in 1_u32..=12,
        day in 1_u32..=28,
    ) {
        let of = |profile: &Profile, day: u32| told(&released(&format!(
            r#"{{"resourceType":"Encounter","period":{{"start":"{year}-{month:02}-{day:02}"}}}}"#
        ), profile));
        let profile = Profile::ExpertDetermination(DayAnchor::from_random(bits));
        let (shown_year, offset) = of(&profile, day);
        let (_, next) = of(&profile, day + 1);
        prop_assert_eq!(next.unwrap() - offset.unwrap(), 1);
        let distance = (shown_year.parse::<i32>().unwrap() - year).abs();
        prop_assert!(distance <= 1, "{} for {}", shown_year, year);
        // 10,957 days before 2000, 182 to the shown anchor.
        let shown_day = offset.unwrap() + 11_139;
        let by_offset = 1970.0 + shown_day as f64 / 365.2425;
        prop_assert!((by_offset - shown_year.parse::<f64>().unwrap()).abs() < 1.01);
    }

    #[test]
    fn arbitrary_sides_never_panic(patch in "[\\[\\]{}0-9\"a-z:,=+]{0,60}", rest in "[\\[\\]{}0-9\"a-z:,]{0,40}") {
        let remainder = format!(r#"{{"v":1,"rules":"{}","of":"{}","patch":[{patch}]}}"#, "00".repeat(32), "00".repeat(16));
        if let (Ok(remainder), Ok(rest)) = (Remainder::from_bytes(remainder.as_bytes()), sonic_rs::from_str::<Value>(&rest)) {
            let _ = release(&remainder, &rest, &shown());
        }
    }
}
