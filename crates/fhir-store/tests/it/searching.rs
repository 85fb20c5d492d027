//! Every type of search parameter, every modifier, chains, `_has`, includes, order, paging.

use crate::fixture::{Fixture, Place, kind, on_both, parse};
use bxp_fhir_store::{Everything, StoreError};

on_both! {
    every_type_and_modifier_finds_what_it_should,
    the_order_is_the_one_that_is_asked_for_on_every_page,
    pages_do_not_move_under_writes,
    includes_go_along,
    a_patient_has_everything_of_the_compartment,
    what_is_referred_to_before_it_comes_is_found_when_it_comes,
    many_values_and_long_lists_are_joined,
    a_search_that_passes_through_too_much_is_refused,
}

fn clinic(place: Place) -> Fixture {
    let fixture = Fixture::new(place);
    for text in [
        r#"{"resourceType":"Organization","id":"o1","name":"Stern Klinik","identifier":[{"system":"npi","value":"9"}]}"#,
        r#"{"resourceType":"Patient","id":"p1","active":true,"name":[{"family":"Müller","given":["Anna","Maria"]}],"gender":"female",
            "birthDate":"1970-05-01","identifier":[{"system":"mrn","value":"1"}],"managingOrganization":{"reference":"Organization/o1"},
            "meta":{"tag":[{"system":"t","code":"vip"}],"profile":["http://x/fhir/Patient|1"]}}"#,
        r#"{"resourceType":"Patient","id":"p2","name":[{"family":"Mullenberg","given":["Bob"]}],"gender":"male","birthDate":"1980",
            "deceasedDateTime":"2020-01-01","identifier":[{"system":"mrn","value":"2"}]}"#,
        r#"{"resourceType":"Observation","id":"w1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"29463-7","display":"Body Weight"}]},
            "subject":{"reference":"Patient/p1"},"effectiveDateTime":"2020-03-05","valueQuantity":{"value":71.5,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}"#,
        r#"{"resourceType":"Observation","id":"w2","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"29463-7","display":"Body Weight"}]},
            "subject":{"reference":"Patient/p2"},"effectiveDateTime":"2021-03-05","valueQuantity":{"value":90,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}"#,
        r#"{"resourceType":"Observation","id":"b1","status":"amended","code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}],"text":"Blood pressure"},
            "subject":{"reference":"Patient/p1"},"effectivePeriod":{"start":"2020-01-01","end":"2020-12-31"},"performer":[{"identifier":{"system":"npi","value":"77"}}],
            "component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"valueQuantity":{"value":140,"code":"mm[Hg]"}},
                         {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":80,"code":"mm[Hg]"}}]}"#,
        r#"{"resourceType":"Observation","id":"c1","status":"final","code":{"coding":[{"system":"l","code":"c"}]},"subject":{"reference":"Patient/p2"},"derivedFrom":[{"reference":"Observation/w2"}]}"#,
        r#"{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p1"},"length":{"value":30,"unit":"min"}}"#,
        r#"{"resourceType":"RiskAssessment","id":"r1","status":"final","subject":{"reference":"Patient/p1"},"prediction":[{"probabilityDecimal":0.25}]}"#,
        r#"{"resourceType":"ValueSet","id":"v1","status":"active","url":"http://x/fhir/ValueSet/a","version":"1"}"#,
        r#"{"resourceType":"ValueSet","id":"v2","status":"active","url":"http://x/fhir/ValueSet/a/b","version":"1"}"#,
        r#"{"resourceType":"Location","id":"l1","status":"active","position":{"latitude":50.73,"longitude":7.1}}"#,
        r#"{"resourceType":"Location","id":"l2","status":"active","position":{"latitude":52.52,"longitude":13.4}}"#,
        r#"{"resourceType":"Provenance","id":"pr","target":[{"reference":"Observation/w1"}],"recorded":"2020-03-05T10:00:00Z","agent":[{"who":{"reference":"Organization/o1"}}]}"#,
    ] {
        fixture.put(text);
    }
    fixture
}

