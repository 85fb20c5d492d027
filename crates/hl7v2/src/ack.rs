//! Acknowledgements (HL7 2.8 sections 2.9.2, 2.9.3 and 2.13): MSH, MSA, and an ERR for what went wrong.

use crate::{Hl7Error, Message, Place, Separators};

/// The answer in MSA-1 (HL7 table 0008).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckCode {
    /// `AA`: taken.
    ApplicationAccept,
    /// `AE`: not taken, and again not without a change.
    ApplicationError,
    /// `AR`: refused for what it is, or cannot be taken now.
    ApplicationReject,
    /// `CA`: is on disk.
    CommitAccept,
    /// `CE`: could not be kept.
    CommitError,
    /// `CR`: refused for what it is.
    CommitReject,
}

impl AckCode {
    /// As it stands in MSA-1.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApplicationAccept => "AA",
            Self::ApplicationError => "AE",
            Self::ApplicationReject => "AR",
            Self::CommitAccept => "CA",
            Self::CommitError => "CE",
            Self::CommitReject => "CR",
        }
    }

    /// Whether the sender may forget the message.
    #[must_use]
    pub const fn is_accept(self) -> bool {
        matches!(self, Self::ApplicationAccept | Self::CommitAccept)
    }
}

/// Which acknowledgements a sender asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The enhanced mode: MSH-15 or MSH-16 says something.
    pub enhanced: bool,
    /// When a commit acknowledgement is to be sent (MSH-15).
    pub commit: When,
    /// When an application acknowledgement is to be sent (MSH-16).
    pub application: When,
}

/// When an acknowledgement is wanted (HL7 table 0155).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// `AL`.
    Always,
    /// `NE`.
    Never,
    /// `ER`: on errors and rejections.
    OnError,
    /// `SU`: on success.
    OnSuccess,
}

impl When {
    /// Whether an answer is to be sent.
    #[must_use]
    pub const fn applies(self, accepted: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => !accepted,
            Self::OnSuccess => accepted,
        }
    }

    fn read(text: &str, otherwise: Self) -> Self {
        match text {
            "AL" => Self::Always,
            "NE" => Self::Never,
            "ER" => Self::OnError,
            "SU" => Self::OnSuccess,
            _ => otherwise,
        }
    }
}

/// What the sender of `message` asks for. Where it says nothing, one application acknowledgement is the answer.
#[must_use]
pub fn wish(message: &Message<'_>) -> Wish {
    let header = message.header();
    let (commit, application) = (header.value(15), header.value(16));
    let enhanced = !(commit.is_empty() && application.is_empty());
    let otherwise = if enhanced { When::Never } else { When::Always };
    Wish {
        enhanced,
        commit: When::read(&commit, When::Never),
        application: When::read(&application, otherwise),
    }
}

/// What is said to a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// MSA-1.
    pub code: AckCode,
    /// What went wrong: a code of HL7 table 0357, its place, and a text without any value of the message.
    pub problems: Vec<(u16, Option<Place>, String)>,
}

impl Acknowledgement {
    /// An acceptance.
    #[must_use]
    pub const fn accept(code: AckCode) -> Self {
        Self { code, problems: Vec::new() }
    }

    /// The answer to a message that cannot be read.
    #[must_use]
    pub fn refuse(code: AckCode, error: &Hl7Error) -> Self {
        Self { code, problems: vec![(error.condition().0, error.place(), error.to_string())] }
    }
}

/// Writes an acknowledgement of `message`, or of bytes that could not be read as one: then it answers nobody in
/// particular. `now` is a time stamp `YYYYMMDDHHMMSS+ZZZZ`, `control_id` the answer's own.
#[must_use]
pub fn acknowledge(
    message: Option<&Message<'_>>,
    answer: &Acknowledgement,
    now: &str,
    control_id: &str,
) -> String {
    let header = message.map(Message::header);
    let separators = message.map_or(USUAL, Message::separators);
    let raw = |field: usize| header.map_or("", |header| header.field(field).raw());
    let (f, c) = (separators.field, separators.component);
    let encoding: String = [Some(c), Some(separators.repetition), separators.escape, separators.subcomponent]
        .into_iter()
        .flatten()
        .collect();
    let event = header.map(|header| header.field(9).first().component(2)).unwrap_or_default();
    let event = escape_text(&event, separators);
    let kind = if event.is_empty() { "ACK".to_owned() } else { format!("ACK{c}{event}{c}ACK") };
    let or = |text: &'static str, field: usize| if raw(field).is_empty() { text } else { raw(field) };
    let mut text = format!(
        "MSH{f}{encoding}{f}{}{f}{}{f}{}{f}{}{f}{now}{f}{f}{kind}{f}{control_id}{f}{}{f}{}{f}{f}{f}{f}{f}{f}UNICODE UTF-8\r",
        raw(5),
        raw(6),
        raw(3),
        raw(4),
        or("P", 11),
        or("2.5.1", 12),
    );
    text.push_str(&format!("MSA{f}{}{f}{}\r", answer.code.as_str(), raw(10)));
    for (condition, place, what) in &answer.problems {
        let location = place.as_ref().map(Place::as_erl).unwrap_or_default().replace('^', &c.to_string());
        let said = escape_text(what, separators);
        let table = condition_text(*condition);
        text.push_str(&format!(
            "ERR{f}{f}{location}{f}{condition}{c}{table}{c}HL70357{f}E{f}{f}{f}{f}{said}\r"
        ));
    }
    text
}

