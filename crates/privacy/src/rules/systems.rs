//! Which codes belong to a code system.
//!
//! A code is a string like any other, so a number of another kind may stand in its place. Where a system has a check
//! digit it is checked; where its codes are few they are listed; otherwise their form is held as narrow as the system's own.

use super::lookup::Lookup;

/// How the codes of a system are told.
#[derive(Debug)]
pub(crate) enum CodeCheck {
    /// One of these.
    Codes(Lookup<()>),
    /// Of the system's own form.
    Form(fn(&[u8]) -> bool),
}

impl CodeCheck {
    /// The check that the rule files call `name`.
    pub(super) fn pattern(name: &str) -> Option<Self> {
        Some(Self::Form(match name {
            "snomed" => snomed,
            "loinc" => loinc,
            "rxnorm" => rxnorm,
            "cvx" => cvx,
            "ndc" => ndc,
            "icd10" => icd10,
            "icd10pcs" => icd10pcs,
            "icd9" => icd9,
            "cpt" => cpt,
            "atc" => atc,
            "cui" => cui,
            _ => return None,
        }))
    }

    /// The codes, where they are few enough to be listed.
    pub(super) const fn codes(&self) -> Option<&Lookup<()>> {
        match self {
            Self::Codes(codes) => Some(codes),
            Self::Form(_) => None,
        }
    }

    pub(super) fn accepts(&self, code: &str) -> bool {
        match self {
            Self::Codes(codes) => codes.contains(code.as_bytes()),
            Self::Form(form) => form(code.as_bytes()),
        }
    }
}

fn digits(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_digit)
}

/// Whether `code` follows `shape`: `9` is a digit, `A` a capital letter, `X` either, anything else itself.
fn shaped(code: &[u8], shape: &[u8]) -> bool {
    code.len() == shape.len()
        && code.iter().zip(shape).all(|(byte, kind)| match kind {
            b'9' => byte.is_ascii_digit(),
            b'A' => byte.is_ascii_uppercase(),
            b'X' => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
            itself => byte == itself,
        })
}

/// A SNOMED CT concept id: 6 to 18 digits, partition 00 or 10 before a Verhoeff check digit (SNOMED CT Release File
/// Specification, chapter 6).
fn snomed(code: &[u8]) -> bool {
    let partition = code.len().checked_sub(3).and_then(|start| code.get(start..start + 2));
    (6..=18).contains(&code.len())
        && code[0] != b'0'
        && digits(code)
        && matches!(partition, Some(b"00" | b"10"))
        && verhoeff(code)
}

