//! HL7 v2: streams of frames, files of messages, character sets, messages and what is made of them.

use bxp_clinical::source::Limits;
use bxp_hl7v2::{
    AckCode, Acknowledgement, Framer, Message, acknowledge, decode, frame, patient_candidates, split, wish,
};

/// The most bytes of a message in a stream.
const MESSAGE_BYTES_MAX: usize = 256;

/// A file is cut into messages; each of them becomes a Bundle that our own FHIR reader takes, or an error.
pub(crate) fn message(bytes: &[u8]) {
    let Ok(messages) = split(bytes) else { return };
    for one in messages {
        let Ok(decoded) = decode(one.bytes) else { continue };
        let message = match Message::parse(&decoded.text, &bxp_hl7v2::Limits::default()) {
            Ok(message) => message,
            Err(error) => {
                let refusal = Acknowledgement::refuse(AckCode::ApplicationError, &error);
                let _ = acknowledge(None, &refusal, "20260101000000+0000", "1");
                continue;
            }
        };
        let _ = (wish(&message), patient_candidates(&message));
        let accepted = Acknowledgement::accept(AckCode::ApplicationAccept);
        let answer = acknowledge(Some(&message), &accepted, "20260101000000+0000", "1");
        assert!(answer.starts_with("MSH"), "an answer is a message");
        let options =
            bxp_hl7v2::Options { original: Some(one.bytes.to_vec()), ..bxp_hl7v2::Options::default() };
        let mapped = bxp_hl7v2::map(&message, &options);
        let read = bxp_clinical::source::parse_json("mapped", mapped.bundle.as_bytes(), &Limits::default());
        let read = read.expect("what is made of a message is FHIR");
        assert_eq!(read.entries.len(), mapped.resources);
    }
}

/// A stream read in pieces gives the messages that it gives in one, and those are bounded.
pub(crate) fn frames(bytes: &[u8]) {
    let read = |sizes: usize| {
        let (mut framer, mut messages) = (Framer::new(MESSAGE_BYTES_MAX), Vec::new());
        for piece in bytes.chunks(sizes) {
            let mut rest = piece;
            while !rest.is_empty() {
                match framer.next(&mut rest) {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break,
                    Err(error) => return (messages, Some(error)),
                }
            }
        }
        (messages, None)
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(whole, read(1));
    for message in whole.0 {
        assert!(message.len() <= MESSAGE_BYTES_MAX);
    }
}

const ADMISSION: &str = "MSH|^~\\&|A|HOSP|C|D|20200101120000+0000||ADT^A01^ADT_A01|1|P|2.5.1\r\
    PID|1||7^^^HOSP^MR||Doe^Jane||19800101|F\rPV1|1|I|W^1^2||||1^Who^Doctor\rAL1|1|DA|1^Peanut^L|SV\r";
const RESULT: &str = "MSH|^~\\&|LAB|HOSP|||202001011200||ORU^R01^ORU_R01|2|P|2.3|||AL|NE\r\
    PID|||8^^^HOSP^MR~9^^^SSA^SS||Roe^John^Q||19450203|M\rOBR|1|5|6|24331-1^Lipids^LN|||20200101\r\
    OBX|1|NM|2093-3^Chol^LN||180|mg/dL|<200|N|||F\rOBX|2|ED|pdf||^AP^PDF^Base64^AAAA||||||F\r";

pub(crate) fn messages() -> Vec<Vec<u8>> {
    vec![ADMISSION.into(), RESULT.into(), [ADMISSION, RESULT].concat().into()]
}

pub(crate) fn streams() -> Vec<Vec<u8>> {
    vec![frame(b"MSH|1"), [frame(b"MSH|1"), frame(b"MSH|2")].concat()]
}