const USUAL: Separators =
    Separators { field: '|', component: '^', repetition: '~', escape: Some('\\'), subcomponent: Some('&') };

/// The texts of HL7 table 0357.
const fn condition_text(condition: u16) -> &'static str {
    match condition {
        100 => "Segment sequence error",
        101 => "Required field missing",
        102 => "Data type error",
        103 => "Table value not found",
        200 => "Unsupported message type",
        203 => "Unsupported version id",
        204 => "Unknown key identifier",
        205 => "Duplicate key identifier",
        _ => "Application internal error",
    }
}

fn escape_text(text: &str, separators: Separators) -> String {
    let Some(escape) = separators.escape else { return text.replace(['\r', '\n'], " ") };
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        let letter = match one {
            _ if one == separators.field => 'F',
            _ if one == separators.component => 'S',
            _ if one == separators.repetition => 'R',
            _ if one == escape => 'E',
            _ if Some(one) == separators.subcomponent => 'T',
            '\r' | '\n' => {
                escaped.push(' ');
                continue;
            }
            _ => {
                escaped.push(one);
                continue;
            }
        };
        escaped.extend([escape, letter, escape]);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    const TEXT: &str = "MSH|^~\\&|APP|FAC^1.2^ISO|BXP|STAR|2020||ADT^A01^ADT_A01|M1|T|2.4|||ER|AL\rPID|1";

    #[test]
    fn an_acceptance_turns_the_addresses_around() {
        let message = Message::parse(TEXT, &Limits::default()).unwrap();
        let answer = Acknowledgement::accept(AckCode::ApplicationAccept);
        let text = acknowledge(Some(&message), &answer, "20260101000000+0000", "7");
        assert_eq!(
            text,
            "MSH|^~\\&|BXP|STAR|APP|FAC^1.2^ISO|20260101000000+0000||ACK^A01^ACK|7|T|2.4||||||UNICODE UTF-8\rMSA|AA|M1\r"
        );
        assert!(Message::parse(&text, &Limits::default()).is_ok());
    }

    #[test]
    fn an_error_names_its_place_and_is_escaped() {
        let message = Message::parse(TEXT, &Limits::default()).unwrap();
        let error = Hl7Error::TooMany { place: Place::field("PID", 2, 3), what: "a|b", max: 9 };
        let answer = Acknowledgement::refuse(AckCode::ApplicationReject, &error);
        let text = acknowledge(Some(&message), &answer, "2026", "7");
        let last = text.trim_end().rsplit('\r').next().unwrap();
        assert_eq!(last, "ERR||PID^2^3|102^Data type error^HL70357|E||||PID[2]-3: more than 9 a\\F\\b");
        let nobody = acknowledge(None, &answer, "2026", "7");
        assert!(nobody.starts_with("MSH|^~\\&|||||2026||ACK|7|P|2.5.1|") && nobody.contains("\rMSA|AR|\r"));
    }

    #[test]
    fn what_a_sender_wishes_is_read() {
        let of = |text: &str| wish(&Message::parse(text, &Limits::default()).unwrap());
        let asked = of(TEXT);
        assert_eq!((asked.enhanced, asked.commit, asked.application), (true, When::OnError, When::Always));
        let original = of("MSH|^~\\&|A|B|C|D|2020||ADT^A01|1|P|2.3");
        assert_eq!((original.enhanced, original.application), (false, When::Always));
        assert!(!original.commit.applies(true) && original.application.applies(false));
        assert!(When::OnSuccess.applies(true) && !When::OnSuccess.applies(false));
    }
}
