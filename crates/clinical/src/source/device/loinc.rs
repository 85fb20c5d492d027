//! Codes of LOINC that members' devices measure, with the category that R4's vital signs profiles demand and the units of
//! UCUM that they allow (<http://hl7.org/fhir/R4/observation-vitalsigns.html>).

/// A code that is known.
pub(super) struct Known {
    pub(super) code: &'static str,
    pub(super) display: &'static str,
    /// Of R4's observation-category.
    pub(super) category: &'static str,
    /// The units that are allowed; any, where it names none.
    pub(super) units: &'static [&'static str],
    /// A code that the profile demands beside it.
    pub(super) also: Option<&'static str>,
}

const VITAL: &str = "vital-signs";

const fn vital(code: &'static str, display: &'static str, units: &'static [&'static str]) -> Known {
    Known { code, display, category: VITAL, units, also: None }
}

const fn other(code: &'static str, display: &'static str, category: &'static str) -> Known {
    Known { code, display, category, units: &[], also: None }
}

const KNOWN: [Known; 18] = [
    vital("8867-4", "Heart rate", &["/min"]),
    vital("40443-4", "Heart rate --resting", &["/min"]),
    vital("9279-1", "Respiratory rate", &["/min"]),
    vital("2708-6", "Oxygen saturation in Arterial blood", &["%"]),
    Known {
        also: Some("2708-6"),
        ..vital("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", &["%"])
    },
    vital("8310-5", "Body temperature", &["Cel", "[degF]"]),
    vital("8302-2", "Body height", &["cm", "[in_i]"]),
    vital("9843-4", "Head Occipital-frontal circumference", &["cm", "[in_i]"]),
    vital("29463-7", "Body weight", &["g", "kg", "[lb_av]"]),
    vital("39156-5", "Body mass index (BMI) [Ratio]", &["kg/m2"]),
    vital("85354-9", "Blood pressure panel with all children optional", &["mm[Hg]"]),
    vital("8480-6", "Systolic blood pressure", &["mm[Hg]"]),
    vital("8462-4", "Diastolic blood pressure", &["mm[Hg]"]),
    other("55423-8", "Number of steps in unspecified time Pedometer", "activity"),
    other("41950-7", "Number of steps in 24 hour Measured", "activity"),
    other("2339-0", "Glucose [Mass/volume] in Blood", "laboratory"),
    other("15074-8", "Glucose [Moles/volume] in Blood", "laboratory"),
    other("99504-3", "Glucose [Mass/volume] in Interstitial fluid", "laboratory"),
];

/// What is known of a code.
pub(super) fn known(code: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.code == code)
}

/// Whether a text has the form of a LOINC code: up to seven digits, a hyphen, and the check digit of LOINC's manual
/// (modulus 10, each second digit from the right doubled).
pub(super) fn is_code(text: &str) -> bool {
    let Some((number, check)) = text.split_once('-') else { return false };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=7).contains(&number.len()) || check.len() != 1 || !digits(number) || !digits(check) {
        return false;
    }
    let sum: u32 = number.bytes().rev().enumerate().fold(0, |sum, (place, byte)| {
        let digit = u32::from(byte - b'0');
        let doubled = if place % 2 == 0 { 2 * digit } else { digit };
        sum + doubled / 10 + doubled % 10
    });
    check.bytes().all(|byte| u32::from(byte - b'0') == (10 - sum % 10) % 10)
}

/// Whether a text can be a unit of UCUM: printable characters of ASCII without spaces (UCUM sections 3 and 4), with
/// brackets and braces that close.
pub(super) fn is_unit(text: &str) -> bool {
    const BYTES_MAX: usize = 64;
    if !(1..=BYTES_MAX).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let mut open: Option<u8> = None;
    for byte in text.bytes() {
        match (byte, open) {
            (b'[' | b'{', None) => open = Some(byte + 2),
            (b'[' | b'{', Some(_)) | (b']' | b'}', None) => return false,
            (b']' | b'}', Some(close)) if close != byte => return false,
            (b']' | b'}', Some(_)) => open = None,
            _ => {}
        }
    }
    open.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_code_has_its_check_digit_and_one_more_is_none() {
        for known in &KNOWN {
            assert!(is_code(known.code), "{}", known.code);
            assert!(known.units.iter().all(|unit| is_unit(unit)), "{}", known.code);
        }
        for wrong in ["8867-5", "8867", "-4", "8867-44", "x867-4", "12345678-1", "8867-"] {
            assert!(!is_code(wrong), "{wrong}");
        }
    }

    #[test]
    fn units_have_the_form_of_ucum() {
        for unit in ["/min", "mm[Hg]", "%", "[degF]", "10*3/uL", "{steps}", "{steps}/(24.h)", "kg/m2"] {
            assert!(is_unit(unit), "{unit}");
        }
        for wrong in ["", "per minute", "[degF", "degF]", "{a[b]}", "[a}", "m\u{b5}"] {
            assert!(!is_unit(wrong), "{wrong}");
        }
    }
}
