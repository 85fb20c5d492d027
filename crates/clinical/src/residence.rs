//! The patient's country of residence: the shard key of identifying data (white paper 3.2, rows A12, F3).

use crate::fhir::{
    CivilDay, FhirDate,
    element::{child, items, text},
};
use bxp_types::Jurisdiction;
use sonic_rs::Value;
use std::{collections::HashMap, sync::LazyLock};

const COUNTRIES: &str = include_str!("../data/countries.txt");

/// ISO 3166-1 codes of both lengths and names, in lower case.
static BY_NAME: LazyLock<HashMap<String, Jurisdiction>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for line in COUNTRIES.lines() {
        let mut fields = line.splitn(3, ' ');
        let Some(Ok(country)) = fields.next().map(str::parse::<Jurisdiction>) else { continue };
        let names_of = fields.next().into_iter().chain(fields.next().unwrap_or_default().split('|'));
        names.extend(names_of.map(|name| (name.to_lowercase(), country)));
        names.insert(country.as_str().to_lowercase(), country);
    }
    names
});

/// The country that a text names: ISO 3166-1 alpha-2, alpha-3, or a name.
#[must_use]
pub fn country_named(text: &str) -> Option<Jurisdiction> {
    BY_NAME.get(&text.trim().to_lowercase()).copied()
}

/// The country in which a Patient lives, by its addresses on `today`; none if no address names a country.
///
/// A current address of use `home` counts first, then one without use, then `temp`, `work` and `billing`. Addresses of
/// use `old`, or whose period has ended or not begun, count only where nothing else does: that the patient moved is
/// known, that they left the country is not.
#[must_use]
pub fn country_of_residence(patient: &Value, today: CivilDay) -> Option<Jurisdiction> {
    let ranked = items(patient, "address").enumerate().filter_map(|(index, address)| {
        let country = country_named(text(address, "country")?)?;
        let old = text(address, "use") == Some("old") || !is_current(address, today);
        let kind = match text(address, "use") {
            Some("home") => 0,
            None => 1,
            Some("temp") => 2,
            Some("work") => 3,
            _ => 4,
        };
        let postal = text(address, "type") == Some("postal");
        Some(((old, kind, postal, index), country))
    });
    ranked.min().map(|(_, country)| country)
}

fn is_current(address: &Value, today: CivilDay) -> bool {
    let Some(period) = child(address, "period") else { return true };
    let date = |name| text(period, name).and_then(FhirDate::parse);
    date("start").is_none_or(|start| start.earliest_day() <= today)
        && date("end").is_none_or(|end| end.latest_day() >= today)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_known_by_code_and_name() {
        assert_eq!(COUNTRIES.lines().count(), 249);
        for (text, country) in [
            ("US", Jurisdiction::US),
            ("usa", Jurisdiction::US),
            (" United States ", Jurisdiction::US),
            ("DEU", Jurisdiction::DE),
            ("Deutschland", Jurisdiction::DE),
            ("ca", Jurisdiction::CA),
            ("Canada", Jurisdiction::CA),
        ] {
            assert_eq!(country_named(text), Some(country), "{text}");
        }
        for unknown in ["", "XX", "Springfield", "U"] {
            assert_eq!(country_named(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_current_home_counts() {
        let today = FhirDate::parse("2026-11-22").unwrap().earliest_day();
        let table = [
            (r#"[{"country":"US"}]"#, Some(Jurisdiction::US)),
            (r#"[{"use":"work","country":"CA"},{"use":"home","country":"DE"}]"#, Some(Jurisdiction::DE)),
            (r#"[{"use":"old","country":"CA"},{"country":"DE"}]"#, Some(Jurisdiction::DE)),
            (
                r#"[{"use":"home","country":"US","period":{"end":"2020"}},{"use":"home","country":"Germany","period":{"start":"2020-05"}}]"#,
                Some(Jurisdiction::DE),
            ),
            (
                r#"[{"use":"home","country":"US","period":{"end":"2026-11-22"}},{"use":"temp","country":"CA"}]"#,
                Some(Jurisdiction::US),
            ),
            (
                r#"[{"use":"home","type":"postal","country":"US"},{"use":"home","country":"CA"}]"#,
                Some(Jurisdiction::CA),
            ),
            (r#"[{"use":"home","country":"Atlantis"},{"use":"old","country":"CA"}]"#, Some(Jurisdiction::CA)),
            (r#"[{"use":"home","city":"Bonn"}]"#, None),
            ("[]", None),
        ];
        for (addresses, country) in table {
            let patient =
                sonic_rs::from_str(&format!(r#"{{"resourceType":"Patient","address":{addresses}}}"#))
                    .unwrap();
            assert_eq!(country_of_residence(&patient, today), country, "{addresses}");
        }
    }
}
