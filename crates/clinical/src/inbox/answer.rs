//! The acknowledgements of one message: which ones its sender wishes, and their words.

use super::REASONS_MAX;
use crate::{fhir::CivilDay, ingest::Report};
use bxp_hl7v2::{AckCode, Acknowledgement, Message, Place, Wish, acknowledge};

/// What answering needs to know.
pub(super) struct Answering<'a> {
    message: Option<&'a Message<'a>>,
    wish: Wish,
    now_ms: u64,
}

impl<'a> Answering<'a> {
    pub(super) const fn new(message: Option<&'a Message<'a>>, wish: Wish, now_ms: u64) -> Self {
        Self { message, wish, now_ms }
    }

    /// It is on disk and taken in.
    pub(super) fn accept(&self) -> Vec<String> {
        let mut answers = Vec::new();
        if self.wish.commit.applies(true) {
            answers.push(self.say(&Acknowledgement::accept(AckCode::CommitAccept)));
        }
        if self.wish.application.applies(true) {
            answers.push(self.say(&Acknowledgement::accept(AckCode::ApplicationAccept)));
        }
        answers
    }

    /// It was not taken. Where only commit acknowledgements are wished, that is what says so.
    pub(super) fn error(&self, code: AckCode, problems: Vec<(u16, Option<Place>, String)>) -> Vec<String> {
        let commit = match code {
            AckCode::ApplicationReject => AckCode::CommitReject,
            _ => AckCode::CommitError,
        };
        let mut answers = Vec::new();
        if self.wish.commit.applies(false) {
            answers.push(self.say(&Acknowledgement { code: commit, problems: problems.clone() }));
        }
        if self.wish.application.applies(false) {
            answers.push(self.say(&Acknowledgement { code, problems }));
        }
        answers
    }

    fn say(&self, answer: &Acknowledgement) -> String {
        let control_id = hex::encode(rand::random::<[u8; 8]>());
        acknowledge(self.message, answer, &time_stamp(self.now_ms), &control_id)
    }
}

/// A time in HL7's form, in UTC.
fn time_stamp(now_ms: u64) -> String {
    let (year, month, day) = CivilDay::of_time_ms(now_ms).civil();
    let second = now_ms / 1_000 % 86_400;
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}+0000", second / 3_600, second / 60 % 60, second % 60)
}

/// Why resources of a message were refused, each reason once and without any value.
pub(super) fn reasons(report: &Report) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for refused in &report.refusals {
        let kind = refused.resource_type.unwrap_or("resource");
        let reason = format!("{kind}: {}", refused.reason);
        if !reasons.contains(&reason) && reasons.len() < REASONS_MAX {
            reasons.push(reason);
        }
    }
    if reasons.is_empty() && !super::is_whole(report) {
        reasons.push("a part of it was refused".to_owned());
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stamp_is_that_of_hl7() {
        assert_eq!(time_stamp(0), "19700101000000+0000");
        assert_eq!(time_stamp(1_795_000_000_123), "20261118110640+0000");
    }
}
