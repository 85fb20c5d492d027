//! Identifiers that stand nowhere else: made from a counter, so that every run plants the same ones.

use alloy_primitives::{B256, hex, keccak256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::collections::BTreeSet;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// One planted value.
#[derive(Clone, Debug)]
pub(super) struct Planted {
    /// As it stands in the resource.
    pub(super) written: String,
    /// What in it identifies, in each spelling that it may take.
    pub(super) identifiers: Vec<Vec<String>>,
}

const fn planted(written: String, identifiers: Vec<Vec<String>>) -> Planted {
    Planted { written, identifiers }
}

/// Makes identifiers, no two alike, and others than a planter of another name.
pub(super) struct Planter {
    name: &'static str,
    counter: u64,
    dates: BTreeSet<(u64, u64, u64)>,
    pub(super) planted: Vec<Planted>,
}

impl Planter {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, counter: 0, dates: BTreeSet::new(), planted: Vec::new() }
    }

    /// How many identifiers it has planted.
    pub(super) fn count(&self) -> usize {
        self.planted.iter().map(|one| one.identifiers.len()).sum()
    }

    /// Replaces every `@kind` in a template by a new identifier of that kind.
    pub(super) fn fill(&mut self, template: &str) -> String {
        let mut parts = template.split('@');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(part.len());
            filled += &self.plant(&part[..end]);
            filled += &part[end..];
        }
        filled
    }

    /// Makes an identifier, and gives it as it is written.
    pub(super) fn plant(&mut self, kind: &str) -> String {
        let planted = self.make(kind);
        self.planted.push(planted.clone());
        planted.written
    }

    fn make(&mut self, kind: &str) -> Planted {
        match kind {
            "name" => self.around("", ""),
            "street" => self.around("4711 ", " Crescent, Apt 9"),
            "text" => self.around("was seen with her husband ", " after the fall; calls at night"),
            "email" => self.around("", "@example.org"),
            "url" => self.around("https://", ".example/chart"),
            "id" => self.around("id-", ""),
            "html" => self.around("<div xmlns=\\\"http://www.w3.org/1999/xhtml\\\"><p>", "</p></div>"),
            "mrn" => self.number("MRN-", 10),
            "serial" => self.number("", 12),
            "ssn" => self.ssn(),
            "phone" => self.phone(),
            "date" => self.date(),
            "uuid" => self.uuid(),
            "note" => self.note(),
            other => panic!("no kind of identifier is called {other}"),
        }
    }

    fn around(&mut self, before: &str, after: &str) -> Planted {
        let word = self.letters(11);
        planted(format!("{before}{word}{after}"), vec![vec![word]])
    }

    fn number(&mut self, before: &str, length: usize) -> Planted {
        let digits = self.digits(length);
        planted(format!("{before}{digits}"), vec![vec![digits]])
    }

    fn ssn(&mut self) -> Planted {
        let digits = self.digits(9);
        let written = format!("{}-{}-{}", &digits[..3], &digits[3..5], &digits[5..]);
        planted(written.clone(), vec![vec![written, digits]])
    }

    fn phone(&mut self) -> Planted {
        let digits = self.digits(10);
        let (area, exchange, line) = (&digits[..3], &digits[3..6], &digits[6..]);
        let written = format!("+1 ({area}) {exchange}-{line}");
        let spellings = vec![
            format!("({area}) {exchange}-{line}"),
            format!("{area}-{exchange}-{line}"),
            format!("{area} {exchange} {line}"),
            digits.clone(),
        ];
        planted(written, vec![spellings])
    }

    fn date(&mut self) -> Planted {
        let (year, month, day) = loop {
            let random = self.random();
            let pick = |at: usize, of: u64| u64::from(random[at]) % of;
            let date = (1940 + pick(0, 80), 1 + pick(1, 12), 1 + pick(2, 28));
            if self.dates.insert(date) {
                break date;
            }
        };
        let name = MONTHS[usize::try_from(month).unwrap() - 1];
        let written = format!("{year}-{month:02}-{day:02}");
        let spellings = vec![
            written.clone(),
            format!("{year}{month:02}{day:02}"),
            format!("{year}/{month:02}/{day:02}"),
            format!("{month:02}/{day:02}/{year}"),
            format!("{day:02}.{month:02}.{year}"),
            format!("{name} {day}, {year}"),
            format!("{day} {name} {year}"),
        ];
        planted(written, vec![spellings])
    }

    fn uuid(&mut self) -> Planted {
        let hex = hex::encode(&self.random()[..16]);
        let written =
            format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..]);
        planted(written.clone(), vec![vec![written.clone(), written.replace('-', "")]])
    }

    /// A note in base64 that names a person, a social security number and a day.
    fn note(&mut self) -> Planted {
        let (name, ssn, date) = (self.around("", ""), self.ssn(), self.date());
        let text = format!("Discharge note of {}: {}, SSN {}", date.written, name.written, ssn.written);
        let identifiers = [name, ssn, date].into_iter().flat_map(|one| one.identifiers).collect();
        planted(STANDARD.encode(text), identifiers)
    }

    fn letters(&mut self, length: usize) -> String {
        let letters = self.random();
        let mut word: String = letters.iter().take(length).map(|byte| char::from(b'a' + byte % 26)).collect();
        word[..1].make_ascii_uppercase();
        word
    }

    /// Digits of which the first is no zero.
    fn digits(&mut self, length: usize) -> String {
        let digit =
            |(at, byte): (usize, &u8)| char::from(if at == 0 { b'1' + byte % 9 } else { b'0' + byte % 10 });
        self.random().iter().take(length).enumerate().map(digit).collect()
    }

    /// The next bytes: random to look at, the same in every run.
    fn random(&mut self) -> B256 {
        self.counter += 1;
        keccak256(format!("{} {}", self.name, self.counter))
    }
}