fn every_type_and_modifier_finds_what_it_should(place: Place) {
    let fixture = clinic(place);
    for (kind, query, expected) in [
        ("Patient", "", "p1 p2"),
        ("Patient", "_id=p2,p9", "p2"),
        ("Patient", "name=mull", "p1 p2"),
        ("Patient", "family=müller", "p1"),
        ("Patient", "family:exact=Müller", "p1"),
        ("Patient", "family:exact=müller", ""),
        ("Patient", "name:contains=BERG", "p2"),
        ("Patient", "given=maria&family=mu", "p1"),
        ("Patient", "identifier=mrn|1", "p1"),
        ("Patient", "identifier=2", "p2"),
        ("Patient", "identifier=mrn|", "p1 p2"),
        ("Patient", "identifier=|1", ""),
        ("Patient", "gender:not=male", "p1"),
        ("Patient", "gender=male,female", "p1 p2"),
        ("Patient", "deceased=true", "p2"),
        ("Patient", "deceased=false", "p1"),
        ("Patient", "active=true", "p1"),
        ("Patient", "active:missing=true", "p2"),
        ("Patient", "active:missing=false", "p1"),
        ("Patient", "birthdate=1970", "p1"),
        ("Patient", "birthdate=ge1975", "p2"),
        ("Patient", "birthdate=lt1975-01-01", "p1"),
        ("Patient", "death-date=gt2019", "p2"),
        ("Patient", "_tag=t|vip", "p1"),
        ("Patient", "_profile=http://x/fhir/Patient|1", "p1"),
        ("Patient", "_profile=http://x/fhir/Other", ""),
        ("Patient", "_profile:below=http://x/fhir", "p1"),
        ("Patient", "organization=Organization/o1", "p1"),
        ("Patient", "organization.name=stern", "p1"),
        ("Patient", "organization.identifier=npi|9", "p1"),
        ("Patient", "_has:Observation:patient:code=29463-7", "p1 p2"),
        ("Patient", "_has:Observation:patient:value-quantity=gt80", "p2"),
        ("Patient", "_has:Observation:subject:_has:Provenance:target:agent=Organization/o1", "p1"),
        ("Observation", "code=http://loinc.org|29463-7", "w1 w2"),
        ("Observation", "code:text=weight", "w1 w2"),
        ("Observation", "code:text=blood", "b1"),
        ("Observation", "code:not=29463-7", "b1 c1"),
        ("Observation", "patient=p1&code=29463-7", "w1"),
        ("Observation", "subject=Patient/p1", "w1 b1"),
        ("Observation", "subject=p1", "w1 b1"),
        ("Observation", "subject:Patient=p1", "w1 b1"),
        ("Observation", "patient.family=mullen&status=final", "w2 c1"),
        ("Observation", "subject:Patient.organization.name=stern", "w1 b1"),
        ("Observation", "performer:identifier=npi|77", "b1"),
        ("Observation", "date=2020", "w1 b1"),
        ("Observation", "date=2020-03", "w1"),
        ("Observation", "date=sa2020", "w2"),
        ("Observation", "date=ge2020-06&date=lt2022", "w2 b1"),
        ("Observation", "date:missing=true", "c1"),
        ("Observation", "value-quantity=gt71", "w1 w2"),
        ("Observation", "value-quantity=90|http://unitsofmeasure.org|kg", "w2"),
        ("Observation", "value-quantity=90||kg", "w2"),
        ("Observation", "value-quantity=90||lb", ""),
        ("Observation", "value-quantity=ap70", "w1"),
        ("Observation", "combo-value-quantity=140", "b1"),
        ("Observation", "component-code-value-quantity=8480-6$gt120", "b1"),
        ("Observation", "component-code-value-quantity=8462-4$gt120", ""),
        ("Observation", "code-value-quantity=29463-7$lt80", "w1"),
        ("Observation", "combo-code-value-quantity=8480-6$140,29463-7$90", "w2 b1"),
        ("Encounter", "length=gt20", "e1"),
        ("RiskAssessment", "probability=gt0.2", "r1"),
        ("RiskAssessment", "probability=0.25", "r1"),
        ("ValueSet", "url=http://x/fhir/ValueSet/a", "v1"),
        ("ValueSet", "url:below=http://x/fhir/ValueSet/a", "v1 v2"),
        ("ValueSet", "url:above=http://x/fhir/ValueSet/a/b/c", "v1 v2"),
        ("Location", "near=50.7|7.1|20|km", "l1"),
        ("Location", "near=51|9|1000|km", "l1 l2"),
        ("Patient", "_lastUpdated=ge2000", "p1 p2"),
        ("Patient", "_lastUpdated=lt2000", ""),
    ] {
        let mut found: Vec<String> = fixture.search(kind, query).split(' ').map(str::to_owned).collect();
        let mut wanted: Vec<String> = expected.split(' ').map(str::to_owned).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{kind}?{query}");
    }
}

fn the_order_is_the_one_that_is_asked_for_on_every_page(place: Place) {
    let fixture = clinic(place);
    for (query, expected) in [
        ("_sort=date", "b1 w1 w2 c1"),
        ("_sort=-date", "w2 b1 w1 c1"),
        ("_sort=-value-quantity", "w2 w1 b1 c1"),
        ("_sort=status,-_id", "b1 w2 w1 c1"),
        ("_sort=_id", "b1 c1 w1 w2"),
        ("_sort=-_lastUpdated", "c1 b1 w2 w1"),
        ("_sort=-_lastUpdated&status=final", "c1 w2 w1"),
    ] {
        assert_eq!(fixture.search("Observation", query), expected, "{query}");
    }
}

