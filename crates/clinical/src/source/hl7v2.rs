//! HL7 v2 messages to submissions: each message is one, so that one that is damaged does not hold up the others.

use super::{Limits, Place, Position, Refusal, Submission, parse_json};
use crate::ClinicalError;
use bxp_hl7v2::{
    Known, Limits as MessageLimits, Mapped, Message, Options, decode, map, patient_candidates, split,
};

/// What a message is translated with.
#[derive(Clone, Copy)]
pub struct Translation<'a> {
    /// Bounds on a message.
    pub limits: MessageLimits,
    /// Whether a Patient of this id is known here.
    pub known: &'a dyn Fn(&str) -> bool,
}

impl std::fmt::Debug for Translation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Translation").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Takes a file of messages apart.
///
/// # Errors
/// [`ClinicalError::Hl7v2`] where it is no file of messages, or a batch lacks some.
pub fn split_messages<'a>(
    source_name: &str,
    bytes: &'a [u8],
) -> Result<Vec<bxp_hl7v2::Split<'a>>, ClinicalError> {
    split(bytes).map_err(|source| {
        let place = Place { source_name: source_name.to_owned(), line_column: None, position: None };
        ClinicalError::Hl7v2 { place, source: Box::new(source) }
    })
}

/// Translates one message of a file. One that cannot be read is a submission that has nothing but its refusal.
#[must_use]
pub fn translate_or_refuse(
    source_name: &str,
    message: &bxp_hl7v2::Split<'_>,
    limits: &Limits,
    with: Translation<'_>,
) -> Submission {
    let name = format!("{source_name} message {}", message.number);
    match translate(&name, message.bytes, limits, with) {
        Ok(submission) => submission,
        Err(error) => {
            let reason = match &error {
                ClinicalError::Hl7v2 { source, .. } => source.to_string(),
                other => other.to_string(),
            };
            let position = Position::Message(message.number);
            let refusal = Refusal { position, resource_type: None, reason };
            let bytes = message.bytes.len() as u64;
            Submission {
                source_name: name,
                bytes,
                entries: Vec::new(),
                refused: vec![refusal],
                unmapped: Vec::new(),
            }
        }
    }
}

/// Translates one message to what is made of it in FHIR, with the message itself beside, so that nothing is lost.
///
/// # Errors
/// [`ClinicalError::Hl7v2`] where it is no message that can be read.
pub fn translate(
    source_name: &str,
    bytes: &[u8],
    limits: &Limits,
    with: Translation<'_>,
) -> Result<Submission, ClinicalError> {
    let wrong = |source| {
        let place = Place { source_name: source_name.to_owned(), line_column: None, position: None };
        ClinicalError::Hl7v2 { place, source: Box::new(source) }
    };
    let decoded = decode(bytes).map_err(wrong)?;
    let message = Message::parse(&decoded.text, &with.limits).map_err(wrong)?;
    let known = patient_candidates(&message).into_iter().filter(|id| (with.known)(id)).collect();
    let options = Options { patient: Known(known), offset_minutes: None, original: Some(bytes.to_vec()) };
    let Mapped { bundle, notes, .. } = map(&message, &options);
    let mut submission = parse_json(source_name, bundle.as_bytes(), limits)?;
    submission.bytes = bytes.len() as u64;
    submission.unmapped = notes.iter().map(|note| (field_of(&note.place), note.what)).collect();
    Ok(submission)
}

/// The field, whichever segment of its name it stands in: reports count by field.
fn field_of(place: &bxp_hl7v2::Place) -> String {
    let mut anywhere = place.clone();
    anywhere.occurrence = 1;
    anywhere.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::{Mode, validate};
    use proptest::prelude::*;

    fn with() -> Translation<'static> {
        Translation { limits: MessageLimits::default(), known: &|_| false }
    }

    const TEXT: &str = "MSH|^~\\&|A|HOSP|C|D|20200101120000+0000||ADT^A01^ADT_A01|1|P|2.5.1\rPID|1||7^^^HOSP^MR||Doe^Jane||19800101|F\rPV1|1|I|W^1^2||||1^Who^Doctor";

    #[test]
    fn a_message_becomes_valid_resources() {
        let submission = translate("a.hl7", TEXT.as_bytes(), &Limits::default(), with()).unwrap();
        for entry in &submission.entries {
            let found = validate(entry.resource.expose(), Mode::Strict);
            assert!(found.accepted(), "{:?}", found.issues);
        }
        assert!(submission.entries.len() > 5);
    }

    #[test]
    fn a_damaged_message_is_refused_and_the_others_go_on() {
        let file = format!("{TEXT}\rMSH|^^\rPID|Jane\r{TEXT}");
        let messages = split_messages("a.hl7", file.as_bytes()).unwrap();
        let all: Vec<_> = messages
            .iter()
            .map(|one| translate_or_refuse("a.hl7", one, &Limits::default(), with()))
            .collect();
        assert_eq!(all.iter().map(|one| one.refused.len()).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(all[1].refused[0].position.to_string(), "message 2");
        assert!(!all[1].refused[0].reason.contains("Jane"));
        let error = split_messages("a.hl7", b"Jane Doe").unwrap_err().to_string();
        assert_eq!(error, "a.hl7: not HL7 v2 that can be taken; see the cause");
    }

    /// Segments with fields of every kind of nonsense, after a good header.
    fn segments() -> impl Strategy<Value = String> {
        let names = "MSH|PID|PD1|NK1|PV1|PV2|DG1|PR1|AL1|IAM|OBX|ORC|OBR|TQ1|SPM|SAC|TXA|SCH|AIS|AIG|AIL|AIP|RXA|RXR|RXO|RXE|RXD|RXC|IN1|IN2|GT1|FT1|MRG|ROL|PRT|PRD|CTD|NTE|ACC|PDA|PRB|GOL|PTH|RF1|EVN|SFT|ZZZ";
        let names: Vec<&str> = names.split('|').collect();
        let name = proptest::sample::select(names);
        let value = prop_oneof![
            "[A-Z0-9]{0,6}",
            "[0-9]{4,14}([+-][0-9]{4})?",
            "[A-Za-z0-9^&~. -]{0,24}",
            "(NM|CE|ST|ED|RP|SN|TS|DT|TM|DR|NR|NA|CWE|ZZ)",
            "\\PC{0,8}",
            Just("\"\"".to_owned()),
        ];
        (name, proptest::collection::vec(value, 0..40))
            .prop_map(|(name, values)| format!("{name}|{}", values.join("|")))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn whatever_a_message_says_its_resources_are_valid(
            code in "(ADT\\^A01|ADT\\^A40|ORU\\^R01|VXU\\^V04|MDM\\^T02|SIU\\^S12|RDE\\^O11|DFT\\^P03|OML\\^O21|[A-Z]{3})",
            segments in proptest::collection::vec(segments(), 0..14),
        ) {
            let text = format!("MSH|^~\\&|A|B|C|D|2020||{code}|1|P|2.5\r{}", segments.join("\r"));
            let Ok(submission) = translate("a", text.as_bytes(), &Limits::default(), with()) else { return Ok(()) };
            for entry in &submission.entries {
                let found = validate(entry.resource.expose(), Mode::Strict);
                prop_assert!(found.accepted(), "{:?} of {:?}", found.issues, entry.resource.expose());
            }
        }
    }
}