/// Verhoeff's check over the dihedral group of order ten: true if the last digit is right.
fn verhoeff(code: &[u8]) -> bool {
    const PERMUTATIONS: [[usize; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let product = |left: usize, right: usize| match (left < 5, right < 5) {
        (true, true) => (left + right) % 5,
        (true, false) => 5 + (left + right - 5) % 5,
        (false, true) => 5 + (left - 5 + 5 - right) % 5,
        (false, false) => (left + 5 - right) % 5,
    };
    let check = code.iter().rev().enumerate().fold(0, |check, (place, digit)| {
        product(check, PERMUTATIONS[place % 8][usize::from(digit - b'0') % 10])
    });
    check == 0
}

/// A LOINC code, or a LOINC answer (LA) or part (LP): digits, a hyphen and a mod 10 check digit (LOINC Users' Guide,
/// appendix C).
fn loinc(code: &[u8]) -> bool {
    // The letters count in the check digit, by whether the digits behind them are even or odd in number.
    let (code, [even, odd]) = match code {
        [b'L', b'A', rest @ ..] => (rest, [5, 2]),
        [b'L', b'P', rest @ ..] => (rest, [2, 7]),
        _ => (code, [0, 0]),
    };
    let Some((number, [b'-', check])) = code.split_at_checked(code.len().saturating_sub(2)) else {
        return false;
    };
    let letters = if number.len() % 2 == 0 { even } else { odd };
    (1..=6).contains(&number.len())
        && digits(number)
        && check.is_ascii_digit()
        && (mod_10(number) + letters) % 10 == u32::from(check - b'0')
}

/// The check digit that makes a number's Luhn sum a multiple of ten.
fn mod_10(number: &[u8]) -> u32 {
    let weighed = |(place, digit): (usize, &u8)| {
        let doubled = u32::from(digit - b'0') * if place % 2 == 0 { 2 } else { 1 };
        if doubled > 9 { doubled - 9 } else { doubled }
    };
    let sum: u32 = number.iter().rev().enumerate().map(weighed).sum();
    (10 - sum % 10) % 10
}

/// An RxNorm concept id. The highest is below three million (2026); a seven-digit number of another kind often is not.
fn rxnorm(code: &[u8]) -> bool {
    digits(code)
        && matches!(code, [b'1'..=b'9', ..])
        && (code.len() < 7 || (code.len() == 7 && code[0] < b'3'))
}

fn cvx(code: &[u8]) -> bool {
    (1..=3).contains(&code.len()) && digits(code)
}

/// The hyphenated forms only: eleven bare digits may be any number.
fn ndc(code: &[u8]) -> bool {
    let shapes: [&[u8]; 4] = [b"9999-9999-99", b"99999-999-99", b"99999-9999-9", b"99999-9999-99"];
    shapes.iter().any(|shape| shaped(code, shape))
}

/// ICD-10 and its national modifications: a letter, a digit, a digit or letter, up to four more behind a dot.
fn icd10(code: &[u8]) -> bool {
    let (category, extension) = code.split_at_checked(3).unwrap_or((b"", b""));
    shaped(category, b"A9X")
        && match extension {
            [] => true,
            [b'.', rest @ ..] => (1..=4).contains(&rest.len()) && shaped(rest, &b"XXXX"[..rest.len()]),
            _ => false,
        }
}

/// Seven places; at least three digits, so that no name of seven letters passes.
fn icd10pcs(code: &[u8]) -> bool {
    shaped(code, b"XXXXXXX") && code.iter().filter(|byte| byte.is_ascii_digit()).count() >= 3
}

fn icd9(code: &[u8]) -> bool {
    let shapes: [&[u8]; 7] = [b"999", b"999.9", b"999.99", b"A99", b"A99.9", b"A99.99", b"A999.9"];
    shapes.iter().any(|shape| shaped(code, shape))
}

fn cpt(code: &[u8]) -> bool {
    shaped(code, b"9999X")
}

fn atc(code: &[u8]) -> bool {
    let shapes: [&[u8]; 4] = [b"A99", b"A99A", b"A99AA", b"A99AA99"];
    shapes.iter().any(|shape| shaped(code, shape))
}

fn cui(code: &[u8]) -> bool {
    shaped(code, b"C9999999")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, right: &[&str], wrong: &[&str]) {
        let check = CodeCheck::pattern(pattern).unwrap();
        for code in right {
            assert!(check.accepts(code), "{pattern} has {code}");
        }
        for code in
            wrong.iter().chain(&["", "-", "Jane", "JANE DOE", "999-82-5655", "é", "555-942-8848", "19700101"])
        {
            assert!(!check.accepts(code), "{pattern} has no {code}");
        }
    }

    #[test]
    fn codes_of_a_system_are_told_from_other_numbers() {
        // Atrial fibrillation, myocardial infarction; then a wrong check digit, a wrong partition, an SSN, a phone number.
        check(
            "snomed",
            &["49436004", "22298006", "840544004"],
            &["49436005", "49436034", "999825655", "5559428848"],
        );
        check(
            "loinc",
            &["8302-2", "72514-3", "LA6568-5", "LA15920-4", "LP7839-6", "11524-6"],
            &["8302-3", "02138-1234", "99999-0", "-2", "LA6568-4"],
        );
        check("rxnorm", &["1803932", "2123111", "83"], &["3628844", "0123", "11289123"]);
        check("cvx", &["140", "03"], &["1400"]);
        check("ndc", &["0002-8215-01", "12345-678-90"], &["00028215012"]);
        check("icd10", &["I48", "I48.91", "S72.001A", "C7A.00"], &["I4", "I48.", "SMITH", "I48.91234"]);
        check("icd10pcs", &["0210093", "B2111ZZ"], &["BARBARA"]);
        check("icd9", &["427.31", "V45.01", "410"], &["42731"]);
        check("cpt", &["93000", "0001F"], &["9300", "Smith"]);
        check("atc", &["B01AA03", "C01"], &["B01AA0"]);
        check("cui", &["C0004238"], &["C000423"]);
    }

    #[test]
    fn an_unknown_pattern_is_no_check() {
        assert!(CodeCheck::pattern("anything").is_none());
    }
}