fn pages_do_not_move_under_writes(place: Place) {
    let fixture = Fixture::new(place);
    let patient =
        |number: usize| format!(r#"{{"resourceType":"Patient","id":"n{number:03}","gender":"female"}}"#);
    for number in 0..100 {
        fixture.put(&patient(number));
    }
    let query = parse("Patient", "gender=female").unwrap().query;
    let reader = fixture.reader();
    let upto = reader.newest().unwrap();
    let (mut seen, mut after, mut more) = (Vec::new(), None, 100);
    loop {
        let (found, page) = reader.search(&query, 7, after.as_ref(), upto).unwrap();
        seen.extend(found.into_iter().map(|one| one.id));
        // Between two pages others come, and some that were seen or not are changed and deleted.
        fixture.put(&patient(more));
        fixture.put(&patient(50).replace("}", ",\"active\":true}"));
        more += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, (0..100).map(|number| format!("n{number:03}")).collect::<Vec<_>>());
}

fn includes_go_along(place: Place) {
    let fixture = clinic(place);
    let along = |kind: &str, query: &str| {
        let parsed = parse(kind, query).unwrap();
        let reader = fixture.reader();
        let (found, _) = reader.search(&parsed.query, 50, None, i64::MAX).unwrap();
        let (added, cut) = reader.included(&found, &parsed.includes, 100).unwrap();
        assert!(!cut);
        let mut ids: Vec<_> = added.into_iter().map(|one| one.id).collect();
        ids.sort();
        ids.join(" ")
    };
    assert_eq!(along("Observation", "_id=w1&_include=Observation:subject"), "p1");
    assert_eq!(
        along("Observation", "_id=w1&_include=Observation:patient&_include:iterate=Patient:organization"),
        "o1 p1"
    );
    assert_eq!(along("Observation", "_id=w1&_include=Observation:*"), "p1");
    assert_eq!(along("Patient", "_id=p1&_revinclude=Observation:patient"), "b1 w1");
    assert_eq!(
        along("Patient", "_id=p1&_revinclude=Observation:patient&_revinclude:iterate=Provenance:target"),
        "b1 pr w1"
    );
    assert_eq!(along("Observation", "_id=c1&_include:iterate=Observation:derived-from"), "w2");
}

fn a_patient_has_everything_of_the_compartment(place: Place) {
    let fixture = clinic(place);
    let all = |kinds: Vec<_>| {
        let asked = Everything { kinds, since_ms: 0, after: 0, upto: i64::MAX };
        let (found, next) = fixture.reader().everything("p1", &asked, 100).unwrap();
        assert_eq!(next, None);
        let mut ids: Vec<_> = found.into_iter().map(|one| one.id).collect();
        ids.sort();
        ids.join(" ")
    };
    assert_eq!(all(Vec::new()), "b1 e1 o1 p1 r1 w1");
    assert_eq!(all(vec![kind("Observation")]), "b1 w1");
}

fn what_is_referred_to_before_it_comes_is_found_when_it_comes(place: Place) {
    let fixture = Fixture::new(place);
    fixture.put(r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/late"}}"#);
    assert_eq!(fixture.search("Patient", ""), "");
    assert_eq!(fixture.search("Observation", "patient=late"), "o");
    fixture.put(r#"{"resourceType":"Patient","id":"late","name":[{"family":"Late"}]}"#);
    assert_eq!(fixture.search("Observation", "patient.name=late"), "o");
    assert_eq!(fixture.search("Patient", "_has:Observation:patient:status=final"), "late");
}

fn many_values_and_long_lists_are_joined(place: Place) {
    let fixture = Fixture::new(place);
    fixture.put_all((0..3_000).map(|number| {
        format!(
            r#"{{"resourceType":"Observation","id":"n{number}","status":"{}","code":{{"coding":[{{"code":"c{}"}}]}},"effectiveDateTime":"20{:02}-01-01"}}"#,
            if number % 2 == 0 { "final" } else { "amended" },
            number % 7,
            number % 30
        )
    }));
    let count = |query: &str| {
        let query = parse("Observation", query).unwrap().query;
        fixture.reader().count(&query, i64::MAX).unwrap()
    };
    let by_hand = |keep: &dyn Fn(usize) -> bool| (0..3_000).filter(|number| keep(*number)).count() as u64;
    assert_eq!(count("status=final"), by_hand(&|n| n % 2 == 0));
    assert_eq!(count("status=final&code=c3"), by_hand(&|n| n % 2 == 0 && n % 7 == 3));
    assert_eq!(
        count("status=final&code=c3&date=ge2010"),
        by_hand(&|n| n % 2 == 0 && n % 7 == 3 && n % 30 >= 10)
    );
    assert_eq!(count("status:not=final&date=2015"), by_hand(&|n| n % 2 == 1 && n % 30 == 15));
    let many: Vec<String> = (0..100).map(|code| format!("c{code}")).collect();
    assert_eq!(count(&format!("code={}", many.join(","))), 3_000);
}

fn a_search_that_passes_through_too_much_is_refused(place: Place) {
    let error = Fixture::new(place).try_search("Patient", "birthdate=Plantedname").unwrap_err();
    assert!(matches!(error, StoreError::Search { .. }) && !error.to_string().contains("Planted"));
}
